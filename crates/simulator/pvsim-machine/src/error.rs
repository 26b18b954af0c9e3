//! What can go wrong with the machine itself. What the guest does wrong is no error.

use std::io;
use std::path::PathBuf;

/// Why a machine does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The emulator is not installed.
    #[error(
        "qemu-system-s390x is not on the PATH: install it (Debian 12: package qemu-system-misc; later Debian and \
         Ubuntu: qemu-system-s390x; Fedora: qemu-system-s390x-core)"
    )]
    NoQemu,
    /// The emulator ended before the guest could start.
    #[error("qemu-system-s390x did not start: {0}")]
    Qemu(String),
    /// The emulator's debugger interface said something else than expected.
    #[error("the debugger interface of qemu-system-s390x: expected {expected}, found '{found}'")]
    Debugger {
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// Working with the emulator failed.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A file for the guest cannot be used.
    #[error("'{}': {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The image is none, or its boot information block is not as it should be.
    #[error("{0}")]
    Image(&'static str),
    /// The firmware, as the simulator plays it, broke.
    #[error("the simulated firmware failed")]
    Firmware(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The machine was switched off in the middle of something.
    #[error("the machine is off")]
    Off,
    /// The guest stopped at a place that nobody asked for.
    #[error("the guest stopped at {0:#x}, where nothing is to be done")]
    Stopped(u64),
    /// The guest's program did not answer as its agent should.
    #[error("the program in the guest: {0}")]
    Agent(String),
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
