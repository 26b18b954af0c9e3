#![forbid(unsafe_code)]
//! A simulated Secure Execution guest: its machine, its firmware, and what the kernel shows of them.
//!
//! ```text
//! program ── ioctl ── device (the call as data) ── driver (the kernel's checks) ── ultravisor (the firmware)
//!                          machine (a folder: state, lock, faults) ┘                   │
//!                                           open (decodes requests with the host's private key)
//! program ── open, read, write ── server (a tree of files) ── ap (the bus, its cards and queues)
//! ```
//!
//! [`Machine::ioctl`] is the one entry for all programs: those that [`GuestServer`] starts reach it through a preload library,
//! tests inside one process through [`InProcess`].
//!
//! Nothing that ships depends on this crate. What it shares with the product is the ABI of `/dev/uv` and the
//! bounds-checked reader; how requests are decoded is written here once more, from the format, so that a
//! mistake of the builder shows.

pub mod ap;
mod below;
mod booted;
pub mod device;
mod driver;
mod error;
mod fault;
mod firmware;
mod guest;
mod hexed;
mod host_key;
pub mod image;
mod in_process;
mod machine;
pub mod open;
pub mod pki;
mod platform;
pub mod scenario;
pub mod seal;
pub mod server;
mod show;
pub mod ultravisor;
pub mod unpack;

pub use below::Below;
pub use booted::{Booted, boot};
pub use error::Error;
pub use fault::{Action, Fault};
pub use guest::{Guest, StoredSecret};
pub use hexed::Hex;
pub use host_key::{Coordinates, HostKey};
pub use in_process::InProcess;
pub use machine::{Kin, Machine, Parts as ImageParts};
pub use platform::{BootImage, Kernel, Platform, Settings};
pub use server::GuestServer;
pub use show::Shown;
