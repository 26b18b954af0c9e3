//! The chain from the IBM Z signing key to a trusted root.

use crate::crl::{CrlStanding, Link};
use crate::file::Sourced;
use crate::{Error, Evidence, HostKeyDocument, Roots, asn1, name};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509Crl, X509KeyUsage, X509PurposeId, X509StoreContext};
use std::fmt;
use std::sync::Arc;

/// Intermediate certificates between signing key and root, at most.
const MAX_INTERMEDIATES: i32 = 2;
/// 112 bits of security.
const SECURITY_LEVEL: i32 = 2;

/// The chain of trust above host-key documents, at one point in time: signatures, names and times hold. Whether one of its
/// certificates is revoked, [`crate::Verifier`] says.
///
/// Who downloads CRLs needs this much before: only certificates of a chain, and documents that pass [`Chain::check`], are
/// worth an answer to the question where their CRLs can be had.
#[derive(Clone)]
pub struct Chain {
    /// From the signing key up to the root.
    links: Vec<Link>,
    now: Arc<Asn1Time>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: Vec<_> = self.links.iter().map(|link| &link.certificate().origin).collect();
        write!(f, "Chain({origins:?}, at {})", self.now())
    }
}

impl Chain {
    /// Finds the IBM Z signing key among the certificates and builds its chain.
    ///
    /// 1. Exactly one of the certificates is an IBM Z signing key, by its subject.
    /// 2. It chains to a root: X.509 to the letter, at most two intermediates, at least 112 bits of security.
    /// 3. It may sign: what it says of its use does not exclude it.
    ///
    /// CRLs of the evidence are sorted by who issued them; what is wrong with one is no error here.
    /// `unix_time` is the time to judge at, in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`], [`Error::SeveralSigningKeys`], [`Error::Chain`], [`Error::ChainTooShort`],
    /// [`Error::SigningKeyUse`].
    pub fn build(evidence: &Evidence, unix_time: i64) -> Result<Self, Error> {
        let now = Asn1Time::from_unix(unix_time)?;
        let (signing_keys, others): (Vec<_>, Vec<_>) =
            evidence.certificates.iter().partition(|source| name::is_signing_key(source.item.subject_name()));
        let signing_key = only_one(&signing_keys)?;
        let certificates = find_chain(signing_key, &others, &evidence.roots, unix_time)?;
        if certificates.len() < 2 {
            return Err(Error::ChainTooShort { file: signing_key.origin.clone() });
        }
        check_use(signing_key)?;
        let mut links = Vec::new();
        for (depth, certificate) in certificates.into_iter().enumerate() {
            let subject = certificate.subject_name();
            let names = if depth == 0 { name::issuer_names(subject)? } else { vec![subject.to_owned()?] };
            links.push(Link::new(evidence.sourced(certificate), names));
        }
        let mut chain = Self { links, now: Arc::new(now) };
        for crl in &evidence.crls {
            for link in &mut chain.links {
                if let CrlStanding::Unusable(reason) = link.add(crl, &chain.now)? {
                    link.note_unusable(crl.origin.clone(), reason);
                }
            }
        }
        Ok(chain)
    }

    /// The certificates from the IBM Z signing key up to the root, at least two, each with the CRLs that its key issued.
    ///
    /// Documents are covered by the CRLs of the first, the first by those of the second, and so on; the root, which
    /// vouches for itself, by its own.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The IBM Z signing key.
    pub fn signing_key(&self) -> &Sourced<X509> {
        // `build` made sure of two.
        #[expect(clippy::indexing_slicing, reason = "a chain is never empty")]
        self.links[0].certificate()
    }

    /// The depth of the link whose key issued the CRLs for the certificate at `depth`.
    pub fn issuer_depth(&self, depth: usize) -> usize {
        (depth + 1).min(self.links.len().saturating_sub(1))
    }

    /// Takes a CRL of the link at `depth`, if it can be used: it has the link's name, is within its time, is complete, and
    /// the link's key signed it.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn add_crl(&mut self, depth: usize, crl: &Sourced<Arc<X509Crl>>) -> Result<CrlStanding, Error> {
        match self.links.get_mut(depth) {
            Some(link) => Ok(link.add(crl, &self.now)?),
            None => Ok(CrlStanding::Unrelated),
        }
    }

    /// Judges a document by all but revocation.
    ///
    /// 5. Its key is EC P-521 (a [`HostKeyDocument`] has no other), and it is valid now.
    /// 6. Its authority key identifier, if any, is the signing key's.
    /// 7. Its issuer is the signing key's subject, or one of that subject's older forms.
    /// 8. The signing key signed it, with a hash of at least 112 bits.
    /// 9. It has no critical extension that is not understood.
    ///
    /// # Errors
    /// One variant for each rule.
    pub fn check(&self, document: &HostKeyDocument) -> Result<(), Error> {
        let certificate = document.certificate();
        let signing_key = self.signing_key();
        if certificate.not_before() > self.now() {
            return Err(Error::NotYetValid(certificate.not_before().to_string()));
        }
        if certificate.not_after() <= self.now() {
            return Err(Error::Expired(certificate.not_after().to_string()));
        }
        self.check_authority_key_id(certificate)?;
        let names = self.links.first().map(Link::names).unwrap_or_default();
        if !names.iter().any(|name| name::same(name, certificate.issuer_name())) {
            let issuer = name::show(certificate.issuer_name());
            return Err(Error::Issuer { issuer, file: signing_key.origin.clone() });
        }
        let key = signing_key.item.public_key()?;
        // A signature of another kind than the key is an error of OpenSSL's, and no signature of the key.
        if !certificate.verify(&key).unwrap_or(false) {
            return Err(Error::Signature { file: signing_key.origin.clone() });
        }
        let der = certificate.to_der()?;
        if let Some(hash) = asn1::weak_signature_hash(&der) {
            return Err(Error::WeakSignature(hash));
        }
        match asn1::unknown_critical_in_document(&der) {
            Some(extension) => Err(Error::CriticalExtension(extension)),
            None => Ok(()),
        }
    }

    fn check_authority_key_id(&self, certificate: &X509) -> Result<(), Error> {
        let signer = &self.signing_key().item;
        let refuse = |what| Err(Error::AuthorityKeyId { what, file: self.signing_key().origin.clone() });
        if let (Some(stated), Some(own)) = (certificate.authority_key_id(), signer.subject_key_id()) {
            if stated.as_slice() != own.as_slice() {
                return refuse("authority key identifier");
            }
        }
        if let Some(stated) = certificate.authority_serial() {
            if stated.to_bn()? != signer.serial_number().to_bn()? {
                return refuse("authority key identifier's serial number");
            }
        }
        if let Some(issuers) = certificate.authority_issuer() {
            let mut names = issuers.iter().filter_map(|name| name.directory_name());
            if !names.any(|name| name::same(name, signer.issuer_name())) {
                return refuse("authority key identifier's issuer");
            }
        }
        Ok(())
    }

    fn now(&self) -> &Asn1TimeRef {
        &self.now
    }
}

