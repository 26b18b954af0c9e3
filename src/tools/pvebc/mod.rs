//! `pvebc`: adds the set of secrets that a guest gets at boot, from a folder that the host can change.

mod folder;
mod set;

use crate::shared::cli::{self, Format};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use anyhow::{Context, anyhow};
use clap::{CommandFactory, Parser};
use serde_json::{Value, json};
use set::{Request, Set, Signer};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use uvtypes::text::shown;

/// Exit code for a wrong command line.
const USAGE_STATUS: UsageStatus = UsageStatus::Own;

/// Add the set of secrets that a guest gets at boot
///
/// The set is a folder with add-secret requests, a table of contents that lists their tags, and policies that they refer
/// to ('pvsecret create --policy' and '--toc-policy'). Every file is read once, and the whole set is checked before
/// anything is added. Secrets whose id is in the store already are left out, so a run that failed half-way is just
/// run again. Outside a Secure Execution guest, and with '--dry-run', the set is checked and nothing is added.
///
/// Exit status: 0 if all is in the store, 1 if not, 2 for a wrong command line.
#[derive(Parser)]
#[command(name = "pvebc", disable_version_flag = true)]
struct Arguments {
    /// Request that refers to the table of contents; the other files are in its folder
    #[arg(short, long, value_name = "FILE", required_unless_present = "version")]
    toc: Option<PathBuf>,
    /// Check the set and add nothing
    #[arg(long)]
    dry_run: bool,
    /// Demand that FILE of '--toc' is signed by the key of this certificate (PEM or DER)
    ///
    /// Who knows the host key can make a set of their own; the signature tells whose it is. The first bytes of the
    /// signed data are the SHA-256 of the table of contents, its path follows.
    #[arg(long, value_name = "FILE")]
    user_cert: Option<PathBuf>,
    /// Lock the secret store when all is added
    #[arg(long)]
    lock: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the version
    #[arg(long)]
    version: bool,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, USAGE_STATUS, system, |args: Arguments, system| {
        let Some(toc) = args.toc.as_deref().filter(|_| !args.version) else {
            cli::print_version::<Arguments>(system)?;
            return Ok(Outcome::Done);
        };
        let signer = args.user_cert.as_deref().map(load_signer).transpose()?;
        let set = Set::load(toc, signer.as_ref())?;
        let why_not_added = match (args.dry_run, system.is_guest()) {
            (true, _) => Some("dry run"),
            (false, false) => Some("not a Secure Execution guest"),
            (false, true) => None,
        };
        if args.format == Format::Text {
            describe(&set, system)?;
        }
        let mut added = Added::default();
        let result = match why_not_added {
            Some(reason) => {
                if args.format == Format::Text {
                    system.print(&format!("[{reason}: nothing is added]\n"))?;
                }
                Ok(())
            }
            None => add(&set, args.lock, &mut added, system),
        };
        match args.format {
            Format::Json => {
                let report = report(&set, &added, why_not_added, result.as_ref().err());
                system.print_json(&format!("{report:#}\n"))?;
            }
            Format::Text if why_not_added.is_none() => system.print(&format!("{}\n", added.summary(&set)))?,
            Format::Text => {}
        }
        result.map(|()| Outcome::Done)
    })
}

#[cfg(feature = "workstation")]
fn load_signer(path: &Path) -> anyhow::Result<Signer> {
    crate::tools::pvsecret::load_user_certificate(path)
}

#[cfg(not(feature = "workstation"))]
fn load_signer(_: &Path) -> anyhow::Result<Signer> {
    anyhow::bail!("'--user-cert' needs OpenSSL, which this program was built without: use the whole pvtools")
}

/// What came of the requests of a set, by their numbers in it.
#[derive(Default)]
struct Added {
    new: Vec<usize>,
    present: Vec<usize>,
    locked: bool,
}

