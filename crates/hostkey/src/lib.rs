#![forbid(unsafe_code)]
//! May this host-key document be used?
//!
//! A host-key document (HKD) is an X.509 certificate with the EC P-521 public key of an IBM Z machine, signed
//! by an IBM Z signing key, whose certificate a public CA signed:
//!
//! ```text
//! root CA ─ intermediate CA ─ IBM Z signing key ─ host-key document
//!    └─ CRL       └─ CRL            └─ CRL
//! ```
//!
//! Whoever gets a wrong key into a request reads its secret. So only a [`TrustedHostKey`] reaches a request
//! builder, and there are two ways to one: [`Verifier::verify`], after every rule held, and
//! [`HostKeyDocument::trust_unverified`], by explicit wish.
//!
//! Nothing here reads a clock or the environment, and no file but those of the cache: evidence and time are arguments.

mod cache;
mod chain;
mod crl;
mod der;
mod document;
mod error;
mod file;
mod name;
mod verify;

pub use cache::{CrlCache, current_crls};
pub use document::{HostKeyDocument, TrustedHostKey};
pub use error::{CrlFault, Error};
pub use file::{CertificateFile, Source};
pub use verify::{Evidence, Roots, Verifier, crl_distribution_points, is_signing_key, show_name};
