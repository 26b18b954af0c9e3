#![forbid(unsafe_code)]
//! A simulated Secure Execution guest: its machine, its firmware, and what the kernel shows of them.
//!
//! Nothing that ships depends on this crate. What it shares with the product is the ABI of `/dev/uv` and the
//! bounds-checked reader; how requests are decoded is written here once more, from the format, so that a
//! mistake of the builder shows.

pub mod device;
mod error;
mod host_key;
pub mod image;
pub mod open;

pub use error::Error;
pub use host_key::{Coordinates, HostKey};
