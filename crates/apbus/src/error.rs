//! What can go wrong on the bus.

use crate::{Apqn, Mkvp, SerialNumber, State};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uvtypes::text::shown;

/// Error of an operation on the AP bus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No AP bus.
    #[error(
        "AP bus support missing (path {} is invalid): the guest needs the kernel's AP bus and queues passed through to it",
        .0.display()
    )]
    NoBus(PathBuf),
    /// Queues of this bus cannot be bound.
    #[error("Missing AP bus feature APSB (SE AP pass-through not enabled ?): the bus has '{features}'")]
    NoSecureBinding {
        /// Features that the bus does have: the text of the attribute `features`.
        features: String,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Path of the attribute.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A card that does not answer what an attribute asks it for.
    #[error("no answer from the card within {} s to the read of {}", waited.as_secs(), path.display())]
    Silent {
        /// Path of the attribute.
        path: PathBuf,
        /// Time that has passed until the wait was given up.
        waited: Duration,
    },
    /// An attribute that cannot be written.
    #[error("cannot write '{value}' to {}{}", path.display(), meaning(path, value, source))]
    Write {
        /// Path of the attribute.
        path: PathBuf,
        /// Text that was to be written.
        value: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A write from which the kernel does not come back.
    #[error(
        "the kernel has not come back from writing '{value}' to {} for {} s: the device or its driver hangs, and only a \
         restart of the guest may help",
        path.display(), waited.as_secs()
    )]
    Stuck {
        /// Path of the attribute.
        path: PathBuf,
        /// Text that is being written.
        value: String,
        /// Time that has passed until the wait was given up.
        waited: Duration,
    },
    /// An attribute with a text that has no meaning.
    #[error("{}: expected {wanted}, found '{}'", path.display(), shown(text))]
    Text {
        /// Path of the attribute.
        path: PathBuf,
        /// Content of the attribute.
        text: String,
        /// Form that the content should have.
        wanted: &'static str,
    },
    /// A queue that is not in the state that an operation needs.
    #[error("queue {apqn} is {state}, so it cannot be {operation}")]
    WrongState {
        /// Queue that the operation was for.
        apqn: Apqn,
        /// State that the queue is in.
        state: State,
        /// State that the queue was to get: `bound` or `associated`.
        operation: &'static str,
    },
    /// An operation that takes too long.
    #[error("queue {apqn} is not {operation} after {} s: it is {state}", waited.as_secs())]
    TimeOut {
        /// Queue that the operation was for.
        apqn: Apqn,
        /// State that was waited for: `bound`, `unbound` or `associated`.
        operation: &'static str,
        /// State that the queue is in at the end of the wait.
        state: State,
        /// Time that has passed until the wait was given up.
        waited: Duration,
    },
    /// An association that the firmware began and did not complete.
    #[error(
        "the firmware could not associate queue {apqn} with the secret of index {index}: it is {state} after {} ms",
        waited.as_millis()
    )]
    AssociationFailed {
        /// Queue that the operation was for.
        apqn: Apqn,
        /// Index of the secret in the ultravisor's list.
        index: u16,
        /// State that the queue was in afterwards.
        state: State,
        /// Time for which the association was pending.
        waited: Duration,
    },
    /// An association that ended with a secret that nobody asked for.
    #[error("queue {apqn} is associated with the secret of index {found} instead of {index}")]
    OtherSecret {
        /// Queue that the operation was for.
        apqn: Apqn,
        /// The secret it should have.
        index: u16,
        /// The secret it has.
        found: u16,
    },
    /// A queue that is not the one any more that was planned with.
    #[error("queue {apqn} changed while it was not bound: {what}")]
    Changed {
        /// Queue that the operation was for.
        apqn: Apqn,
        /// Property of the queue that is not as planned.
        what: Change,
    },
    /// The same master key twice on a card.
    #[error(
        "APQN {first} and APQN {second} have same MKVP {mkvp}: a card must not have a master key in two domains, so \
         nothing was changed; take one of the two out of the guest or give it another master key"
    )]
    DoubledMasterKey {
        /// One of the two queues.
        first: Apqn,
        /// Another one of that card.
        second: Apqn,
        /// Verification pattern of the master key that both have.
        mkvp: Mkvp,
    },
}

