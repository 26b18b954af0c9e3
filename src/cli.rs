//! What all applets' command lines share.

use crate::System;
use crate::error::{Failure, Outcome};
use crate::system::Level;
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches};
use std::ffi::OsString;

/// Parses `args` (the tool's name first). `usage_status` is the tool's exit code for a wrong command line.
/// `Err(Ok(_))` is help or a version that was asked for and printed.
pub(crate) fn parse<T: CommandFactory + FromArgMatches>(
    args: &[OsString],
    usage_status: u8,
    system: &mut System,
) -> Result<T, Result<Outcome, Failure>> {
    let command = T::command();
    // Help shows the tool's name, not the path it was installed at.
    let args = std::iter::once(OsString::from(command.get_name())).chain(args.iter().skip(1).cloned());
    let error = match command.try_get_matches_from(args).and_then(|matches| T::from_arg_matches(&matches)) {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    let text = error.render().to_string();
    Err(match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => system.print(&text).map(|()| Outcome::Done),
        _ => Err(Failure::usage(usage_status, text)),
    })
}

/// `-v`, `-q` and the reference's deprecated `-V`, on every level of a command line.
#[derive(Args, Clone, Debug)]
pub(crate) struct Verbosity {
    /// Say more; may be repeated
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "quiet")]
    verbose: u8,
    /// Say less; may be repeated
    #[arg(short, long, action = ArgAction::Count, global = true)]
    quiet: u8,
    /// Deprecated spelling of -v
    #[arg(short = 'V', action = ArgAction::Count, global = true, hide = true)]
    deprecated: u8,
}

impl Verbosity {
    /// Sets the level of what `system` says.
    pub(crate) fn apply(&self, system: &mut System) {
        if self.deprecated > 0 {
            system.warn("WARNING: Use of deprecated flag '-V'. Use '-v' or '--verbose' instead.");
        }
        let level = 2 + i32::from(self.verbose) + i32::from(self.deprecated) - i32::from(self.quiet);
        system.level = match level {
            ..=0 => Level::Off,
            1 => Level::Error,
            2 => Level::Warn,
            3 => Level::Info,
            4.. => Level::Debug,
        };
    }
}
