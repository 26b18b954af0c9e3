//! `pvimg verify`.

use super::progress::Progress;
use super::{create, loader};
use crate::shared::error::{Failure, Outcome};
use crate::shared::system::System;
use anyhow::anyhow;
use clap::Args;
use seimage::{Error, Image, Loader, LoaderFinding};
use std::path::PathBuf;
use uvtypes::text::{escaped, shown_path};

/// Check that an image is complete and unchanged against its SE header
///
/// Recomputes from the file what the header says: number of pages, digests of pages, addresses and tweaks; and checks that
/// metadata, IPIB, loader and header fit each other, and that nothing lies between them. Needs no key. Whether the
/// header itself is unchanged, only its key can prove: give it with '--hdr-key'.
///
/// Exit status: 0 if all fits, 1 if the image cannot be read, 2 if something does not fit, or for a wrong command line.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    /// Image
    #[arg(value_name = "IMAGE")]
    input: PathBuf,
    /// Key of the SE header, 32 bytes: authenticate the header
    #[arg(long, value_name = "FILE")]
    hdr_key: Option<PathBuf>,
    /// Also know the boot loader in DIR
    #[arg(long, value_name = "DIR")]
    x_bootloader_directory: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let key = args.hdr_key.as_deref().map(|path| create::key(path, "SE header key")).transpose()?;
    let other = args.x_bootloader_directory.as_deref().map(|folder| loader::load(Some(folder))).transpose()?;
    let own = Loader::own();
    let loaders: Vec<_> = std::iter::once(&own).chain(&other).collect();
    let mut file = crate::shared::input::open(&args.input, "image")?;
    let found = Image::open(&mut file).and_then(|image| {
        let total = image.ipib.components.iter().map(|component| component.size).sum();
        let mut progress = Progress::new("Checking the image:", Some(total), system);
        seimage::verify(&image, &mut file, &loaders, key.as_ref(), &mut |bytes| progress.advance(bytes))
    });
    let findings = match found {
        Ok(findings) => findings,
        Err(error) => {
            // Everything but a file that cannot be read is a judgement.
            let unreadable = matches!(error, Error::Io(_) | Error::OpenSsl(_));
            let (before, after, outcome) = match unreadable {
                true => ("Cannot check ", "", Outcome::Failed),
                false => ("", " is not as it should be", Outcome::NotAsExpected),
            };
            let text = format!("{before}'{}'{after}: {:#}", args.input.display(), anyhow!(error));
            system.eprint(&format!("error: {}\n", escaped(&text)));
            return Ok(outcome);
        }
    };
    if let LoaderFinding::Unknown { size } = findings.loader {
        system.warn(&format!("WARNING: The boot loader, {size} bytes, is not known; only its arguments were checked."));
    }
    if !findings.header_authenticated {
        system.info("The SE header itself was not authenticated: that takes '--hdr-key'.");
    }
    let authenticated = if findings.header_authenticated { ", the SE header authenticated" } else { "" };
    system.print(&format!(
        "{}: complete and unchanged, {} pages{authenticated}\n",
        shown_path(&args.input),
        findings.pages
    ))?;
    Ok(Outcome::Done)
}
