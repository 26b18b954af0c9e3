//! The parts of the SE boot loader that need no machine: its arguments, its sentences, and how a line of text is put
//! for the consoles.
//!
//! The loader's two programs, stage3a and stage3b, are in `freestanding/`; `build.sh` builds them with this crate for a
//! bare s390x machine. All other builds of the crate are for its tests.
//!
//! Code here has to compile to a loader of a few KiB: no panic may be reachable (the link fails if one is), no
//! formatting of `core`, no floating point.

#![no_std]
#![forbid(unsafe_code)]

pub mod arguments;
pub mod ebcdic;
pub mod line;
pub mod refusal;
pub mod sccb;

/// The program that asks for secure mode, of the README's table.
#[cfg(feature = "binaries")]
pub const STAGE3A: &[u8] = include_bytes!("../bin/stage3a.bin");

/// The program that starts the kernel in secure mode, of the README's table.
#[cfg(feature = "binaries")]
pub const STAGE3B: &[u8] = include_bytes!("../bin/stage3b.bin");
