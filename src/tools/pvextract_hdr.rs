//! `pvextract-hdr`: the SE header out of a boot image.

use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use crate::shared::{cli, input};
use anyhow::{Context, bail};
use clap::{CommandFactory, Parser};
use sehdr::{DEFAULT_COUNT, DEFAULT_SKIP, Search};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use uvtypes::text::escaped;

/// Extract the Secure Execution header from a boot image
///
/// Looks for the SE header at the start of FILE, where the image's metadata says, on the usual pages and
/// then in the first MiB; with '-s' or '-l', only on the pages that they name. Prints where it was found.
#[derive(Parser)]
#[command(name = "pvextract-hdr", version, args_override_self = true)]
#[command(after_help = "Exit status: 0 if the header was written, 1 otherwise.")]
struct Arguments {
    /// Boot image; '-' is standard input
    #[arg(value_name = "FILE")]
    image: PathBuf,
    /// Write the header to FILE; '-' is standard output
    #[arg(short, value_name = "FILE", default_value = "sehdr.bin")]
    output: PathBuf,
    /// Skip this many pages of 4 KiB (decimal, 0x-hexadecimal or 0-octal) [default: 0x14]
    #[arg(short, value_name = "PAGES", value_parser = page_count)]
    skip: Option<u64>,
    /// Search this many pages [default: 0x4]
    #[arg(short = 'l', value_name = "PAGES", value_parser = page_count)]
    count: Option<u64>,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, UsageStatus::AsFailure, system, |args: Arguments, system| {
        extract(&args, system).map_err(|failure| match failure {
            // The prefix that the script of this name has always printed.
            Failure::Failed(error) => {
                Failure::usage(UsageStatus::AsFailure, format!("ERROR: {}\n", escaped(&format!("{error:#}"))))
            }
            other => other,
        })?;
        Ok(Outcome::Done)
    })
}

fn extract(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let search = match (args.skip, args.count) {
        (None, None) => Search::Everywhere,
        (skip, count) => Search::Pages { skip: skip.unwrap_or(DEFAULT_SKIP), count: count.unwrap_or(DEFAULT_COUNT) },
    };
    output::refuse_overwriting(&args.output, &[&args.image])?;
    let found = locate(&args.image, search, system)?;
    let to_stdout = output::is_stdout(&args.output, Privacy::Public);
    let tell = |system: &mut System, line: &str| {
        if to_stdout {
            system.warn(line);
            return Ok(());
        }
        system.print(&format!("{}\n", escaped(line)))
    };
    tell(system, &format!("SE header found at offset {:#08x}", found.offset))?;
    if let Some(version) = found.unknown_metadata_version {
        system.warn(&format!("WARNING: unknown version {version:#x} of the image metadata"));
    }
    if let Some(version) = found.unknown_version {
        system.warn(&format!("WARNING: unknown hdr version {version:#x}: written as it is"));
    }
    output::write(&args.output, &found.bytes, Privacy::Public, "the SE header", system)?;
    tell(system, &format!("SE header written to '{}' ({} bytes)", args.output.display(), found.bytes.len()))
}

fn locate(path: &Path, search: Search, system: &mut System) -> anyhow::Result<sehdr::Found> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    describe(sehdr::locate(&mut input::open_seekable(path, "the image", system)?, search), &name)
}

fn describe(result: Result<sehdr::Found, sehdr::Error>, name: &str) -> anyhow::Result<sehdr::Found> {
    match result {
        Ok(found) => Ok(found),
        Err(sehdr::Error::NotFound) => bail!("{name} does not contain an SE header."),
        Err(error) => Err(error).with_context(|| format!("Cannot extract the SE header of '{name}'")),
    }
}

/// A number as the shell's arithmetic reads it.
fn page_count(text: &str) -> Result<u64, String> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).map(|digits| (digits, 16));
    let octal = || text.strip_prefix('0').filter(|digits| !digits.is_empty()).map(|digits| (digits, 8));
    let (digits, radix) = hexadecimal.or_else(octal).unwrap_or((text, 10));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("expected a number of pages: decimal, 0x-hexadecimal or 0-octal".to_owned());
    }
    u64::from_str_radix(digits, radix).map_err(|_| "the number is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_the_shell_does() {
        for (text, expected) in
            [("20", Some(20)), ("0x14", Some(20)), ("0X1f", Some(31)), ("024", Some(20)), ("0", Some(0))]
        {
            assert_eq!(page_count(text).ok(), expected, "{text}");
        }
        for text in ["", "x", "0x", "08", "+1", "-1", "1 ", "0x+1", "OPTIND[$(touch x)]", "99999999999999999999"] {
            page_count(text).expect_err(text);
        }
    }

    #[test]
    fn command_line_is_sound() {
        command().debug_assert();
    }
}
