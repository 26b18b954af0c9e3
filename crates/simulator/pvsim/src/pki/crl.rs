//! Certificate revocation lists, written as DER: OpenSSL's Rust interface builds only plain ones.

use super::{Authority, DAY, Entries, der, x509_name};
use crate::Error;
use openssl::hash::MessageDigest;
use openssl::pkey::Id;
use openssl::sign::Signer;
use openssl::x509::X509Crl;

/// Why a certificate is on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The list does not say.
    Unspecified,
    /// On hold.
    Hold,
    /// No longer on the list: for lists of changes alone.
    RemoveFromCrl,
}

/// A CRL to be signed.
#[derive(Clone, Debug)]
pub struct CrlSpec {
    /// Whose it is said to be.
    pub issuer: Entries,
    /// Valid from, in seconds since 1970.
    pub last_update: i64,
    /// Valid until; CRLs need not say so.
    pub next_update: Option<i64>,
    /// Serial numbers.
    pub revoked: Vec<(u32, Reason)>,
    /// Key identifier of the issuer: `None` for none, `Some(None)` for the right one.
    pub authority_key_id: Option<Option<Vec<u8>>>,
    /// It covers CA certificates only, and says so in a critical extension.
    pub only_authorities: bool,
    /// Has a critical extension that nobody knows.
    pub unknown_critical: bool,
    /// Signed with SHA-1.
    pub sha1: bool,
    /// One bit of the signature is wrong.
    pub broken: bool,
}

impl CrlSpec {
    /// A sound one without entries, valid from yesterday for a month.
    pub fn new(issuer: Entries, now: i64) -> Self {
        Self {
            issuer,
            last_update: now - DAY,
            next_update: Some(now + 30 * DAY),
            revoked: Vec::new(),
            authority_key_id: Some(None),
            only_authorities: false,
            unknown_critical: false,
            sha1: false,
            broken: false,
        }
    }

    /// Signs it with the key of `signer`.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn sign(&self, signer: &Authority) -> Result<X509Crl, Error> {
        let algorithm = match (signer.key.id(), self.sha1) {
            (Id::RSA, false) => der::sequence(&[&der::oid("1.2.840.113549.1.1.11"), &[0x05, 0x00]]),
            (Id::RSA, true) => der::sequence(&[&der::oid("1.2.840.113549.1.1.5"), &[0x05, 0x00]]),
            (_, false) => der::sequence(&[&der::oid("1.2.840.10045.4.3.2")]),
            (_, true) => der::sequence(&[&der::oid("1.2.840.10045.4.1")]),
        };
        let digest = if self.sha1 { MessageDigest::sha1() } else { MessageDigest::sha256() };
        let tbs = der::sequence(&[
            &der::integer(1),
            &algorithm,
            &x509_name(&self.issuer)?.to_der()?,
            &der::time(self.last_update),
            &self.next_update.map(der::time).unwrap_or_default(),
            &self.entries(),
            &self.extensions(signer),
        ]);
        let mut signature = Signer::new(digest, &signer.key)?.sign_oneshot_to_vec(&tbs)?;
        if self.broken {
            if let Some(byte) = signature.last_mut() {
                *byte ^= 1;
            }
        }
        // No unused bits.
        let signature = der::tagged(0x03, &[&[0][..], &signature].concat());
        Ok(X509Crl::from_der(&der::sequence(&[&tbs, &algorithm, &signature]))?)
    }

    fn entries(&self) -> Vec<u8> {
        if self.revoked.is_empty() {
            return Vec::new();
        }
        let entries = self.revoked.iter().map(|(serial, reason)| {
            let code = match reason {
                Reason::Unspecified => None,
                Reason::Hold => Some(6),
                Reason::RemoveFromCrl => Some(8),
            };
            let extensions =
                code.map(|code| der::sequence(&[&der::extension("2.5.29.21", false, &[0x0a, 0x01, code])]));
            let since = der::time(self.last_update);
            der::sequence(&[&der::integer(*serial), &since, &extensions.unwrap_or_default()])
        });
        der::sequence(&[&entries.collect::<Vec<_>>().concat()])
    }

    fn extensions(&self, signer: &Authority) -> Vec<u8> {
        let mut extensions = vec![der::extension("2.5.29.20", false, &der::integer(1))];
        if let Some(id) = &self.authority_key_id {
            let own = || signer.certificate.subject_key_id().map(|id| id.as_slice().to_vec());
            if let Some(id) = id.clone().or_else(own) {
                extensions.push(der::extension("2.5.29.35", false, &der::sequence(&[&der::tagged(0x80, &id)])));
            }
        }
        if self.only_authorities {
            extensions.push(der::extension("2.5.29.28", true, &der::sequence(&[&[0x82, 0x01, 0xff]])));
        }
        if self.unknown_critical {
            extensions.push(der::extension("1.3.6.1.4.1.99999.2", true, &der::octets(b"?")));
        }
        der::tagged(0xa0, &der::sequence(&[&extensions.concat()]))
    }
}
