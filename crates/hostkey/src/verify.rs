//! The verdict over a chain and over host-key documents.

use crate::crl::{Link, RevocationStatus};
use crate::file::Sourced;
use crate::{Chain, Error, HostKeyDocument, TrustedHostKey, name};
use openssl::x509::{X509, X509Crl, X509KeyUsage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whom the chain ends at.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Only these certificates are trusted as roots.
    Given(Vec<Sourced<X509>>),
    /// OpenSSL's default store.
    System,
}

/// All that is known when host-key documents are judged.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The IBM Z signing key and intermediate certificates.
    pub certificates: Vec<Sourced<X509>>,
    /// CRLs of all of them.
    pub crls: Vec<Sourced<Arc<X509Crl>>>,
    /// Root certificates that a chain may end in.
    pub roots: Roots,
}

impl Evidence {
    /// A certificate that OpenSSL put into a chain, with where it is in the evidence.
    pub(crate) fn sourced(&self, certificate: X509) -> Sourced<X509> {
        let roots = match &self.roots {
            Roots::Given(roots) => roots.as_slice(),
            Roots::System => &[],
        };
        let found = self.certificates.iter().chain(roots).find(|source| source.item == certificate);
        let origin = found.map_or_else(|| "the system's store".to_owned(), |source| source.origin.clone());
        Sourced { origin, item: certificate }
    }
}

/// A trusted IBM Z signing key with its CRLs, at one point in time.
#[derive(Clone, Debug)]
pub struct Verifier {
    chain: Chain,
    failures: BTreeMap<String, String>,
}

impl Verifier {
    /// Builds the chain of the IBM Z signing key (rules 1 to 3, [`Chain::build`]) and checks that none of it is revoked
    /// (rule 4, [`Verifier::of_chain`]), with no other CRLs than those of the evidence.
    ///
    /// # Errors
    /// Those of [`Chain::build`] and [`Verifier::of_chain`].
    pub fn new(evidence: &Evidence, unix_time: i64) -> Result<Self, Error> {
        Self::of_chain(Chain::build(evidence, unix_time)?, BTreeMap::new())
    }

    /// Checks that no certificate of the chain is revoked.
    ///
    /// 4. Every certificate of the chain has a usable CRL of its issuer, which may sign CRLs, and none lists it.
    ///
    /// `failures` says for addresses why no CRL could be had there, for errors to tell.
    ///
    /// # Errors
    /// [`Error::ChainRevoked`], [`Error::ChainNoCrl`], [`Error::ChainNoCrlSigner`].
    pub fn of_chain(chain: Chain, failures: BTreeMap<String, String>) -> Result<Self, Error> {
        for (depth, link) in chain.links().iter().enumerate() {
            // The root vouches for itself, and lists itself if it must be revoked.
            let issuer = chain.links().get(chain.issuer_depth(depth)).unwrap_or(link);
            refuse_revoked(&link.certificate().item, issuer, depth, &failures)?;
        }
        Ok(Self { chain, failures })
    }

    /// Judges a document: by rules 5 to 9 of [`Chain::check`], and by the last.
    ///
    /// 10. The signing key has a usable CRL, and none lists the document.
    ///
    /// # Errors
    /// One variant for each rule.
    pub fn verify(&self, document: &HostKeyDocument) -> Result<TrustedHostKey, Error> {
        self.chain.check(document)?;
        let status = self.chain.links().first().map(|signer| signer.status(document.certificate(), &self.failures));
        match status.ok_or(Error::NoSigningKey)? {
            RevocationStatus::Good => Ok(document.trust_verified()),
            RevocationStatus::Revoked(revocation) => Err(Error::Revoked(revocation)),
            RevocationStatus::Unknown(reason) => Err(Error::NoCrl(reason)),
        }
    }

    /// The chain, with the CRLs of each of its certificates.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }
}

fn refuse_revoked(
    certificate: &X509,
    issuer: &Link,
    depth: usize,
    failures: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let subject = name::show(certificate.subject_name());
    let issuing = &issuer.certificate().item;
    if issuing.key_usage().is_some_and(|usage| !usage.contains(X509KeyUsage::CRL_SIGN)) {
        return Err(Error::ChainNoCrlSigner { subject, depth, issuer: name::show(issuing.subject_name()) });
    }
    match issuer.status(certificate, failures) {
        RevocationStatus::Good => Ok(()),
        RevocationStatus::Revoked(revocation) => Err(Error::ChainRevoked { subject, depth, revocation }),
        RevocationStatus::Unknown(reason) => Err(Error::ChainNoCrl { subject, depth, reason }),
    }
}

/// Whether the subject of a certificate is that of an IBM Z signing key.
pub fn is_signing_key(certificate: &X509) -> bool {
    name::is_signing_key(certificate.subject_name())
}

/// A name in words, fit for a terminal.
pub fn show_name(name: &openssl::x509::X509NameRef) -> String {
    name::show(name)
}
