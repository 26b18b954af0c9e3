//! Files with certificates and CRLs, PEM or DER.

use crate::Error;
use openssl::error::ErrorStack;
use openssl::x509::{X509, X509Crl};
use std::fmt;

/// Something that came from a file.
#[derive(Clone)]
pub struct Source<T> {
    /// What the file is called in errors.
    pub file: String,
    /// What was in it.
    pub item: T,
}

/// All certificates and CRLs of one file, in their order.
#[derive(Default)]
pub struct CertificateFile {
    /// The certificates.
    pub certificates: Vec<X509>,
    /// The CRLs.
    pub crls: Vec<X509Crl>,
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source('{}')", self.file)
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
        let text = String::from_utf8_lossy(bytes);
        if text.contains("-----BEGIN ") { Self::parse_pem(&text) } else { Self::parse_der(bytes) }
    }

    fn parse_pem(text: &str) -> Result<Self, Error> {
        let mut file = Self::default();
        let mut rest = text;
        while let Some((label, block, behind)) = next_block(rest) {
            match label {
                "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                    let certificate = block.and_then(|block| X509::from_pem(block.as_bytes()).ok());
                    file.certificates.push(certificate.ok_or(Error::Damaged { what: "a certificate" })?);
                }
                "X509 CRL" => {
                    let crl = block.and_then(|block| X509Crl::from_pem(block.as_bytes()).ok());
                    file.crls.push(crl.ok_or(Error::Damaged { what: "a CRL" })?);
                }
                _ => {}
            }
            rest = behind;
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
            file.crls.push(crl);
        } else if bytes.starts_with(&[0x30]) {
            return Err(Error::Damaged { what: "the DER structure" });
        }
        Ok(file)
    }
}

/// Label, whole block (unless its end is missing), and what follows.
fn next_block(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let start = text.find("-----BEGIN ")?;
    let block = text.get(start..)?;
    let (label, _) = block.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let end_line = format!("-----END {label}-----");
    match block.find(&end_line) {
        Some(end) => Some((label, block.get(..end + end_line.len()), block.get(end + end_line.len()..)?)),
        None => Some((label, None, "")),
    }
}

fn refuse_trailing(what: &'static str, own: Result<Vec<u8>, ErrorStack>, bytes: &[u8]) -> Result<(), Error> {
    match bytes.len().saturating_sub(own?.len()) {
        0 => Ok(()),
        count => Err(Error::Trailing { what, count }),
    }
}
