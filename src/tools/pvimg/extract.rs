//! `pvimg extract`.

use super::progress::Progress;
use super::{components, create, loader, open};
use crate::shared::error::Failure;
use crate::shared::output::{self, Outputs};
use crate::shared::system::System;
use anyhow::Context;
use clap::{ArgGroup, Args};
use seimage::{Kind, contents, verify};
use std::path::PathBuf;

/// Decrypt the components of an image
///
/// The image is first checked as with 'pvimg verify', so that what is written is what the header stands for.
#[derive(Args)]
#[command(arg_required_else_help = true, group = ArgGroup::new("outputs").args(["kernel", "ramdisk", "parmfile", "stage3b"]).required(true).multiple(true))]
pub(super) struct Arguments {
    /// Image
    #[arg(value_name = "IMAGE")]
    input: PathBuf,
    /// Key of the SE header, 32 bytes
    #[arg(long, value_name = "FILE", conflicts_with = "image_key")]
    hdr_key: Option<PathBuf>,
    /// Key of the components, 64 bytes
    #[arg(long, value_name = "FILE")]
    image_key: Option<PathBuf>,
    /// Write the kernel to FILE
    #[arg(short = 'i', long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Write the ramdisk to FILE
    #[arg(short, long, value_name = "FILE")]
    ramdisk: Option<PathBuf>,
    /// Write the command line to FILE, with the NUL at its end
    #[arg(short, long, value_name = "FILE")]
    parmfile: Option<PathBuf>,
    /// Write the second stage of the boot loader to FILE
    #[arg(long, value_name = "FILE")]
    stage3b: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let wanted: Vec<_> = [
        (Kind::Kernel, &args.kernel),
        (Kind::Ramdisk, &args.ramdisk),
        (Kind::CommandLine, &args.parmfile),
        (Kind::Stage3b, &args.stage3b),
    ]
    .into_iter()
    .filter_map(|(kind, path)| Some((kind, path.as_ref()?)))
    .collect();
    let inputs: Vec<_> =
        [&args.hdr_key, &args.image_key].into_iter().flatten().chain([&args.input]).map(PathBuf::as_path).collect();
    for (number, (kind, path)) in wanted.iter().enumerate() {
        output::refuse_overwriting(path, &inputs)?;
        if let Some((other, _)) = wanted.iter().skip(number + 1).find(|(_, other)| output::same_target(path, other)) {
            return Err(anyhow::anyhow!("{kind} and {other} would both be written to '{}'", path.display()).into());
        }
    }
    let header_key = args.hdr_key.as_deref().map(|path| create::key(path, "SE header key")).transpose()?;
    let image_key = args.image_key.as_deref().map(|path| create::key(path, "image key")).transpose()?;
    let (mut file, image) = open::image(&args.input)?;
    let cannot = || format!("Cannot take '{}' apart", args.input.display());
    let Some(key) = components::key_of(&image, header_key.as_ref(), image_key).with_context(cannot)? else {
        return Err(anyhow::anyhow!("The image is encrypted: give '--hdr-key' or '--image-key'").into());
    };
    let own = loader::load(None)?;
    let total = image.ipib.components.iter().map(|component| component.size).sum();
    let mut progress = Progress::new("Checking the image:", Some(total), system);
    verify(&image, &mut file, &[&own], header_key.as_ref(), &mut |bytes| progress.advance(bytes))
        .with_context(cannot)?;
    drop(progress);
    let contents = contents(&image, &mut file, &key).with_context(cannot)?;
    let mut outputs = Outputs::default();
    for (kind, path) in &wanted {
        let extent = contents.find(*kind).with_context(cannot)?;
        let mut out = outputs.create(path, false, &kind.to_string())?;
        let mut progress = Progress::new("Decrypting:", Some(extent.size), system);
        seimage::extract(&image, &mut file, extent, &key, &mut out, &mut |bytes| progress.advance(bytes))
            .with_context(cannot)?;
        drop(progress);
        out.sync_all().with_context(|| format!("Cannot write {kind} at '{}'", path.display()))?;
    }
    outputs.publish(system)?;
    for (kind, path) in &wanted {
        system.status(&format!("Successfully wrote the {kind} to '{}'", path.display()));
    }
    Ok(())
}
