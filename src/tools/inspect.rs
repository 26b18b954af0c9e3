//! `pvtools inspect`: what a file is and what its bytes mean.

use crate::System;
use crate::shared::cli;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::input::{self, Seekable};
use anyhow::{Context, anyhow};
use clap::{CommandFactory, Parser, ValueEnum};
use hostkey::HostKeyDocument;
use std::ffi::OsString;
use std::fmt::Write;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use uvexplain::{Error, Field, KnownHostKey, Report};
use uvtypes::text::{escaped, shown_path};

/// Bytes of a value in one line of text, and of a line of the hexdump.
const VALUE_BYTES: usize = 32;
const DUMP_BYTES: usize = 16;
/// Of a larger field, only the start is drawn.
const MAX_DUMP: usize = 64 << 10;
const START_OF_DUMP: usize = 64;

/// Explain Secure Execution files field by field
///
/// Recognises boot images and SE headers, add-secret requests, attestation requests and their exchange
/// files, host-key documents and other certificates, CRLs, secret lists, and the YAML files that name
/// secrets. Needs no key and decrypts nothing.
#[derive(Parser)]
#[command(name = "inspect", bin_name = "pvtools inspect", version)]
#[command(after_help = "Exit status: 0 if every file was explained, 1 if one was not, 2 for a wrong command line.")]
struct Arguments {
    /// Files to explain; '-' is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Name key slots that are for this host key; may be repeated
    #[arg(short = 'k', long, value_name = "FILE", value_delimiter = ',')]
    host_key_document: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Draw the bytes of each field
    #[arg(long, conflicts_with = "format")]
    hexdump: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// A table for people
    Human,
    /// A list with one object for each file
    Json,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, UsageStatus::Own, system, |args: Arguments, system| {
        let known = args.host_key_document.iter().map(|path| known_host_key(path)).collect::<Result<Vec<_>, _>>()?;
        let mut explained = Vec::new();
        let mut outcome = Outcome::Done;
        for path in &args.files {
            let mut file = input::open_seekable(path, "the file", system)?;
            let (report, failure) = match uvexplain::explain(&mut file, &known) {
                Ok(report) => (Some(report), None),
                Err(Error::Broken { report, source }) => {
                    let failure = anyhow!(source).context(format!("'{}' is a damaged {}", path.display(), report.kind));
                    (Some(*report), Some(failure))
                }
                Err(error) => (None, Some(anyhow!(error).context(format!("Cannot explain '{}'", path.display())))),
            };
            if let Some(report) = report {
                if args.format == Format::Human {
                    let text = Text { path, report: &report, colours: system.stdout_is_terminal };
                    let dump = if args.hexdump { Some(&mut file) } else { None };
                    let text = text.render(dump).with_context(|| format!("Cannot read '{}'", path.display()))?;
                    system.print_bytes(text.as_bytes())?;
                }
                explained.push(serde_json::json!({
                    "file": path.to_string_lossy(),
                    "complete": failure.is_none(),
                    "report": report,
                }));
            }
            if let Some(failure) = failure {
                system.eprint(&format!("error: {}\n", escaped(&format!("{failure:#}"))));
                outcome = Outcome::Failed;
            }
        }
        if args.format == Format::Json {
            system.print_json(&format!("{:#}\n", serde_json::Value::from(explained)))?;
        }
        Ok(outcome)
    })
}

fn known_host_key(path: &Path) -> anyhow::Result<KnownHostKey> {
    let bytes = input::read(path, 1 << 20, "the host-key document")?;
    let context = || format!("Cannot use '{}' as host-key document", path.display());
    let certificate = openssl::x509::X509::from_pem(&bytes).or_else(|_| openssl::x509::X509::from_der(&bytes));
    let certificate = certificate.map_err(|_| anyhow!("it holds no certificate")).with_context(context)?;
    let document = HostKeyDocument::from_certificate(certificate).with_context(context)?;
    Ok(KnownHostKey { hash: document.hash(), name: path.display().to_string() })
}

