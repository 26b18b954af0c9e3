#![forbid(unsafe_code)]
// What others wrote is taken apart here: nothing that can panic or cut a number off, without a reason beside it.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]
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
//! Nothing here reads a clock, the environment, a file or the network: evidence and time are arguments. [`Chain`] says
//! which CRLs are still missing once the rest holds, so that whoever downloads them asks on nobody's word but the chain's.

mod asn1;
mod chain;
mod crl;
mod document;
mod error;
mod file;
mod name;
mod serials;
mod verify;

pub use chain::Chain;
pub use crl::{CrlStanding, Link, RevocationStatus, distribution_points};
pub use document::{HostKeyDocument, TrustedHostKey, coordinates};
pub use error::{Error, NoUsableCrl};
pub use file::{CertificateFile, PemBlock, PemKind, Sourced, pem_blocks};
pub use verify::{Evidence, Roots, Verifier, is_signing_key, show_name};
