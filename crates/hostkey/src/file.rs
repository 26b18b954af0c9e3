//! Files with certificates and CRLs, PEM or DER.

use crate::{Error, asn1};
use memchr::memchr;
use memchr::memmem::find;
use openssl::base64::decode_block;
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
    /// Certificates in the order of the file.
    pub certificates: Vec<X509>,
    /// CRLs in the order of the file.
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
                    let crl = block.whole.and_then(crl_of_pem);
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
            refuse_trailing("certificate", || certificate.to_der(), bytes)?;
            file.certificates.push(certificate);
        } else if let Ok(crl) = X509Crl::from_der(bytes) {
            refuse_trailing("CRL", || crl.to_der(), bytes)?;
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

/// The CRL in a PEM block. OpenSSL reads PEM line by line, which for a CRL of 100,000 entries takes a third as long as
/// parsing it. So the form that all programs write is decoded in one go, and left to OpenSSL is any other.
fn crl_of_pem(block: &[u8]) -> Option<X509Crl> {
    let usual = base64_of_pem(block).and_then(|base64| X509Crl::from_der(&decode_block(&base64).ok()?).ok());
    usual.or_else(|| X509Crl::from_pem(block).ok())
}

/// The base64 between the first and the last line of a PEM block, if it is in lines of 64 characters and a last one.
fn base64_of_pem(block: &[u8]) -> Option<String> {
    const LINE: usize = 64;
    let mut rest = block.get(memchr(b'\n', block)? + 1..)?;
    let mut base64 = Vec::with_capacity(rest.len());
    while !rest.starts_with(b"-----END ") {
        let (line, next) = rest.split_at_checked(memchr(b'\n', rest)?)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.len() > LINE || base64.len() % LINE != 0 {
            return None;
        }
        base64.extend_from_slice(line);
        rest = next.get(1..)?;
    }
    // Padding stands at the end alone; the decoder takes it for zeros everywhere.
    let padding = memchr(b'=', &base64).map_or(0, |at| base64.len() - at);
    (padding <= 2).then(|| String::from_utf8(base64).ok()).flatten()
}

/// The structure in `bytes` must be all of them. One that is not DER is as long as what is made of it.
fn refuse_trailing(
    what: &'static str,
    encoded: impl Fn() -> Result<Vec<u8>, ErrorStack>,
    bytes: &[u8],
) -> Result<(), Error> {
    let length = match asn1::length_of_first(bytes) {
        Some(length) => length,
        None => encoded()?.len(),
    };
    match bytes.len().saturating_sub(length) {
        0 => Ok(()),
        count => Err(Error::Trailing { what, count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(body: &str) -> String {
        format!("-----BEGIN X509 CRL-----\n{body}-----END X509 CRL-----")
    }

    #[test]
    fn decodes_the_usual_form_of_pem_and_no_other() {
        let line = "A".repeat(64);
        for (row, body, base64) in [
            ("two lines", format!("{line}\nQUJD\n"), Some(format!("{line}QUJD"))),
            ("a whole line at the end", format!("{line}\n{line}\n"), Some(line.repeat(2))),
            ("CRLF", format!("{line}\r\nQQ==\r\n"), Some(format!("{line}QQ=="))),
            ("nothing", String::new(), Some(String::new())),
            ("a short line inside", "QUJD\nQUJD\n".to_owned(), None),
            ("a long line", format!("{line}A\n"), None),
            ("an empty line", format!("{line}\n\nQUJD\n"), None),
            ("padding inside", "QQ==QUJD\n".to_owned(), None),
        ] {
            assert_eq!(base64_of_pem(block(&body).as_bytes()), base64, "{row}");
        }
        // What is no base64 is refused by the decoder, and then by OpenSSL.
        assert!(crl_of_pem(block("Proc-Type: 4,ENCRYPTED\n").as_bytes()).is_none());
    }
}
