#![forbid(unsafe_code)]
//! pvtools: the command-line tools for IBM Secure Execution for Linux in one binary.
//!
//! [`run`] takes the arguments and a [`System`], finds the applet that `argv[0]` (or the first argument
//! behind `pvtools`) names, and returns its exit code. An applet is thin: it turns arguments into calls
//! of the library crates and prints what they answer.
//!
//! ```text
//! argv ── applet ─┬─ pvextract-hdr ─────────── sehdr
//!                 ├─ pvsecret ──────────────── hostkey, sehdr, uvrequest, uvdevice
//!                 ├─ pvattest ──────────────── hostkey, sehdr, uvrequest, uvdevice
//!                 ├─ pvimg ─────────────────── hostkey, seimage, sehdr
//!                 ├─ pvinfo ────────────────── uvdevice
//!                 ├─ pvapconfig ────────────── apbus, uvdevice
//!                 ├─ lszcrypt, chzcrypt ────── apbus
//!                 ├─ pvverify, trust-bundle ── hostkey
//!                 └─ inspect ───────────────── uvexplain
//! ```

mod applet;
mod shared;
mod tools;

pub use applet::{Applet, run};
pub use shared::system::{System, UvOpener, forbid_core_dumps};

/// What the fuzzer calls, and nobody else.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::tools::trustee::answer_to_upload;
}
