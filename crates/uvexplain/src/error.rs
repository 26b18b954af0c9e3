use crate::Report;
use std::io;

/// Reason why a file cannot be explained, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is none of the kinds that are known.
    #[error(
        "it is none of: SE image, SE header, add-secret request, attestation request or exchange, \
         certificate, CRL, secret list, secret identity"
    )]
    Unknown,
    /// The file is larger than any that is read as a whole.
    #[error("it is larger than {limit} bytes and no SE image")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file ends, or contradicts itself, inside a field.
    #[error("it is a damaged {}", report.kind)]
    Broken {
        /// Fields up to the fault.
        report: Box<Report>,
        /// The fault, with its offset.
        source: uvtypes::ReadError,
    },
    /// The file could not be read.
    #[error("cannot read")]
    Io(#[from] io::Error),
}
