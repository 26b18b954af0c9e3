//! The rules by which a host-key document is judged, in their order.

use crate::chain::Known;
use crate::crl::{Issuer, Judgement, distribution_points};
use crate::file::Source;
use crate::{Error, HostKeyDocument, TrustedHostKey, chain, der, name};
use openssl::asn1::Asn1Time;
use openssl::x509::{X509, X509Crl};
use std::collections::BTreeMap;
use std::fmt;

/// Whom the chain ends at.
#[derive(Clone, Debug)]
pub enum Roots {
    /// These certificates alone.
    Given(Vec<Source<X509>>),
    /// OpenSSL's default store.
    System,
}

/// All that is known when host-key documents are judged.
#[derive(Debug)]
pub struct Evidence {
    /// The IBM Z signing key and intermediate certificates.
    pub certificates: Vec<Source<X509>>,
    /// CRLs of all of them.
    pub crls: Vec<Source<X509Crl>>,
    /// Trusted roots.
    pub roots: Roots,
    /// Addresses from which no CRL could be had, and why: errors name them.
    pub failures: BTreeMap<String, String>,
}

/// A trusted IBM Z signing key with its CRLs, at one point in time.
pub struct Verifier {
    signing_key: Source<X509>,
    crls: Vec<Source<X509Crl>>,
    failures: BTreeMap<String, String>,
    now: Asn1Time,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({:?}, {} CRLs, at {})", self.signing_key, self.crls.len(), &*self.now)
    }
}

impl Verifier {
    /// Finds the IBM Z signing key among the certificates and checks its chain.
    ///
    /// 1. Exactly one of the certificates is an IBM Z signing key, by its subject.
    /// 2. It chains to a root: X.509 to the letter, at most two intermediates, at least 112 bits of security.
    /// 3. Every certificate of the chain has a valid CRL of its issuer, which does not list it.
    ///
    /// `unix_time` is the time to judge at, in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`], [`Error::SeveralSigningKeys`], [`Error::Chain`], [`Error::ChainTooShort`],
    /// [`Error::ChainRevoked`], [`Error::ChainNoCrl`].
    pub fn new(evidence: Evidence, unix_time: i64) -> Result<Self, Error> {
        let now = Asn1Time::from_unix(unix_time)?;
        let (signing_keys, others): (Vec<_>, Vec<_>) =
            evidence.certificates.into_iter().partition(|source| name::is_signing_key(source.item.subject_name()));
        let signing_key = only_one(signing_keys)?;
        let Evidence { crls, roots, failures, .. } = evidence;
        let known = Known { roots: &roots, crls: &crls, failures: &failures };
        chain::verify(&signing_key, &others, &known, unix_time, &now)?;
        Ok(Self { signing_key, crls, failures, now })
    }

    /// Judges a document.
    ///
    /// 4. Its key is EC P-521 (a [`HostKeyDocument`] has no other), and it is valid now.
    /// 5. Its issuer is the signing key's subject, or one of that subject's older forms.
    /// 6. Its authority key identifier, if any, is the signing key's.
    /// 7. The signing key signed it, with a hash of at least 112 bits.
    /// 8. It has no critical extension that is not understood.
    /// 9. The signing key has a valid CRL, and no valid one lists the document.
    ///
    /// # Errors
    /// One variant for each rule.
    pub fn verify(&self, document: &HostKeyDocument) -> Result<TrustedHostKey, Error> {
        let certificate = document.certificate();
        let der = certificate.to_der()?;
        if certificate.not_before() > self.now {
            return Err(Error::NotYetValid(certificate.not_before().to_string()));
        }
        if certificate.not_after() <= self.now {
            return Err(Error::Expired(certificate.not_after().to_string()));
        }
        let signer = Issuer {
            certificate: &self.signing_key.item,
            names: name::issuer_names(self.signing_key.item.subject_name())?,
            failures: &self.failures,
        };
        self.check_authority_key_id(certificate)?;
        if !signer.names.iter().any(|name| name::same(name, certificate.issuer_name())) {
            let issuer = name::show(certificate.issuer_name());
            return Err(Error::Issuer { issuer, file: self.signing_key.file.clone() });
        }
        let key = self.signing_key.item.public_key()?;
        // A signature of another kind than the key is an error of OpenSSL's, and no signature of the key.
        if !certificate.verify(&key).unwrap_or(false) {
            return Err(Error::Signature { file: self.signing_key.file.clone() });
        }
        if let Some(hash) = der::weak_signature_hash(&der) {
            return Err(Error::WeakSignature(hash));
        }
        if let Some(extension) = der::unknown_critical_in_certificate(&der) {
            return Err(Error::CriticalExtension(extension));
        }
        match signer.judge(certificate, &self.crls, &self.now)? {
            Judgement::Good => Ok(document.trust_verified()),
            Judgement::Revoked(revocation) => Err(Error::Revoked(revocation)),
            Judgement::Unknown(fault) => Err(Error::NoCrl(fault)),
        }
    }

    /// The certificate of the signing key, and the file it came from.
    pub fn signing_key(&self) -> &Source<X509> {
        &self.signing_key
    }

    /// All CRLs that are known.
    pub fn crls(&self) -> &[Source<X509Crl>] {
        &self.crls
    }

    fn check_authority_key_id(&self, certificate: &X509) -> Result<(), Error> {
        let signer = &self.signing_key.item;
        let refuse = |what| Err(Error::AuthorityKeyId { what, file: self.signing_key.file.clone() });
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
}

/// Whether the subject of a certificate is that of an IBM Z signing key.
pub fn is_signing_key(certificate: &X509) -> bool {
    name::is_signing_key(certificate.subject_name())
}

/// A name in words, without control characters.
pub fn show_name(name: &openssl::x509::X509NameRef) -> String {
    name::show(name)
}

/// Where CRLs of a certificate's issuer can be had.
pub fn crl_distribution_points(certificate: &X509) -> Vec<String> {
    distribution_points(certificate)
}

/// The same certificate in several files is one.
fn only_one(mut signing_keys: Vec<Source<X509>>) -> Result<Source<X509>, Error> {
    let first = signing_keys.pop().ok_or(Error::NoSigningKey)?;
    let der = first.item.to_der()?;
    for other in &signing_keys {
        if other.item.to_der()? != der {
            let mut files: Vec<_> = signing_keys.into_iter().map(|source| source.file).collect();
            files.push(first.file);
            return Err(Error::SeveralSigningKeys { files });
        }
    }
    Ok(first)
}
