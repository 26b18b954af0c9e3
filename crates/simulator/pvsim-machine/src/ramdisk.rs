//! The guest's first file system: an agent, programs with their libraries, modules, files.

use crate::cpio::Archive;
use crate::{Error, libraries};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where [`crate::Agent`]'s other side finds what it is to do.
const COMMAND: &str = "/pvsim/command";
const MODULES: &str = "/pvsim/modules";

/// What goes into a ramdisk.
#[derive(Clone, Debug, Default)]
pub struct Ramdisk {
    /// The first program, built for s390x: `pvsim-init`.
    pub init: PathBuf,
    /// Programs: the path in the guest, and the file here. Their libraries come along.
    pub programs: Vec<(PathBuf, PathBuf)>,
    /// Files with this content: the path in the guest.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Kernel modules.
    pub modules: Vec<PathBuf>,
    /// Folders with file systems for s390x, in which libraries are looked for.
    pub roots: Vec<PathBuf>,
    /// A command to run on the console; without, the guest takes its commands from outside.
    pub command: Vec<String>,
}

impl Ramdisk {
    /// The archive.
    ///
    /// # Errors
    /// [`Error::File`] for a file that cannot be read, or a library that is not found.
    pub fn build(&self) -> Result<Vec<u8>, Error> {
        let mut archive = Archive::default();
        for folder in ["dev", "proc", "sys", "tmp", "run"] {
            archive.folder(folder);
        }
        let mut files = BTreeMap::from([(PathBuf::from("/init"), self.init.clone())]);
        files.extend(self.programs.iter().cloned());
        let mut libraries = BTreeMap::new();
        for here in files.values() {
            libraries::add(here, &read(here)?.0, None, &self.roots, &mut libraries)?;
        }
        files.extend(libraries);
        for module in &self.modules {
            let name = module.file_name().ok_or_else(|| not_a_file(module))?;
            files.insert(Path::new(MODULES).join(name), module.clone());
        }
        // A program with many names is there once: the kernel has to unpack all of this.
        let mut there: BTreeMap<&PathBuf, &PathBuf> = BTreeMap::new();
        for (guest, here) in &files {
            if let Some(first) = there.get(here) {
                archive.link(guest, first);
                continue;
            }
            let (content, permissions) = read(here)?;
            archive.file(guest, permissions, &content);
            there.insert(here, guest);
        }
        for (guest, content) in &self.files {
            archive.file(guest, 0o644, content);
        }
        if !self.command.is_empty() {
            archive.file(Path::new(COMMAND), 0o644, self.command.join("\0").as_bytes());
        }
        Ok(archive.finish())
    }
}

fn read(file: &Path) -> Result<(Vec<u8>, u32), Error> {
    let wrong = |error: std::io::Error| Error::File { path: file.to_owned(), reason: error.to_string() };
    let metadata = fs::metadata(file).map_err(wrong)?;
    if !metadata.is_file() {
        return Err(not_a_file(file));
    }
    Ok((fs::read(file).map_err(wrong)?, metadata.permissions().mode()))
}

fn not_a_file(file: &Path) -> Error {
    Error::File { path: file.to_owned(), reason: "expected a file, found something else".into() }
}
