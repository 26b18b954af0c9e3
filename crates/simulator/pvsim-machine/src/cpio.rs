//! The archive that a kernel unpacks as its first file system: cpio, form `newc`.
//!
//! Source: Linux `Documentation/driver-api/early-userspace/buffer-format.rst`.

use std::collections::BTreeSet;
use std::path::{Component, Path};

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;

/// An archive in the making.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a file at an absolute path, with the folders above it.
    pub(crate) fn file(&mut self, path: &Path, permissions: u32, content: &[u8]) {
        self.below_folders(path, FILE | permissions & 0o777, content);
    }

    /// Adds a symbolic link at an absolute path to another one, with the folders above it.
    pub(crate) fn link(&mut self, path: &Path, to: &Path) {
        self.below_folders(path, LINK, to.as_os_str().as_encoded_bytes());
    }

    fn below_folders(&mut self, path: &Path, mode: u32, content: &[u8]) {
        let name = name(path);
        for (at, _) in name.match_indices('/') {
            self.folder(&name[..at]);
        }
        self.entry(&name, mode, content);
    }

    /// Adds an empty folder.
    pub(crate) fn folder(&mut self, name: &str) {
        if self.folders.insert(name.to_owned()) {
            self.entry(name, FOLDER, &[]);
        }
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        // inode, mode, owner, group, links, time, size, device (2), device number (2), length of the name, checksum
        let numbers = [self.entries, mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        self.bytes.extend(b"070701");
        numbers.iter().for_each(|number| self.bytes.extend(format!("{number:08x}").bytes()));
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The name in the archive: without the slash in front, and without `.` and `..`.
fn name(path: &Path) -> String {
    let mut parts: Vec<_> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_as_the_kernel_wants_it() {
        let mut archive = Archive::default();
        archive.file(Path::new("/bin/../usr/bin/tool"), 0o755, b"content");
        archive.file(Path::new("/usr/bin/other"), 0o644, b"");
        archive.link(Path::new("/usr/bin/third"), Path::new("/usr/bin/tool"));
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        let names = ["usr\0", "usr/bin\0", "usr/bin/tool\0", "usr/bin/other\0", "usr/bin/third\0", "TRAILER!!!\0"];
        let places: Vec<_> = names.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(text.matches("070701").count(), names.len());
        let first = &bytes[..110];
        assert_eq!(&first[..22], b"07070100000001000041ed");
        // The size of a file, and its content at a multiple of four.
        let tool = text.find("usr/bin/tool").unwrap() - 110;
        assert_eq!(&text[tool + 54..tool + 62], "00000007");
        let link = text.find("usr/bin/third").unwrap() - 110;
        assert_eq!(&text[link + 14..link + 22], "0000a1ff");
        let content = text.find("content").unwrap();
        assert_eq!(content % 4, 0);
    }
}
