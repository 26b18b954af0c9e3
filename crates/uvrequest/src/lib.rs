#![forbid(unsafe_code)]
//! Requests to the ultravisor, built on a trusted workstation and opened by the firmware alone.
//!
//! ```text
//! TrustedHostKey ─┐
//! BootTags ───────┼─ AddSecretRequest ── seal ── bytes for `pvsecret add`
//! GuestSecret ────┘
//! ```
//!
//! A request is a frame of authenticated data, in it the customer's public key and one key slot for each
//! machine, then an encrypted area and a tag. Each slot wraps the one request protection key.

pub mod aead;
pub mod attest;
mod error;
mod hkdf;
mod key_exchange;
mod keyslot;
pub mod layouts;
mod request_frame;
pub mod secret;

pub use error::{Error, FormatError};
pub use hkdf::hkdf_sha512;
pub use key_exchange::CustomerKey;
pub use keyslot::wrap_for_all;
