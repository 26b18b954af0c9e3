//! What all applets' command lines share.

use crate::System;
use crate::shared::error::{Failure, Outcome};
use crate::shared::system::Level;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use uvtypes::flags::Flag;

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

/// A wrong combination of the arguments of `subcommand` that clap cannot see by itself.
pub(crate) fn usage_error<T: CommandFactory>(usage_status: u8, subcommand: &str, message: &str) -> Failure {
    let mut command = T::command();
    command.build();
    let command = match command.find_subcommand_mut(subcommand) {
        Some(found) => found,
        None => &mut command,
    };
    Failure::usage(usage_status, command.error(ErrorKind::ArgumentConflict, message).render().to_string())
}

/// Input and output of a command, given as options or as plain arguments. With '-i', the first plain argument is the
/// output. What is wrong with them goes through `usage_error`.
pub(crate) fn in_and_out<'a>(
    [input, output]: [&'a Option<PathBuf>; 2],
    [first, second]: [&'a Option<PathBuf>; 2],
    usage_error: impl Fn(&str) -> Failure,
) -> Result<(&'a Path, Option<&'a Path>), Failure> {
    let plain = match (input, first, second) {
        (Some(input), plain, None) => (input.as_path(), plain.as_deref()),
        (None, Some(input), plain) => (input.as_path(), plain.as_deref()),
        (Some(_), _, Some(_)) => {
            return Err(usage_error("'--input' cannot be used with both INPUT and OUTPUT"));
        }
        (None, None, _) => return Err(usage_error("the input is missing")),
    };
    match (output.as_deref(), plain) {
        (Some(_), (_, Some(_))) => Err(usage_error("'--output' cannot be used with OUTPUT")),
        (output, (input, plain)) => Ok((input, output.or(plain))),
    }
}

/// Takes the values of an option from a table: each row that `words` has a value and its help for.
pub(crate) fn named<T: Copy + Send + Sync + 'static>(
    table: &'static [T],
    words: fn(T) -> Option<(&'static str, &'static str)>,
) -> impl TypedValueParser<Value = T> {
    let values = table.iter().filter_map(|row| words(*row));
    PossibleValuesParser::new(values.map(|(value, help)| PossibleValue::new(value).help(help))).try_map(move |given| {
        let row = table.iter().find(|row| words(**row).is_some_and(|(value, _)| value == given));
        row.copied().ok_or("not in the table")
    })
}

/// Takes the flags of a table that have a value on the command line.
pub(crate) fn flags(table: &'static [Flag]) -> impl TypedValueParser<Value = Flag> {
    named(table, |flag| flag.option)
}

/// Form of what a tool prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object with everything
    Json,
}

/// The version; from `-v` on also the commands that were compiled in.
pub(crate) fn print_version<T: CommandFactory>(system: &mut System) -> Result<(), Failure> {
    let command = T::command();
    let mut text = format!("{} version {}\n", command.get_name(), env!("CARGO_PKG_VERSION"));
    if system.level >= Level::Info {
        let parts = command.get_subcommands().filter(|part| !part.is_hide_set());
        text += &parts.map(|part| format!("+{} ", part.get_name())).collect::<String>();
        text += "(compiled)\n";
    }
    system.print(&text)
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
