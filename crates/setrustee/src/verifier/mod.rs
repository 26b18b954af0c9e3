//! The folder that Trustee's Secure Execution verifier reads.
//!
//! | path | content | read |
//! |---|---|---|
//! | `rsa/encrypt_key.pem` | RSA private key, PEM without a passphrase | once |
//! | `rsa/encrypt_key.pub` | its public half, to be kept secret all the same | once |
//! | `hkds/` | host-key documents, one a file | at each challenge |
//! | `certs/` | the IBM Z signing key, exactly one, and intermediate CAs | at each challenge |
//! | `crls/` | CRLs of root, intermediate and signing key | at each challenge |
//! | `root_ca.crt` | the root; without it, those of the system | at each challenge |
//! | `hdr/hdr.bin` | the SE header of the one image that guests run | at each challenge |
//!
//! Every file of a folder counts, links included; folders below it do not. One host-key document that does not hold stops
//! all attestation.

mod check;
mod environment;
mod expiry;

pub use check::{Entry, EntryKind, Folder, MAX_HOST_KEYS, Report, Slot, check};
pub use environment::{DEFAULT_BASE, check_environment, environment};
pub use expiry::{Expiry, days_left};

/// Path of the RSA private key.
pub const RSA_PRIVATE: &str = "rsa/encrypt_key.pem";
/// Path of its public half.
pub const RSA_PUBLIC: &str = "rsa/encrypt_key.pub";
/// Folder of the host-key documents.
pub const HOST_KEY_DOCUMENTS: &str = "hkds";
/// Folder of the certificates.
pub const CERTIFICATES: &str = "certs";
/// Folder of the CRLs.
pub const CRLS: &str = "crls";
/// Path of the root CA.
pub const ROOT_CA: &str = "root_ca.crt";
/// Path of the SE header.
pub const HEADER: &str = "hdr/hdr.bin";
/// Names of the folders that the verifier reads.
pub const FOLDERS: [&str; 5] = ["rsa", HOST_KEY_DOCUMENTS, CERTIFICATES, CRLS, "hdr"];