impl Added {
    fn summary(&self, set: &Set) -> String {
        let all = set.requests.len();
        let left = all - self.new.len() - self.present.len();
        let locked = if self.locked { "; the secret store is locked" } else { "" };
        format!(
            "{} of {all} requests added, {} were in the store, {left} are left{locked}",
            self.new.len(),
            self.present.len()
        )
    }
}

/// Adds what is not in the store yet, in the order of the set.
fn add(set: &Set, lock: bool, added: &mut Added, system: &mut System) -> Result<(), Failure> {
    let uv = (system.uv)()?;
    let list = uv.list_secrets().context("Cannot search the secret store for ids")?;
    if list.is_cut() {
        return Err(anyhow!("The store has more secrets than the kernel lists: cannot tell which are there").into());
    }
    for (number, request) in set.requests.iter().enumerate() {
        let stored = request.id.is_some_and(|id| list.secrets.iter().any(|secret| secret.id.0 == *id.as_bytes()));
        if stored {
            added.present.push(number);
            continue;
        }
        let name = text_of(&request.name);
        uv.add_secret(&request.bytes).with_context(|| {
            format!(
                "Cannot add '{name}', request {} of {}; run again to go on from there",
                number + 1,
                set.requests.len()
            )
        })?;
        added.new.push(number);
        system.info(&format!("Added '{name}'"));
    }
    if lock {
        uv.lock_secrets().context("All requests are added, but the secret store cannot be locked")?;
        added.locked = true;
    }
    Ok(())
}

/// A file name for a terminal: nobody checked who chose it.
fn text_of(name: &Path) -> impl Display {
    shown(&name.to_string_lossy()).to_string()
}

/// What the reference prints of a set, for people who look at the boot messages.
fn describe(set: &Set, system: &mut System) -> Result<(), Failure> {
    let mut text = String::new();
    let (root, others) = set.requests.split_first().ok_or_else(|| anyhow!("the set is empty"))?;
    describe_request(root, &mut text);
    if let Some(policy) = &root.policy {
        text += &format!("Mac tags in \"{}\":\n", text_of(&policy.name));
    }
    for request in others {
        text += &format!("{} -> {}\n", hex::encode(request.tag), text_of(&request.name));
    }
    for request in others {
        describe_request(request, &mut text);
    }
    system.print(&text)?;
    for (name, error) in &set.ignored {
        match error {
            Some(error) => system.warn(&format!("'{}' is not used: {error:#}", text_of(name))),
            None => system.info(&format!("'{}' is not in the table of contents", text_of(name))),
        }
    }
    Ok(())
}

fn describe_request(request: &Request, text: &mut String) {
    *text += &format!("Add-Secret-Request: \"{}\"\n", text_of(&request.name));
    if let Some(policy) = &request.policy {
        let (name, hash) = (text_of(&policy.name), hex::encode(policy.hash));
        *text += &format!("Reference: \"{name}\"\nVerify \"{name}\"\nReferenced: {hash}\nCalculated: {hash}\n");
    }
}

/// The report as JSON; keys are documented in pvebc(1).
fn report(set: &Set, added: &Added, why_not_added: Option<&str>, failure: Option<&Failure>) -> Value {
    let requests: Vec<_> = set
        .requests
        .iter()
        .enumerate()
        .map(|(number, request)| {
            let state = match () {
                () if added.new.contains(&number) => "added",
                () if added.present.contains(&number) => "present",
                () => "left",
            };
            json!({
                "file": request.name.to_string_lossy(),
                "tag": hex::encode(request.tag),
                "id": request.id.map(|id| id.to_string()),
                "policy": request.policy.as_ref().map(|policy| policy.name.to_string_lossy()),
                "state": state,
            })
        })
        .collect();
    json!({
        "requests": requests,
        "ignored": set.ignored.iter().map(|(name, _)| name.to_string_lossy()).collect::<Vec<_>>(),
        "nothing_added_because": why_not_added,
        "locked": added.locked,
        "complete": failure.is_none() && why_not_added.is_none(),
    })
}
