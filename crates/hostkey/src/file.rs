//! Files with certificates and CRLs, PEM or DER.

use crate::Error;
use memchr::memmem::find;
use openssl::error::ErrorStack;
use openssl::x509::{X509, X509Crl};
use std::fmt;
use std::sync::Arc;

/// Something, and where it came from: a file, an address, the system's store.
#[derive(Clone)]
pub struct Sourced<T> {
    /// Place that the item came from, as errors shall name it: a path, an address.
    pub origin: String,
    /// Item that was there.
    pub item: T,
}

/// All certificates and CRLs of one file, in their order.
#[derive(Default)]
pub struct CertificateFile {
    /// The certificates.
    pub certificates: Vec<X509>,
    /// The CRLs.
    pub crls: Vec<Arc<X509Crl>>,
}

impl<T> fmt::Debug for Sourced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sourced('{}')", self.origin)
    }
}

impl fmt::Debug for CertificateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateFile({} certificates, {} CRLs)", self.certificates.len(), self.crls.len())
    }
}

impl CertificateFile {
    /// Parses PEM (any number of blocks, with other text between them) or DER (one structure).
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Trailing`]. A file with nothing in it is no error here.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut blocks = pem_blocks(bytes).peekable();
        if blocks.peek().is_none() {
            return Self::parse_der(bytes);
        }
        let mut file = Self::default();
        for block in blocks {
            match block.kind {
                PemKind::Certificate => {
                    let certificate = block.whole.and_then(|block| X509::from_pem(block).ok());
                    file.certificates.push(certificate.ok_or(Error::Damaged { what: "a certificate" })?);
                }
                PemKind::Crl => {
                    let crl = block.whole.and_then(|block| X509Crl::from_pem(block).ok());
                    file.crls.push(Arc::new(crl.ok_or(Error::Damaged { what: "a CRL" })?));
                }
                PemKind::Other => {}
            }
        }
        Ok(file)
    }

    fn parse_der(bytes: &[u8]) -> Result<Self, Error> {
        let mut file = Self::default();
        if let Ok(certificate) = X509::from_der(bytes) {
            refuse_trailing("certificate", certificate.to_der(), bytes)?;
            file.certificates.push(certificate);
        } else if let Ok(crl) = X509Crl::from_der(bytes) {
            refuse_trailing("CRL", crl.to_der(), bytes)?;
            file.crls.push(Arc::new(crl));
        } else if bytes.starts_with(&[0x30]) {
            return Err(Error::Damaged { what: "the DER structure" });
        }
        Ok(file)
    }
}

/// Content of a PEM block, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemKind {
    /// A certificate, under any of OpenSSL's labels.
    Certificate,
    /// A certificate revocation list.
    Crl,
    /// Anything else: a key, a request.
    Other,
}

/// A block of a PEM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PemBlock<'a> {
    /// By its first line.
    pub kind: PemKind,
    /// From the first line to the last; `None` when the last line is missing.
    pub whole: Option<&'a [u8]>,
}

/// The blocks of a PEM file in their order. What stands around them is skipped.
pub fn pem_blocks(bytes: &[u8]) -> impl Iterator<Item = PemBlock<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let start = find(rest, b"-----BEGIN ")?;
        let block = rest.get(start..)?;
        let label = block.get(b"-----BEGIN ".len()..)?;
        let label = label.get(..find(label, b"-----")?)?;
        let kind = match label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" | b"TRUSTED CERTIFICATE" => PemKind::Certificate,
            b"X509 CRL" => PemKind::Crl,
            _ => PemKind::Other,
        };
        let end_line = [b"-----END ", label, b"-----"].concat();
        let whole = find(block, &end_line).and_then(|end| block.get(..end + end_line.len()));
        rest = whole.and_then(|whole| block.get(whole.len()..)).unwrap_or_default();
        Some(PemBlock { kind, whole })
    })
}

fn refuse_trailing(what: &'static str, own: Result<Vec<u8>, ErrorStack>, bytes: &[u8]) -> Result<(), Error> {
    match bytes.len().saturating_sub(own?.len()) {
        0 => Ok(()),
        count => Err(Error::Trailing { what, count }),
    }
}
