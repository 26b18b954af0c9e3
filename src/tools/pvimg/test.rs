//! `pvimg test`.

use super::{USAGE_STATUS, open};
use crate::shared::error::{Failure, Outcome};
use crate::shared::host_keys::load_document;
use crate::shared::input;
use crate::shared::system::System;
use anyhow::{Context, bail, ensure};
use clap::{ArgGroup, Args};
use std::path::{Path, PathBuf};

/// Lines of the file: the current host key, the backup host key, and room for more.
const HASHES: usize = 15;
const MAX_HASH_FILE: usize = 64 << 10;

/// Test whether an image can start on a machine
///
/// Exit status: 0 if the image has a key slot for one of the host keys, 1 if not, 2 for a wrong command line.
#[derive(Args)]
#[command(arg_required_else_help = true, group = ArgGroup::new("by").args(["host_key_document", "key_hashes"]).required(true))]
pub(super) struct Arguments {
    /// Image or SE header
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Look for a key slot of this host-key document; may be repeated
    #[arg(short = 'k', long, value_name = "FILE", value_delimiter = ',')]
    host_key_document: Vec<PathBuf>,
    /// Look for a key slot of the host keys in FILE: 15 hashes, one a line
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "/sys/firmware/uv/keys/all")]
    key_hashes: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    const { assert!(USAGE_STATUS == 2) };
    let (header, _) = open::header(&args.input, system)?;
    let mut wanted = Vec::new();
    for path in &args.host_key_document {
        let document = load_document(path)?;
        if document.ignored_certificates() > 0 {
            system.warn(&format!("'{}' contains more than one certificate! The first one is used.", path.display()));
        }
        wanted.push((format!("host key of '{}'", path.display()), document.hash().as_bytes().to_vec()));
    }
    if let Some(path) = &args.key_hashes {
        let under_root = path.strip_prefix("/").ok().filter(|_| path.starts_with("/sys"));
        let path = under_root.map_or_else(|| path.clone(), |path| system.root.join(path));
        for (number, hash) in read_hashes(&path)?.into_iter().enumerate() {
            let name = match number {
                0 => "current host key".to_owned(),
                1 => "backup host key".to_owned(),
                _ => format!("host key {number}"),
            };
            // Places without a key are no keys.
            if hash != [0; 32] {
                wanted.push((name, hash.to_vec()));
            }
        }
    }
    let mut outcome = Outcome::Status(1);
    for (name, hash) in &wanted {
        let found = header.host_key_hashes().any(|known| known.as_bytes() == hash.as_slice());
        if found {
            outcome = Outcome::Done;
        }
        let (mark, verb) = if found { ('✓', "has") } else { ('✗', "has no") };
        system.warn(&format!(" {mark} The image {verb} key slot for the {name}"));
    }
    Ok(outcome)
}

/// 15 lines of 64 hexadecimal digits.
fn read_hashes(path: &Path) -> anyhow::Result<Vec<[u8; 32]>> {
    let bytes = input::read(path, MAX_HASH_FILE, "key hashes")?;
    let cannot = || format!("Cannot use '{}' as key hashes", path.display());
    parse_hashes(&bytes).with_context(cannot)
}

fn parse_hashes(bytes: &[u8]) -> anyhow::Result<Vec<[u8; 32]>> {
    let text = std::str::from_utf8(bytes).context("expected text")?;
    let mut hashes = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let mut hash = [0; 32];
        if hex::decode_to_slice(line, &mut hash).is_err() {
            bail!("line {number}: expected 64 hexadecimal digits");
        }
        hashes.push(hash);
    }
    ensure!(hashes.len() == HASHES, "expected {HASHES} lines, found {}", hashes.len());
    Ok(hashes)
}
