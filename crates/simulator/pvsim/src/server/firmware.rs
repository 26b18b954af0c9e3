//! `/sys/firmware/uv`.

use super::sysfs::{Node, Sysfs};
use crate::Machine;
use nix::errno::Errno;
use std::collections::BTreeSet;

/// The files of the ultravisor: nobody can write to them, and they stay as they are.
pub(super) struct Firmware {
    files: Vec<(&'static str, String)>,
}

impl Firmware {
    pub(super) fn of(machine: &Machine) -> Self {
        Self { files: machine.firmware_files() }
    }
}

impl Sysfs for Firmware {
    fn node(&self, path: &str) -> Result<Node, Errno> {
        let path = path.strip_prefix("/sys/firmware/uv").ok_or(Errno::ENOENT)?.trim_start_matches('/');
        if self.files.iter().any(|(name, _)| *name == path) {
            return Ok(Node::Attribute { mode: 0o444 });
        }
        let below = |name: &&'static str| match path {
            "" => Some(*name),
            folder => name.strip_prefix(folder)?.strip_prefix('/'),
        };
        let names: BTreeSet<_> =
            self.files.iter().filter_map(|(name, _)| below(name)?.split('/').next()).map(String::from).collect();
        if names.is_empty() { Err(Errno::ENOENT) } else { Ok(Node::Folder(names.into_iter().collect())) }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let file = self.files.iter().find(|(name, _)| path.strip_prefix("/sys/firmware/uv/") == Some(name));
        file.map(|(_, text)| text.as_bytes().to_vec()).ok_or(Errno::ENOENT)
    }

    fn write(&self, _path: &str, _bytes: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EACCES)
    }
}
