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
#![cfg_attr(
    not(feature = "workstation"),
    expect(dead_code, reason = "shared code that only a workstation's tools call")
)]
//! pvtools: the command-line tools for IBM Secure Execution for Linux in one binary.
//!
//! [`run`] takes the arguments and a [`System`], finds the applet that `argv[0]` (or the first argument
//! behind `pvtools`) names, and returns its exit code. An applet is thin: it turns arguments into calls
//! of the library crates and prints what they answer.
//!
//! Without the feature `workstation` it is the program of a guest: no OpenSSL, and only what a guest needs.
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
mod install_links;
mod shared;
mod tools;

pub use applet::{Applet, run};
pub use shared::system::{System, UvOpener, forbid_core_dumps};

/// What the fuzzer calls, and nobody else.
#[cfg(fuzzing)]
pub mod fuzzing {
    use crate::System;
    use crate::shared::output::{Outputs, Privacy, same_target};
    pub use crate::tools::trustee::answer_to_upload;
    use std::path::PathBuf;

    /// Makes outputs as a command does: paths, what goes there, and whether it is a secret.
    pub fn make_outputs(outputs: &[(PathBuf, &[u8], bool)], system: &mut System) -> Result<(), String> {
        let mut staged = Outputs::default();
        for (number, (path, bytes, is_secret)) in outputs.iter().enumerate() {
            if outputs.iter().skip(number + 1).any(|(other, ..)| same_target(path, other)) {
                return Err("two outputs are one".to_owned());
            }
            let privacy = if *is_secret { Privacy::Secret } else { Privacy::Public };
            staged.add(path, bytes, privacy, "it").map_err(|error| format!("{error:#}"))?;
        }
        staged.publish(system).map_err(|error| format!("{error:#}"))
    }
}
