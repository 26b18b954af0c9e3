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
//!                 ├─ pvattest ──────────────── hostkey, sehdr, uvrequest, uvdevice, fetch
//!                 ├─ pvinfo ────────────────── uvdevice
//!                 ├─ pvapconfig ────────────── apbus, uvdevice
//!                 ├─ lszcrypt, chzcrypt ────── apbus
//!                 ├─ pvverify, trust-bundle ── hostkey, fetch
//!                 └─ inspect ───────────────── inspect
//! ```

mod applet;
mod chzcrypt;
mod cli;
mod clock;
mod crls;
mod error;
mod host_keys;
mod input;
mod inspect;
mod lszcrypt;
mod output;
mod pvapconfig;
mod pvattest;
mod pvextract_hdr;
mod pvinfo;
mod pvsecret;
mod pvverify;
mod se_header;
mod system;
mod trust_bundle;
mod trust_chain;

pub use applet::{Applet, run};
pub use system::{System, UvOpener, forbid_core_dumps};
