//! From `argv[0]` to the applet that answers.

use crate::System;
use crate::install_links;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::tools::{chzcrypt, lszcrypt, pvapconfig, pvattest, pvebc, pvinfo, pvsecret};
#[cfg(feature = "workstation")]
use crate::tools::{doctor, inspect, pvextract_hdr, pvimg, pvverify, trust_bundle, trustee};
use anyhow::Context;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use uvtypes::text::shown;

/// A tool of the suite.
pub struct Applet {
    /// What it is called by.
    pub name: &'static str,
    /// One line for `pvtools --list`.
    pub about: &'static str,
    /// Its command line, for man pages and completions.
    pub command: fn() -> clap::Command,
    run: fn(&[OsString], &mut System) -> Result<Outcome, Failure>,
}

impl Applet {
    /// All applets that were compiled in, in the order of the alphabet.
    pub const ALL: &[Self] = &[
        Self {
            name: "chzcrypt",
            about: "change Crypto Express devices and the AP bus by hand",
            command: chzcrypt::command,
            run: chzcrypt::run,
        },
        #[cfg(feature = "workstation")]
        Self {
            name: "doctor",
            about: "show what is there and what is missing for Secure Execution",
            command: doctor::command,
            run: doctor::run,
        },
        #[cfg(feature = "workstation")]
        Self {
            name: "genprotimg",
            about: "create a Secure Execution boot image",
            command: pvimg::genprotimg_command,
            run: pvimg::run_genprotimg,
        },
        #[cfg(feature = "workstation")]
        Self {
            name: "inspect",
            about: "explain Secure Execution files field by field",
            command: inspect::command,
            run: inspect::run,
        },
        Self {
            name: "lszcrypt",
            about: "show Crypto Express cards and queues",
            command: lszcrypt::command,
            run: lszcrypt::run,
        },
        Self {
            name: "pvapconfig",
            about: "configure the Crypto Express queues of a Secure Execution guest",
            command: pvapconfig::command,
            run: pvapconfig::run,
        },
        Self {
            name: "pvattest",
            about: "attest a Secure Execution guest",
            command: pvattest::command,
            run: pvattest::run,
        },
        Self {
            name: "pvebc",
            about: "add the set of secrets that a guest gets at boot",
            command: pvebc::command,
            run: pvebc::run,
        },
        #[cfg(feature = "workstation")]
        Self {
            name: "pvextract-hdr",
            about: "extract the Secure Execution header from a boot image",
            command: pvextract_hdr::command,
            run: pvextract_hdr::run,
        },
        #[cfg(feature = "workstation")]
        Self {
            name: "pvimg",
            about: "create Secure Execution boot images, look into them, check them",
            command: pvimg::command,
            run: pvimg::run,
        },
        Self {
            name: "pvinfo",
            about: "show what the ultravisor of this machine can do",
            command: pvinfo::command,
            run: pvinfo::run,
        },
        Self {
            name: "pvsecret",
            about: "manage the secrets of a Secure Execution guest",
            command: pvsecret::command,
            run: pvsecret::run,
        },
        #[cfg(feature = "workstation")]
        Self { name: "pvverify", about: "verify host-key documents", command: pvverify::command, run: pvverify::run },
        #[cfg(feature = "workstation")]
        Self {
            name: "trust-bundle",
            about: "collect everything that verifying host keys needs",
            command: trust_bundle::command,
            run: trust_bundle::run,
        },
        #[cfg(feature = "workstation")]
        Self {
            name: "trustee",
            about: "prepare and check Trustee, the key broker of Confidential Containers",
            command: trustee::command,
            run: trustee::run,
        },
    ];

    /// Whether the applet is a tool of its own, with a link that has its name. The others have names that
    /// are too common for that and only answer behind `pvtools`.
    pub fn has_link(&self) -> bool {
        self.name.starts_with("pv") || self.name.ends_with("zcrypt") || self.name == "genprotimg"
    }

    /// The applet called `name`.
    pub fn named(name: &OsStr) -> Option<&'static Self> {
        Self::ALL.iter().find(|applet| OsStr::new(applet.name) == name)
    }
}

/// Runs the applet that `args[0]` names, or that `args[1]` names when called as `pvtools`; prints what
/// went wrong; returns the exit code.
///
/// The name decides nothing about rights (no applet is setuid), so `argv[0]` is good enough.
pub fn run(args: &[OsString], system: &mut System) -> ExitCode {
    let called = args.first().and_then(|name| Path::new(name).file_name()).unwrap_or_default();
    let result = match Applet::named(called).filter(|applet| applet.has_link()) {
        Some(applet) => (applet.run)(args, system),
        None => umbrella(args, system),
    };
    result.and_then(|outcome| system.finish().map(|()| outcome)).unwrap_or_else(|failure| failure.report(system)).into()
}

/// `pvtools` itself.
fn umbrella(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    let words = args.get(1..).unwrap_or_default();
    let [first, rest @ ..] = words else {
        system.eprint(&usage());
        return Ok(Outcome::Failed);
    };
    if let Some(applet) = Applet::named(first) {
        return (applet.run)(words, system);
    }
    if let (Some("help"), [tool, ..]) = (first.to_str(), rest) {
        // `help TOOL WORD...` is `TOOL WORD... --help`.
        let applet = Applet::named(tool).ok_or_else(|| unknown(tool))?;
        let words = rest.iter().cloned().chain([OsString::from("--help")]);
        return (applet.run)(&words.collect::<Vec<_>>(), system);
    }
    match first.to_str() {
        Some("--list") => {
            for applet in Applet::ALL {
                system.print(&format!("{}\n", applet.name))?;
            }
            Ok(Outcome::Done)
        }
        Some("--install-links") => match args {
            [_, _, folder] => {
                let program = std::env::current_exe().context("Cannot tell where this program is")?;
                install_links::install(Path::new(folder), &program, system)
            }
            _ => Err(Failure::usage(
                UsageStatus::AsFailure,
                format!("error: '--install-links' takes one folder\n\n{}", usage()),
            )),
        },
        Some("--version" | "-V") => {
            system.print(&format!("pvtools {}\n", env!("CARGO_PKG_VERSION")))?;
            Ok(Outcome::Done)
        }
        Some("--help" | "-h" | "help") => {
            system.print(&usage())?;
            Ok(Outcome::Done)
        }
        _ => Err(unknown(first)),
    }
}

fn unknown(name: &OsStr) -> Failure {
    let text = format!("error: no applet is called '{}'\n\n{}", shown(&name.to_string_lossy()), usage());
    Failure::usage(UsageStatus::AsFailure, text)
}

fn usage() -> String {
    let mut text = String::from(
        "Tools for IBM Secure Execution for Linux\n\n\
         Usage: pvtools APPLET [ARGUMENTS]...\n       \
         pvtools --list | --install-links DIR | --version | --help | help APPLET [COMMAND]...\n\n\
         A link to pvtools that has the name of an applet runs that applet; '--install-links' makes them in DIR, and\n\
         replaces nothing that is there.\n\nApplets:\n",
    );
    for applet in Applet::ALL {
        text.push_str(&format!("  {:<14} {}\n", applet.name, applet.about));
    }
    text
}