/// Lets OpenSSL build and check the chain; CRLs are not its business here but that of `crl`, which says what is wrong with
/// each.
fn find_chain(
    signing_key: &Sourced<X509>,
    others: &[&Sourced<X509>],
    roots: &Roots,
    unix_time: i64,
) -> Result<Vec<X509>, Error> {
    let mut untrusted = Stack::new()?;
    for other in others {
        untrusted.push(other.item.clone())?;
    }
    let store = store(roots, unix_time)?;
    X509StoreContext::new()?.init(&store, &signing_key.item, &untrusted, |context| {
        let accepted = context.verify_cert()?;
        if accepted {
            return Ok(Ok(context.chain().iter().flat_map(|chain| chain.iter()).map(ToOwned::to_owned).collect()));
        }
        let subject = context.current_cert().map(|certificate| name::show(certificate.subject_name()));
        Ok(Err(Error::Chain {
            file: signing_key.origin.clone(),
            subject: subject.unwrap_or_default(),
            depth: context.error_depth(),
            reason: context.error().error_string().to_owned(),
        }))
    })?
}

fn store(roots: &Roots, unix_time: i64) -> Result<X509Store, ErrorStack> {
    let mut builder = X509StoreBuilder::new()?;
    match roots {
        Roots::Given(roots) => roots.iter().try_for_each(|root| builder.add_cert(root.item.clone()))?,
        Roots::System => builder.set_default_paths()?,
    }
    let mut param = X509VerifyParam::new()?;
    param.set_flags(
        X509VerifyFlags::X509_STRICT
            | X509VerifyFlags::TRUSTED_FIRST
            | X509VerifyFlags::CHECK_SS_SIGNATURE
            | X509VerifyFlags::POLICY_CHECK,
    )?;
    param.set_depth(MAX_INTERMEDIATES);
    param.set_auth_level(SECURITY_LEVEL);
    param.set_purpose(X509PurposeId::ANY)?;
    param.set_time(unix_time);
    builder.set_param(&param)?;
    Ok(builder.build())
}

/// What the certificate of a signing key says of its use must not exclude what it is used for here.
///
/// It ends the X.509 path: IBM's is an end entity with the key usage "digital signature" and, not critical, the extended
/// one "code signing". So neither "certificate sign" nor "CRL sign" can be asked for (RFC 5280, 4.2.1.3), and no path
/// length above counts it. But a key usage without any of these, a critical extended key usage for something else
/// (4.2.1.12), and name constraints (4.2.1.10), which nobody would apply below, are refused.
fn check_use(signing_key: &Sourced<X509>) -> Result<(), Error> {
    let refuse = |what| Err(Error::SigningKeyUse { what, file: signing_key.origin.clone() });
    if let Some(usage) = signing_key.item.key_usage() {
        if !usage.intersects(X509KeyUsage::DIGITAL_SIGNATURE | X509KeyUsage::KEY_CERT_SIGN) {
            return refuse("key usage does not allow to sign certificates");
        }
        if !usage.intersects(X509KeyUsage::DIGITAL_SIGNATURE | X509KeyUsage::CRL_SIGN) {
            return refuse("key usage does not allow to sign CRLs");
        }
    }
    let der = signing_key.item.to_der()?;
    let Some(extensions) = asn1::extensions_of_certificate(&der) else {
        return refuse("extensions cannot be read");
    };
    for extension in &extensions {
        match extension.id {
            asn1::NAME_CONSTRAINTS => return refuse("name constraints are for CAs alone"),
            asn1::EXTENDED_KEY_USAGE if extension.critical && !extension.is_for_code_signing() => {
                return refuse("extended key usage, which is critical, is not for signing code");
            }
            _ => {}
        }
    }
    Ok(())
}

/// The same certificate in several files is one.
fn only_one<'a>(signing_keys: &[&'a Sourced<X509>]) -> Result<&'a Sourced<X509>, Error> {
    let (first, others) = signing_keys.split_last().ok_or(Error::NoSigningKey)?;
    let der = first.item.to_der()?;
    for other in others {
        if other.item.to_der()? != der {
            return Err(Error::SeveralSigningKeys {
                files: signing_keys.iter().map(|source| source.origin.clone()).collect(),
            });
        }
    }
    Ok(first)
}
