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
//! Requests to the ultravisor, built on a trusted workstation and opened by the firmware alone.
//!
//! ```text
//! TrustedHostKey ─┐
//! BootTags ───────┼─ AddSecretRequest ── seal ── bytes for `pvsecret add`
//! GuestSecret ────┘
//! ```
//!
//! Without the feature `openssl`, which is on by default, requests and exchange files can be read and not made: what a guest
//! needs.
//!
//! A request is a frame of authenticated data, in it the customer's public key and one key slot for each
//! machine, then an encrypted area and a tag. Each slot wraps the one request protection key.

#[cfg(feature = "openssl")]
pub mod aead;
pub mod attest;
mod error;
#[cfg(feature = "openssl")]
mod hkdf;
#[cfg(feature = "openssl")]
mod key_exchange;
#[cfg(feature = "openssl")]
mod keyslot;
pub mod layouts;
mod request_frame;
#[cfg(feature = "openssl")]
mod request_seal;
pub mod secret;

pub use error::{Error, FormatError};
#[cfg(feature = "openssl")]
pub use hkdf::hkdf_sha512;
#[cfg(feature = "openssl")]
pub use key_exchange::CustomerKey;
#[cfg(feature = "openssl")]
pub use keyslot::wrap_for_all;
