#![forbid(unsafe_code)]
//! A machine below which the firmware is played: QEMU boots a real s390x kernel from a Secure Execution image.
//!
//! ```text
//! qemu (the emulator) ── gdb (its debugger interface) ── cpu (registers and memory, as it stands still)
//!   └ memory (the guest's, mapped)                        │
//! machine (the loop) ── loader (into secure mode) ── kernel (until it is on its own) ── trap (program checks)
//!                                                                                     ├ uvc (control blocks)
//!                                                                                     └ ap (PQAP, NQAP, DQAP)
//!                                                 firmware (a trait: whoever has the machine's state) ┘
//! ramdisk (programs with their libraries) ── cpio          agent (programs that are run in the guest from outside)
//! ```
//!
//! The emulator has neither the instructions of the ultravisor and of AP nor the facility of secure mode: each is a
//! program check there, which is where the firmware comes in.

mod agent;
mod ap;
mod cpio;
mod cpu;
mod error;
mod firmware;
mod gdb;
mod ipib;
mod kernel;
mod libraries;
mod loader;
mod machine;
mod memory;
mod qemu;
mod ramdisk;
mod trap;
mod uvc;

pub use agent::{Agent, Done, Job};
pub use error::Error;
pub use firmware::{
    ApAnswer, ApCall, ApData, ApStatus, Failure, Firmware, QueryInfo, Refused, UvAnswer, UvCall, UvData,
};
pub use ipib::{Component, Ipib};
pub use machine::{Counts, End, Machine};
pub use memory::{GuestMemory, PAGE};
pub use qemu::Hardware;
pub use ramdisk::Ramdisk;
