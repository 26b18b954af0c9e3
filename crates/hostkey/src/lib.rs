#![forbid(unsafe_code)]
//! May this host-key document be used?
//!
//! A host-key document (HKD) is an X.509 certificate with the EC P-521 public key of an IBM Z machine.
//! Only a [`TrustedHostKey`] reaches a request builder.

mod document;
mod error;

pub use document::{HostKeyDocument, HostKeyHash, TrustedHostKey};
pub use error::Error;