/// A report as text.
struct Text<'a> {
    path: &'a Path,
    report: &'a Report,
    colours: bool,
}

impl Text<'_> {
    /// With `dump`, each field is followed by its bytes, read from there.
    fn render(&self, mut dump: Option<&mut Seekable>) -> anyhow::Result<String> {
        let Report { kind, size, fields, warnings } = self.report;
        let mut text = format!("{}\n", self.bold(&format!("{}: {kind}, {size} bytes", shown_path(self.path))));
        let columns = Columns::of(fields);
        for field in fields {
            self.field(&mut text, field, &columns, dump.is_none())?;
            if let (Some(file), Some(offset), Some(size)) = (dump.as_deref_mut(), field.offset, field.size) {
                hexdump(&mut text, file, offset, size)?;
            }
        }
        for warning in warnings {
            writeln!(text, "  {}", self.yellow(&format!("warning: {}", escaped(warning))))?;
        }
        Ok(text)
    }

    fn field(&self, text: &mut String, field: &Field, columns: &Columns, with_bytes: bool) -> anyhow::Result<()> {
        let &Columns { offset: offset_width, size: size_width, name: width } = columns;
        let place = match (field.offset, field.size) {
            (Some(offset), Some(size)) => format!("{offset:#0offset_width$x} {size:>size_width$}  "),
            _ => String::new(),
        };
        let indent = place.len() + width + 4;
        let meaning = if field.meaning.is_empty() { String::new() } else { format!("  {}", self.dim(&field.meaning)) };
        let name = self.bold(&format!("{:<width$}", field.name));
        let value = match &field.value {
            uvexplain::Value::Bytes(_) if !with_bytes => String::new(),
            uvexplain::Value::Bytes(bytes) => {
                let lines: Vec<String> = bytes.chunks(VALUE_BYTES).map(hex::encode).collect();
                // Behind the first line's 0x.
                format!("0x{}", lines.join(&format!("\n{:width$}", "", width = indent + 2)))
            }
            other => other.to_string(),
        };
        let (first, rest) = value.split_once('\n').unwrap_or((&value, ""));
        writeln!(text, "  {place}{name}  {first}{meaning}")?;
        if !rest.is_empty() {
            writeln!(text, "{rest}")?;
        }
        Ok(())
    }

    fn bold(&self, text: &str) -> String {
        self.coloured("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.coloured("36", text)
    }

    fn yellow(&self, text: &str) -> String {
        self.coloured("33", text)
    }

    fn coloured(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// How wide the columns are.
struct Columns {
    offset: usize,
    size: usize,
    name: usize,
}

impl Columns {
    fn of(fields: &[Field]) -> Self {
        let widest = |width: fn(&Field) -> usize| fields.iter().map(width).max().unwrap_or_default();
        Self {
            offset: widest(|field| field.offset.map_or(0, |offset| format!("{offset:#x}").len())).max(8),
            size: widest(|field| field.size.map_or(0, |size| size.to_string().len())).max(5),
            name: widest(|field| field.name.len()),
        }
    }
}

fn hexdump(text: &mut String, file: &mut Seekable, offset: usize, size: usize) -> anyhow::Result<()> {
    // Nobody reads the pages of a kernel.
    let drawn = if size > MAX_DUMP { START_OF_DUMP } else { size };
    let mut bytes = vec![0; drawn];
    file.seek(SeekFrom::Start(offset as u64))?;
    file.read_exact(&mut bytes)?;
    for (line, chunk) in bytes.chunks(DUMP_BYTES).enumerate() {
        let hex: Vec<_> = chunk.iter().map(|byte| hex::encode([*byte])).collect();
        let shown: String =
            chunk.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        writeln!(text, "    {:08x}  {:<47}  |{shown}|", offset + line * DUMP_BYTES, hex.join(" "))?;
    }
    if drawn < size {
        writeln!(text, "    ({} more bytes)", size - drawn)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_sound() {
        command().debug_assert();
    }
}
