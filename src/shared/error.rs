//! How a run ends. The only file that knows exit codes.

use crate::System;
use std::process::ExitCode;
use uvtypes::text::escaped;

/// How an applet ended; what there is to say was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is done: exit code 0.
    Done,
    /// Something could not be done: exit code 1.
    Failed,
    /// What was looked at is not what it should be: exit code 2.
    NotAsExpected,
    /// All was done, and something is worth a look: exit code 3.
    WithWarnings,
    /// The command line is wrong: the exit code is that of the tool.
    WrongUsage(UsageStatus),
}

/// Exit code of a tool for a wrong command line: the reference's tools differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsageStatus {
    /// The same as for any failure, 1.
    AsFailure,
    /// One of its own, 2.
    Own,
}

impl Outcome {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed | Self::WrongUsage(UsageStatus::AsFailure) => 1,
            Self::WithWarnings => 3,
            Self::NotAsExpected | Self::WrongUsage(UsageStatus::Own) => 2,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}

/// How an applet failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong; the text is complete.
    Usage {
        /// Exit code, by tool.
        status: UsageStatus,
        /// What to print.
        text: String,
    },
    /// Anything else: exit code 1 and one line.
    Failed(anyhow::Error),
    /// The reader of stdout is gone, which is its right: nothing to say.
    BrokenPipe,
}

impl Failure {
    /// A wrong command line.
    pub(crate) fn usage(status: UsageStatus, text: String) -> Self {
        Self::Usage { status, text }
    }

    /// Says what went wrong and gives the outcome.
    pub(crate) fn report(self, system: &mut System) -> Outcome {
        match self {
            Self::Usage { status, text } => {
                system.eprint(&text);
                Outcome::WrongUsage(status)
            }
            Self::Failed(error) => {
                system.eprint(&format!("error: {}\n", escaped(&format!("{error:#}"))));
                Outcome::Failed
            }
            Self::BrokenPipe => Outcome::Done,
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
