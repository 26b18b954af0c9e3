//! How a run ends. The only file that knows exit codes.

use crate::System;
use std::process::ExitCode;
use uvtypes::text::escaped;

/// How an applet ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is done: exit code 0.
    Done,
    /// Ended as documented with this exit code; what there is to say was said.
    Status(u8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Status(status) => Self::from(status),
        }
    }
}

/// How an applet failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong; the text is complete.
    Usage {
        /// Exit code: 1 or 2, by tool.
        status: u8,
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
    pub(crate) fn usage(status: u8, text: String) -> Self {
        Self::Usage { status, text }
    }

    /// Says what went wrong and gives the outcome.
    pub(crate) fn report(self, system: &mut System) -> Outcome {
        match self {
            Self::Usage { status, text } => {
                system.complain(&text);
                Outcome::Status(status)
            }
            Self::Failed(error) => {
                system.complain(&format!("error: {}\n", escaped(&format!("{error:#}"))));
                Outcome::Status(1)
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
