use crate::ReturnCode;
use crate::abi::Command;
use crate::device::errno;
use nix::errno::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// Reason why a command of the ultravisor did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such device.
    #[error(
        "{}: no such device: not a Secure Execution guest, or the kernel module 'uvdevice' is not loaded",
        path.display()
    )]
    NoDevice {
        /// What was to be opened.
        path: PathBuf,
    },
    /// The device is for root.
    #[error("{}: permission denied: only root may use it", path.display())]
    Permission {
        /// What was to be opened.
        path: PathBuf,
    },
    /// The device cannot be opened for another reason.
    #[error("cannot open {}", path.display())]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// Why it cannot.
        #[source]
        source: io::Error,
    },
    /// The driver does not know the command.
    #[error("the kernel is too old: its uvdevice does not know the command '{}'", .0.name())]
    KernelTooOld(Command),
    /// The driver knows the command, the ultravisor does not.
    #[error("the ultravisor of this machine does not know the command '{}'", .0.name())]
    UltravisorTooOld(Command),
    /// The ioctl failed: the command did not reach the ultravisor.
    #[error("the uvdevice did not carry out the command '{}'", command.name())]
    Ioctl {
        /// Which command.
        command: Command,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The ultravisor refused.
    #[error("Ultravisor: '{}' ({code})", code.reason(*command))]
    Refused {
        /// Which command.
        command: Command,
        /// Why: see [`ReturnCode::reason`].
        code: ReturnCode,
    },
    /// An argument has a length that the driver never takes.
    #[error("{what}: expected {least} to {most} bytes, found {found}")]
    Length {
        /// What it is.
        what: &'static str,
        /// How long it is.
        found: usize,
        /// Maximum length in bytes.
        most: usize,
        /// Minimum length in bytes.
        least: usize,
    },
    /// The kernel says that it wrote more than there is room for.
    #[error("the uvdevice reports {said} bytes of additional data in a buffer of {room}")]
    Overrun {
        /// What it says.
        said: u32,
        /// What there was.
        room: usize,
    },
    /// The list of secrets is malformed.
    #[error(transparent)]
    List(#[from] uvtypes::SecretListError),
    /// A file about the ultravisor that cannot be read.
    #[error("cannot read {}", path.display())]
    Query {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file about the ultravisor that says something else than it should.
    #[error("{}: expected {wanted}, found '{text}'", path.display())]
    QueryText {
        /// The file.
        path: PathBuf,
        /// What it reads.
        text: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Error {
    /// Why the device at `path` cannot be opened.
    pub fn of_opening(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match errno(&source) {
            Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => Self::NoDevice { path },
            Errno::EACCES | Errno::EPERM => Self::Permission { path },
            _ => Self::Open { path, source },
        }
    }
}
