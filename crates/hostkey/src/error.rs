use openssl::error::ErrorStack;
use std::fmt;
use uvtypes::text::shown;

/// Reason why a host-key document, or what is needed to judge it, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file holds no certificate.
    #[error("it contains no certificate")]
    NoCertificate,
    /// The file holds no certificate revocation list.
    #[error("it contains no certificate revocation list (CRL)")]
    NoCrlInFile,
    /// A PEM block or a DER structure is damaged.
    #[error("{what} in it is damaged")]
    Damaged {
        /// Structure that the file holds: a certificate, a CRL.
        what: &'static str,
    },
    /// Bytes follow a DER structure.
    #[error("{count} bytes follow the {what}; a DER file holds one structure")]
    Trailing {
        /// Structure that the file holds: a certificate, a CRL.
        what: &'static str,
        /// Number of bytes that follow.
        count: usize,
    },
    /// The key is not EC P-521.
    #[error("expected an EC P-521 (secp521r1) key, found {found}")]
    NotP521 {
        /// Algorithm and size of the key that was found.
        found: String,
    },
    /// None of the certificates is an IBM Z signing key.
    #[error(
        "none of the certificates is an IBM Z signing key: its subject must have exactly C=US, ST=New York, \
         L=Poughkeepsie or Armonk, O and CN=International Business Machines Corporation, and an OU that ends \
         with 'Key Signing Service'"
    )]
    NoSigningKey,
    /// More than one of the certificates is an IBM Z signing key.
    #[error("more than one of the certificates is an IBM Z signing key ('{}'): give one", files.join("', '"))]
    SeveralSigningKeys {
        /// Files that hold such certificates.
        files: Vec<String>,
    },
    /// The chain from the signing key to a trusted root does not hold.
    #[error("the IBM Z signing key in '{file}' is not trusted: '{subject}' (level {depth} of the chain): {reason}")]
    Chain {
        /// File of the signing key.
        file: String,
        /// Subject of the certificate at which the chain breaks.
        subject: String,
        /// Distance in the chain from the signing key, which has 0.
        depth: u32,
        /// Fault of that certificate, in OpenSSL's words.
        reason: String,
    },
    /// The signing key is a root itself, so that nobody vouches for it.
    #[error("the IBM Z signing key in '{file}' is itself a trusted root: nobody else vouches for it")]
    ChainTooShort {
        /// File of the signing key.
        file: String,
    },
    /// The certificate of the signing key says that it is for something else.
    #[error("the IBM Z signing key in '{file}' is not for this use: its {what}")]
    SigningKeyUse {
        /// Extension that excludes this use.
        what: &'static str,
        /// File of the signing key.
        file: String,
    },
    /// A certificate of the chain is revoked.
    #[error("the certificate '{subject}' (level {depth} of the chain) is revoked: {revocation}")]
    ChainRevoked {
        /// Subject of the certificate, escaped for a terminal.
        subject: String,
        /// Distance in the chain from the signing key, which has 0.
        depth: usize,
        /// Since when, and where that is said.
        revocation: String,
    },
    /// There is no usable CRL for a certificate of the chain.
    #[error("whether '{subject}' (level {depth} of the chain) is revoked is not known: {reason}")]
    ChainNoCrl {
        /// Subject of the certificate, escaped for a terminal.
        subject: String,
        /// Distance in the chain from the signing key, which has 0.
        depth: usize,
        /// Reason why no CRL could be used.
        reason: NoUsableCrl,
    },
    /// An issuer in the chain is not allowed to sign CRLs.
    #[error(
        "whether '{subject}' (level {depth} of the chain) is revoked cannot be known: '{issuer}' may not sign CRLs"
    )]
    ChainNoCrlSigner {
        /// Subject of the certificate, escaped for a terminal.
        subject: String,
        /// Distance in the chain from the signing key, which has 0.
        depth: usize,
        /// Issuer of the certificate, escaped for a terminal.
        issuer: String,
    },
    /// The document's time has not come.
    #[error("it is not valid before {0}")]
    NotYetValid(String),
    /// The document's time is over.
    #[error("it expired on {0}")]
    Expired(String),
    /// The document says that another key signed it.
    #[error("its {what} does not fit the IBM Z signing key in '{file}'")]
    AuthorityKeyId {
        /// Part of the authority key identifier that differs.
        what: &'static str,
        /// File of the signing key.
        file: String,
    },
    /// The document says that somebody else signed it.
    #[error("its issuer is '{issuer}', not the subject of the IBM Z signing key in '{file}'")]
    Issuer {
        /// Issuer that the document names, escaped for a terminal.
        issuer: String,
        /// File of the signing key.
        file: String,
    },
    /// The signature does not hold.
    #[error("its signature was not made by the IBM Z signing key in '{file}'")]
    Signature {
        /// File of the signing key.
        file: String,
    },
    /// The signature uses a hash that can be forged.
    #[error("it is signed with {0}, which is too weak")]
    WeakSignature(String),
    /// The document demands something that is not understood.
    #[error("it has an extension that must be understood but is not known: {0}")]
    CriticalExtension(String),
    /// The document is revoked.
    #[error("it is revoked: {0}")]
    Revoked(String),
    /// There is no usable CRL of the signing key.
    #[error("whether it is revoked is not known: {0}")]
    NoCrl(NoUsableCrl),
    /// OpenSSL refused an operation.
    #[error("OpenSSL failed")]
    OpenSsl(#[from] ErrorStack),
}

/// Reason why no CRL of an issuer can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoUsableCrl {
    /// Name of the issuer whose CRL is needed.
    pub issuer: String,
    /// CRLs of that issuer that were given, and what is wrong with each.
    pub unusable: Vec<(String, String)>,
    /// Addresses of such a CRL, each with the reason why it could not be had there, if that was tried.
    pub distribution_points: Vec<(String, Option<String>)>,
}

/// Addresses that an error tells of, at most; those that failed for the same reason count as one.
const TOLD: usize = 8;

impl fmt::Display for NoUsableCrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unusable.is_empty() {
            write!(f, "no CRL of '{}' was given", self.issuer)?;
        } else {
            write!(f, "no CRL of '{}' can be used", self.issuer)?;
        }
        for (number, (file, reason)) in self.unusable.iter().enumerate() {
            write!(f, "{} '{file}' {reason}", if number == 0 { ":" } else { "," })?;
        }
        let mut addresses = self.distribution_points.iter().peekable();
        let mut told = 0;
        while let Some((address, failure)) = addresses.next() {
            if told == TOLD {
                return write!(f, "; and {} more addresses", 1 + addresses.count());
            }
            told += 1;
            // Whoever made the certificate wrote this.
            let address = shown(address);
            let mut alike = 0;
            while addresses.next_if(|(_, other)| failure.is_some() && other == failure).is_some() {
                alike += 1;
            }
            match failure {
                Some(failure) if alike > 0 => write!(f, "; from {address} and {alike} more addresses: {failure}")?,
                Some(failure) => write!(f, "; from {address}: {failure}")?,
                None => write!(f, "; it can be downloaded from {address}")?,
            }
        }
        Ok(())
    }
}
