//! Images and ramdisks that are made for a boot.

use super::GuestArguments;
use anyhow::Context;
use pvsim::{ImageParts, Machine};
use pvsim_machine::Ramdisk;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

const INIT: &str = "pvsim-init";
/// swiotlb: without a bound the kernel shares 16,389 pages, one by one.
const COMMAND_LINE: &[u8] = b"quiet loglevel=3 panic=-1 swiotlb=512";

pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read '{}'", file.display()))
}

/// An image for the machine's host key, in a file that goes when it is dropped.
pub(super) fn make(
    machine: &Machine,
    kernel: &Path,
    ramdisk: Option<&[u8]>,
    command_line: Option<Vec<u8>>,
) -> anyhow::Result<NamedTempFile> {
    let mut command_line = command_line.unwrap_or_else(|| COMMAND_LINE.to_vec());
    while command_line.ends_with(b"\n") {
        command_line.pop();
    }
    let parts = ImageParts { kernel: &read(kernel)?, ramdisk, command_line: &command_line };
    let file = tempfile::Builder::new().prefix("pvsim-").suffix(".img").tempfile().context("cannot make an image")?;
    let made = machine.build_image(parts, &mut file.as_file());
    made.with_context(|| format!("cannot make an image of '{}'", kernel.display()))?;
    Ok(file)
}

/// A ramdisk with the programs that were named, which runs a command or takes some.
pub(super) fn ramdisk(guest: &GuestArguments, command: &[String]) -> anyhow::Result<Vec<u8>> {
    let init = match &guest.init {
        Some(file) => file.clone(),
        None => beside().context(
            "pvsim-init for s390x is not beside this program: build it (.ci/s390x/cargo.sh build -p pvsim-init) or \
             name it with --init",
        )?,
    };
    let mut programs = Vec::new();
    let mut files = Vec::new();
    for file in &guest.add {
        let name = file.file_name().with_context(|| format!("'{}' has no name", file.display()))?;
        programs.push((Path::new("/bin").join(name), file.clone()));
        if name == "pvtools" {
            files.extend(tools(file));
        }
    }
    programs.extend(files);
    let ramdisk = Ramdisk {
        init,
        programs,
        files: vec![],
        modules: guest.modules.clone(),
        roots: guest.roots.clone(),
        command: command.to_vec(),
    };
    Ok(ramdisk.build()?)
}

/// The product is one program with many names.
fn tools(file: &Path) -> Vec<(PathBuf, PathBuf)> {
    let names = ["pvinfo", "pvsecret", "pvattest", "pvapconfig", "lszcrypt", "chzcrypt"];
    names.iter().map(|name| (Path::new("/bin").join(name), file.to_owned())).collect()
}

/// The agent, where it is installed and where cargo builds it.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let folder = own.parent()?;
    let target = folder.parent()?.join("s390x/s390x-unknown-linux-gnu");
    let places = [
        folder.join("../lib/pvsim/s390x").join(INIT),
        target.join("release").join(INIT),
        target.join("debug").join(INIT),
    ];
    places.into_iter().find(|place| place.is_file())
}