/// Property of a queue that changed while it was unbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another master key, or none.
    MasterKey {
        /// Verification pattern that the plan was made with.
        planned: Mkvp,
    },
    /// Another card is in the place of the one that was planned with.
    SerialNumber {
        /// Serial number that the plan was made with.
        planned: SerialNumber,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MasterKey { planned } => write!(f, "its master key is not {planned} any more"),
            Self::SerialNumber { planned } => write!(f, "its card is not {planned} any more"),
        }
    }
}

impl Error {
    /// The errno of a file operation that failed.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// The error with all its causes, in one line.
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
        causes.fold(self.to_string(), |line, cause| format!("{line}: {cause}"))
    }

    /// Whether the queue or its attribute is not there any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.errno(), Some(errno::ENOENT | errno::ENODEV))
    }
}

/// The errnos of the AP bus (`drivers/s390/crypto/ap_queue.c`). They have these numbers on every architecture of Linux.
pub(crate) mod errno {
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EIO: i32 = 5;
    pub(crate) const EACCES: i32 = 13;
    pub(crate) const EBUSY: i32 = 16;
    pub(crate) const ENODEV: i32 = 19;
    pub(crate) const EINVAL: i32 = 22;
}

/// What an errno means when it comes from writing `value` to an attribute of a queue.
fn meaning(attribute: &Path, value: &str, source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(errno::EACCES) => " (only root may do that)",
        Some(errno::EBUSY) => " (the queue is still being reset or has work to do)",
        Some(errno::EINVAL) => " (the queue is not in the state for that)",
        Some(errno::EIO) => refusal(attribute, value),
        Some(errno::ENOENT) => " (the queue has gone, or cannot be bound)",
        Some(errno::ENODEV) => " (the queue has gone)",
        _ => "",
    }
}

/// Why the firmware refuses: an `EIO` stands for all its response codes.
fn refusal(attribute: &Path, value: &str) -> &'static str {
    match (attribute.file_name().and_then(OsStr::to_str), value) {
        (Some("se_bind"), "0") => " (the firmware refused it: the queue does not work)",
        (Some("se_bind"), _) => " (the firmware refused it: 12 queues are bound already, or the queue does not work)",
        (Some("se_associate"), _) => {
            " (the firmware refused it: there is no such secret, or it is one that the card has already)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explains_a_refusal_by_what_was_asked_for() {
        let refused = |attribute: &str, value: &str| {
            let (path, source) = (Path::new("/28.0014").join(attribute), io::Error::from_raw_os_error(errno::EIO));
            Error::Write { path, value: value.to_owned(), source }.chain()
        };
        let refusal = "the firmware refused it";
        for (attribute, value, wanted) in [
            ("se_bind", "1", format!(" ({refusal}: 12 queues are bound already, or the queue does not work)")),
            ("se_bind", "0", format!(" ({refusal}: the queue does not work)")),
            (
                "se_associate",
                "7",
                format!(" ({refusal}: there is no such secret, or it is one that the card has already)"),
            ),
            ("online", "1", String::new()),
        ] {
            let cause = io::Error::from_raw_os_error(errno::EIO);
            let line = format!("cannot write '{value}' to /28.0014/{attribute}{wanted}: {cause}");
            assert_eq!(refused(attribute, value), line);
        }
    }

    #[test]
    fn chains_an_error_without_a_cause_as_it_is() {
        let error = Error::NoSecureBinding { features: "APSC".to_owned() };
        assert_eq!(error.chain(), error.to_string());
    }
}
