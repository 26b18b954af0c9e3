//! The simulated files as real ones, so that the kernel can answer everything but opening and writing.
//!
//! What a program looks at is brought up to date just before. Several processes do so in the same folder, so each step
//! takes it well that another has done it already; the text of an attribute is replaced as a whole.

use super::sysfs::{Node, Sysfs};
use super::{Parts, order};
use nix::errno::Errno;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// As many links as the kernel follows on one path.
const MAX_LINKS: usize = 40;

/// How a program opens a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) create: bool,
    pub(super) exclusive: bool,
}

/// The parts of `/sys` that are simulated, and where they stand.
pub(super) struct Tree {
    root: PathBuf,
    parts: Parts,
}

impl Tree {
    pub(super) fn new(root: &Path, parts: Parts) -> Self {
        Self { root: root.to_owned(), parts }
    }

    /// Brings `path` up to date: the way to it, and of a folder the names in it. Gives the path without links, and
    /// what stands there.
    pub(super) fn refresh(&self, path: &str) -> Result<(String, Node), Errno> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.walk(&path)? {
                Walked::Arrived(node) => return Ok((path, node)),
                Walked::Elsewhere(other) => path = other,
            }
        }
        Err(Errno::ELOOP)
    }

    /// Brings `path` up to date. Gives the names in a folder in the order of a listing, each with a zero byte; nothing
    /// for what is no folder.
    pub(super) fn names(&self, path: &str) -> Result<String, Errno> {
        let (_, Node::Folder(mut names)) = self.refresh(path)? else { return Ok(String::new()) };
        order::sort(&mut names);
        Ok(names.into_iter().map(|name| name + "\0").collect())
    }

    /// What opening `path` gives, short of opening it.
    ///
    /// The errno of a text that cannot be read comes here, and not from `read(2)` as with the kernel's sysfs.
    pub(super) fn open(&self, path: &str, opening: Opening) -> Result<(), Errno> {
        let (path, node) = match self.refresh(path) {
            Ok(found) => found,
            Err(Errno::ENOENT) if opening.create => return Err(self.not_created(path)),
            Err(errno) => return Err(errno),
        };
        if opening.create && opening.exclusive {
            return Err(Errno::EEXIST);
        }
        match node {
            Node::Attribute { mode } => {
                let refused = |wanted, bits| wanted && mode & bits == 0;
                if refused(opening.read, 0o444) || refused(opening.write, 0o222) {
                    return Err(Errno::EACCES);
                }
                if opening.read {
                    self.put(&path, &self.part(&path)?.1.read(&path)?, mode)?;
                }
                Ok(())
            }
            Node::Folder(_) if opening.write || opening.create => Err(Errno::EISDIR),
            Node::Folder(_) | Node::Link(_) => Ok(()),
        }
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<usize, Errno> {
        self.part(path)?.1.write(path, bytes)
    }

    /// Why `path` cannot be made: nobody makes files in `/sys`, and in a folder that is not there even less.
    fn not_created(&self, path: &str) -> Errno {
        match path.rsplit_once('/').map(|(folder, _)| self.refresh(folder)) {
            Some(Ok((_, Node::Folder(_)))) => Errno::EACCES,
            _ => Errno::ENOENT,
        }
    }

    /// The part that `path` is in, and how long the path of the part itself is.
    fn part(&self, path: &str) -> Result<(usize, &dyn Sysfs), Errno> {
        let covers =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let found = self.parts.iter().find(|(prefix, _)| covers(prefix));
        found.map(|(prefix, part)| (prefix.len(), part.as_ref())).ok_or(Errno::ENOENT)
    }

    fn walk(&self, path: &str) -> Result<Walked, Errno> {
        let (start, part) = self.part(path)?;
        // What is not behind a link is found at once.
        if let Some(node) = self.attribute(part, path) {
            return Ok(Walked::Arrived(node));
        }
        let ends = path.char_indices().filter(|(at, letter)| *letter == '/' && *at >= start).map(|(at, _)| at);
        for end in ends {
            match self.look(part, &path[..end])? {
                Node::Folder(_) => {}
                Node::Link(text) => return Ok(Walked::Elsewhere(follow(&path[..end], &text) + &path[end..])),
                Node::Attribute { .. } => return Err(Errno::ENOTDIR),
            }
        }
        let node = self.look(part, path)?;
        match &node {
            Node::Folder(names) => self.fill(part, path, names)?,
            Node::Link(text) => return Ok(Walked::Elsewhere(follow(path, text))),
            Node::Attribute { .. } => {}
        }
        Ok(Walked::Arrived(node))
    }

    /// The attribute at `path`, if it is one and a file is there for it.
    fn attribute(&self, part: &dyn Sysfs, path: &str) -> Option<Node> {
        let node = part.node(path).ok().filter(|node| matches!(node, Node::Attribute { .. }))?;
        let there = fs::symlink_metadata(self.real(path)).is_ok_and(|metadata| metadata.is_file());
        there.then_some(node)
    }

    /// Makes `path` be what the simulator says, without what is in a folder.
    fn look(&self, part: &dyn Sysfs, path: &str) -> Result<Node, Errno> {
        let real = self.real(path);
        let node = part.node(path).inspect_err(|_| remove(&real))?;
        let there = fs::symlink_metadata(&real).map(|metadata| metadata.file_type()).ok();
        match &node {
            Node::Folder(_) if there.is_some_and(|kind| kind.is_dir()) => {}
            Node::Folder(_) => {
                remove(&real);
                fs::create_dir_all(&real).map_err(errno)?;
            }
            Node::Link(text) => {
                if fs::read_link(&real).ok().as_deref() != Some(Path::new(text)) {
                    remove(&real);
                    made(symlink(text, &real))?;
                }
            }
            Node::Attribute { .. } if there.is_some_and(|kind| kind.is_file()) => {}
            Node::Attribute { mode } => {
                remove(&real);
                self.link_empty(&real, *mode)?;
            }
        }
        Ok(node)
    }

    /// Makes the folder at `path` have exactly these names.
    fn fill(&self, part: &dyn Sysfs, path: &str, names: &[String]) -> Result<(), Errno> {
        for entry in fs::read_dir(self.real(path)).map_err(errno)? {
            let entry = entry.map_err(errno)?;
            if !names.iter().any(|name| entry.file_name() == name.as_str()) {
                remove(&entry.path());
            }
        }
        for name in names {
            match self.look(part, &format!("{path}/{name}")) {
                // It went between the two questions.
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Puts an empty file there, until somebody reads the attribute. It is a link to one file for all, which is much
    /// quicker than a new file: a folder of a queue has fifteen of them.
    fn link_empty(&self, real: &Path, mode: u32) -> Result<(), Errno> {
        let empty = self.root.join(format!(".empty-{mode:o}"));
        let linked = match fs::hard_link(&empty, real) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = tempfile::NamedTempFile::new_in(&self.root).map_err(errno)?;
                file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(errno)?;
                file.persist(&empty).map_err(|error| errno(error.error))?;
                fs::hard_link(&empty, real)
            }
            linked => linked,
        };
        made(linked)
    }

    /// Replaces the text of an attribute: who has it open goes on to read the old one.
    fn put(&self, path: &str, text: &[u8], mode: u32) -> Result<(), Errno> {
        // Programs that wait read the same again and again.
        if fs::read(self.real(path)).is_ok_and(|old| old == text) {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
            file.write_all(text)?;
            file.as_file().set_permissions(Permissions::from_mode(mode))?;
            file.persist(self.real(path))?;
            Ok(())
        };
        write().map_err(errno)
    }

    fn real(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

enum Walked {
    Arrived(Node),
    /// A link leads to this path.
    Elsewhere(String),
}

/// Where the link at `path` with this text leads.
fn follow(path: &str, text: &str) -> String {
    let mut parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.pop();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Removes what is there, if anything is: another process may be faster.
fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        let _ = fs::remove_dir_all(path);
    } else {
        let _ = fs::remove_file(path);
    }
}

fn made(result: io::Result<()>) -> Result<(), Errno> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(errno),
    }
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
