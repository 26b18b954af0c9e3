//! CRLs that were downloaded before.

use crate::CertificateFile;
use crate::name;
use openssl::asn1::Asn1Time;
use openssl::sha::sha256;
use openssl::x509::{X509, X509Crl};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// A folder with one file for each address, named by the SHA-256 of the address.
///
/// Files appear by renaming, so any number of processes may use the folder. Nothing in it is trusted: a CRL
/// from here goes through the same checks as one from a server.
#[derive(Clone, Debug)]
pub struct CrlCache {
    folder: PathBuf,
}

impl CrlCache {
    /// A cache in `folder`, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What was stored for an address.
    pub fn load(&self, url: &str) -> Option<Vec<u8>> {
        fs::read(self.path(url)).ok()
    }

    /// Keeps what came from an address.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn store(&self, url: &str, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(self.path(url)).map(drop).map_err(|error| error.error)
    }

    fn path(&self, url: &str) -> PathBuf {
        let hash = sha256(url.as_bytes());
        self.folder.join(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

/// The CRLs in `answer` that may say something about `certificate` at `unix_time`: of its issuer, under any of the
/// issuer's names, and within their time. Everything else about them is for the verifier to check.
pub fn current_crls(answer: &[u8], certificate: &X509, unix_time: i64) -> Vec<X509Crl> {
    let Ok(now) = Asn1Time::from_unix(unix_time) else { return Vec::new() };
    let Ok(file) = CertificateFile::parse(answer) else { return Vec::new() };
    let is_issuers = |crl: &X509Crl| {
        // An Armonk key's documents may have Poughkeepsie as issuer, and the other way round its CRLs.
        let of =
            |one, other| name::issuer_names(one).is_ok_and(|names| names.iter().any(|name| name::same(name, other)));
        of(certificate.issuer_name(), crl.issuer_name()) || of(crl.issuer_name(), certificate.issuer_name())
    };
    let is_current =
        |crl: &X509Crl| crl.last_update() <= &*now && crl.next_update().is_some_and(|next_update| next_update > &*now);
    file.crls.into_iter().filter(|crl| is_issuers(crl) && is_current(crl)).collect()
}
