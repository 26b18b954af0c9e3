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
        /// Path of the device.
        path: PathBuf,
    },
    /// The device is for root.
    #[error("{}: permission denied: only root may use it", path.display())]
    Permission {
        /// Path of the device.
        path: PathBuf,
    },
    /// The device cannot be opened for another reason.
    #[error("cannot open {}", path.display())]
    Open {
        /// Path of the device.
        path: PathBuf,
        /// Error of the operating system.
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
        /// Command that was sent.
        command: Command,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The ultravisor refused.
    #[error("Ultravisor: '{}' ({code})", code.reason(*command))]
    Refused {
        /// Command that was sent.
        command: Command,
        /// Return code of the ultravisor; [`ReturnCode::reason`] has it in words.
        code: ReturnCode,
    },
    /// An argument has a length that the driver never takes.
    #[error("{what}: expected {least} to {most} bytes, found {found}")]
    Length {
        /// Name of the argument.
        what: &'static str,
        /// Length that was given, in bytes.
        found: usize,
        /// Maximum length in bytes.
        most: usize,
        /// Minimum length in bytes.
        least: usize,
    },
    /// The kernel says that it wrote more than there is room for.
    #[error("the uvdevice reports {said} bytes of additional data in a buffer of {room}")]
    Overrun {
        /// Length that the device reports, in bytes.
        said: u32,
        /// Length of the buffer, in bytes.
        room: usize,
    },
    /// The list of secrets is malformed.
    #[error(transparent)]
    List(#[from] uvtypes::SecretListError),
    /// A file about the ultravisor that cannot be read.
    #[error("cannot read {}", path.display())]
    Query {
        /// Path of the file below `/sys/firmware/uv`.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file about the ultravisor that says something else than it should.
    #[error("{}: expected {wanted}, found '{text}'", path.display())]
    QueryText {
        /// Path of the file below `/sys/firmware/uv`.
        path: PathBuf,
        /// Content of the file.
        text: String,
        /// Form that the content should have.
        wanted: &'static str,
    },
}

impl Error {
    /// The error for a device at `path` that cannot be opened.
    pub fn of_opening(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match errno(&source) {
            Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => Self::NoDevice { path },
            Errno::EACCES | Errno::EPERM => Self::Permission { path },
            _ => Self::Open { path, source },
        }
    }
}
