//! What all applets' command lines share.

use crate::System;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::Level;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use uvtypes::flags::Flag;
use uvtypes::text::escaped;

/// Parses `args` (the tool's name first) and goes on with `run`. Help or a version that was asked for is printed, and
/// ends it; so does a wrong command line, with the exit code that the tool has for it.
pub(crate) fn run<T: CommandFactory + FromArgMatches>(
    args: &[OsString],
    usage_status: UsageStatus,
    system: &mut System,
    run: impl FnOnce(T, &mut System) -> Result<Outcome, Failure>,
) -> Result<Outcome, Failure> {
    let command = T::command();
    // Help shows the tool's name, not the path it was installed at.
    let args: Vec<_> =
        std::iter::once(OsString::from(command.get_name())).chain(args.iter().skip(1).cloned()).collect();
    let error = match command.try_get_matches_from(&args).and_then(|matches| T::from_arg_matches(&matches)) {
        Ok(parsed) => return run(parsed, system),
        Err(error) => quoting_fit_text(error, T::command(), &args),
    };
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => system.print(&text).map(|()| Outcome::Done),
        _ => Err(Failure::usage(usage_status, text)),
    }
}

/// The error that clap has for the same command line without what would steer a terminal or start a line: it quotes
/// arguments, and names of files come from others.
fn quoting_fit_text(error: clap::Error, command: clap::Command, arguments: &[OsString]) -> clap::Error {
    let fit = arguments.iter().map(|argument| escaped(&argument.to_string_lossy()).into_owned());
    command.try_get_matches_from(fit).err().unwrap_or(error)
}

/// A tool whose work is done by commands: `pvsecret create`.
pub(crate) trait Commands: Subcommand {
    /// Its name.
    const NAME: &'static str;
    /// What it is for, in a line.
    const ABOUT: &'static str;
    /// Its exit code for a wrong command line.
    const USAGE_STATUS: UsageStatus;

    /// Carries out a command.
    fn run(self, system: &mut System) -> Result<Outcome, Failure>;
}

/// The command line of such a tool.
#[derive(Parser)]
#[command(name = C::NAME, about = C::ABOUT, after_help = VERSION_HELP)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Tool<C: Commands> {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: OrVersion<C>,
}

#[derive(Subcommand)]
enum OrVersion<C: Commands> {
    #[command(flatten)]
    Command(C),
    /// Print the version
    #[command(long_flag = "version", hide = true)]
    Version,
}

/// Runs a tool whose work is done by commands.
pub(crate) fn run_tool<C: Commands>(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    run(args, C::USAGE_STATUS, system, |tool: Tool<C>, system| {
        tool.verbosity.apply(system);
        match tool.command {
            OrVersion::Command(command) => command.run(system),
            OrVersion::Version => print_version::<Tool<C>>(system).map(|()| Outcome::Done),
        }
    })
}

/// A wrong combination of the arguments of `subcommand` that clap cannot see by itself.
pub(crate) fn usage_error<C: Commands>(subcommand: &str, message: &str) -> Failure {
    let mut command = Tool::<C>::command();
    command.build();
    let command = match command.find_subcommand_mut(subcommand) {
        Some(found) => found,
        None => &mut command,
    };
    Failure::usage(C::USAGE_STATUS, command.error(ErrorKind::ArgumentConflict, message).render().to_string())
}

/// Input and output of a command, given as options or as plain arguments. With '-i', the first plain argument is the
/// output. What each of them is, [`InOut::described`] says for a command.
#[derive(Args)]
pub(crate) struct InOut {
    #[arg(short, long)]
    input: Option<PathBuf>,
    #[arg(id = "positional_input", required_unless_present = "input")]
    positional_input: Option<PathBuf>,
    #[arg(short, long, conflicts_with = "positional_output")]
    output: Option<PathBuf>,
    #[arg(id = "positional_output")]
    positional_output: Option<PathBuf>,
}

/// Name of a value in help, and its help.
type Words = (&'static str, &'static str);

impl InOut {
    /// Gives the argument its words, if it is one of input, plain input, output and plain output.
    pub(crate) fn described(argument: Arg, words: [Words; 4]) -> Arg {
        let ids = ["input", "positional_input", "output", "positional_output"];
        match ids.iter().zip(words).find(|(id, _)| argument.get_id() == **id) {
            Some((_, (name, help))) => argument.value_name(name).help(help),
            None => argument,
        }
    }

    /// Where to read from, and where to write to, if that is said. What is wrong with them goes through `usage_error`.
    pub(crate) fn paths(&self, usage_error: impl Fn(&str) -> Failure) -> Result<(&Path, Option<&Path>), Failure> {
        let plain = match (&self.input, &self.positional_input, &self.positional_output) {
            (Some(input), plain, None) => (input.as_path(), plain.as_deref()),
            (None, Some(input), plain) => (input.as_path(), plain.as_deref()),
            (Some(_), _, Some(_)) => {
                return Err(usage_error("'--input' cannot be used with both INPUT and OUTPUT"));
            }
            (None, None, _) => return Err(usage_error("the input is missing")),
        };
        match (self.output.as_deref(), plain) {
            (Some(_), (_, Some(_))) => Err(usage_error("'--output' cannot be used with OUTPUT")),
            (output, (input, plain)) => Ok((input, output.or(plain))),
        }
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

/// What stands behind the options of a tool whose `--version` is a subcommand to clap: the reference takes the word with
/// and without hyphens, and clap does not list it among the options then.
pub(crate) const VERSION_HELP: &str = "      --version     Print the version";

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

/// A subcommand that needs OpenSSL, in a program that was built without: it takes any words, and refuses.
#[cfg(not(feature = "workstation"))]
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Absent {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<OsString>,
}

#[cfg(not(feature = "workstation"))]
impl Absent {
    /// Says where it is to be had.
    pub(crate) fn refuse<T>(&self, command: &str) -> Result<T, Failure> {
        let why = "is not for guests: it needs OpenSSL, which this program was built without";
        Err(anyhow::anyhow!("'{command}' {why}; run it with the whole pvtools, on a workstation").into())
    }
}
