//! Trees of files, links, FIFOs and folders of several users, made from any bytes; and what is in such a tree.

use super::oracle::Output;
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::mkfifo;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The folders of each tree. Links from the others into the last lead to a victim.
const FOLDERS: [&str; 4] = ["a", "b", "a/c", "victim"];
const NAMES: [&str; 4] = ["x", "y", "z", "w"];
/// The size of files that are there.
const OLD: usize = 3000;

/// Bytes that decide. Where they end, the first choice is made.
pub(crate) struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        usize::from(*first) % limit
    }

    pub(crate) fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The path of an output, from the top of the tree.
    pub(crate) fn output(&mut self) -> String {
        let (folder, name) = (self.of(&FOLDERS), self.of(&NAMES));
        match self.below(16) {
            0 => "-".to_owned(),
            1 => format!("{folder}/{name}/"),
            2 => format!("{folder}/../{}/./{name}", self.of(&FOLDERS)),
            // A link may lead to a folder.
            3 | 4 => format!("{folder}/{name}/{}", self.of(&NAMES)),
            _ => format!("{folder}/{name}"),
        }
    }
}

/// A tree on the disk, until it is dropped.
pub(crate) struct Tree {
    top: PathBuf,
    /// The other ends of FIFOs: with them nobody waits.
    fifos: Vec<(String, File)>,
    _sockets: Vec<UnixListener>,
}

impl Tree {
    /// Makes a tree at `top`, where nothing is. `users` may own what is in it, half of which is where outputs go.
    pub(crate) fn make(top: &Path, users: &[u32], outputs: &[Output], choices: &mut Choices) -> Self {
        fs::create_dir(top).expect("nothing there");
        let mut tree = Self { top: top.to_owned(), fifos: Vec::new(), _sockets: Vec::new() };
        for folder in FOLDERS {
            fs::create_dir(top.join(folder)).expect("a new tree");
        }
        let is_name = |path: &str| path.rsplit_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder));
        let aims: Vec<_> = outputs.iter().map(|output| &output.path).filter(|path| is_name(path)).collect();
        let mut files: Vec<PathBuf> = Vec::new();
        for _ in 0..2 + choices.below(8) {
            let path = match choices.below(2) {
                1 if !aims.is_empty() => choices.of(&aims).clone(),
                _ => format!("{}/{}", choices.of(&FOLDERS), choices.of(&NAMES)),
            };
            let there = top.join(&path);
            if there.symlink_metadata().is_ok() {
                continue;
            }
            let modes = [0o600, 0o644, 0o664, 0o666, 0o444, 0o620, 0o4755, 0o4777, 0o6777, 0o2666, 0o1644, 0o1666];
            let mode = choices.of(&modes);
            match choices.below(16) {
                0..=5 => {
                    fs::write(&there, vec![b'o'; OLD]).expect("a new file");
                    if choices.below(2) == 1 {
                        fs::hard_link(&there, top.join(format!("{path}.again"))).expect("a second name");
                    }
                    files.push(there.clone());
                }
                6 if !files.is_empty() => {
                    fs::hard_link(&files[choices.below(files.len())], &there).expect("a second name");
                    continue; // owner and mode are the file's
                }
                7..=8 => {
                    mkfifo(&there, Mode::S_IRWXU).expect("a new FIFO");
                    let end = OpenOptions::new().read(true).write(true).custom_flags(0o4000).open(&there);
                    tree.fifos.push((path, end.expect("a new FIFO")));
                }
                9 => tree._sockets.extend(UnixListener::bind(&there)),
                10 => fs::create_dir(&there).expect("a new folder"),
                11 => drop(mknod(&there, SFlag::S_IFBLK, Mode::S_IRWXU, 0)),
                _ => {
                    let name = choices.of(&NAMES);
                    let target = match choices.below(8) {
                        0..=2 => name.to_owned(),
                        3 => format!("{}/{name}", top.join(choices.of(&FOLDERS)).display()),
                        4 => format!("../b/./{name}"),
                        5 => ["c", ".", "../b", "/dev/stdout"][choices.below(4)].to_owned(),
                        6 => format!("{name}/{}", choices.of(&NAMES)),
                        _ => format!("{}/victim/x", top.display()),
                    };
                    symlink(target, &there).expect("a new link");
                    let owner = choices.of(users);
                    lchown(&there, Some(owner), Some(owner)).expect("the user's own");
                    continue;
                }
            }
            if there.exists() {
                give(&there, choices.of(users), choices.of(users), mode);
            }
        }
        for folder in FOLDERS {
            let modes =
                [0o755, 0o755, 0o755, 0o555, 0o711, 0o700, 0o775, 0o777, 0o1777, 0o1777, 0o1775, 0o2777, 0o2755, 0o733];
            give(&top.join(folder), choices.of(users), choices.of(users), choices.of(&modes));
        }
        tree
    }

    /// What has come through the FIFOs: each path, and the bytes.
    pub(crate) fn streamed(&mut self) -> BTreeMap<String, Vec<u8>> {
        let read = |(path, end): &mut (String, File)| {
            let mut bytes = Vec::new();
            let error = end.read_to_end(&mut bytes).expect_err("it stays open");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{path}");
            (path.clone(), bytes)
        };
        self.fifos.iter_mut().map(read).filter(|(_, bytes)| !bytes.is_empty()).collect()
    }

    /// All that is in the tree, by its path from the top, which is "".
    pub(crate) fn entries(&self) -> Entries {
        let mut entries = BTreeMap::new();
        self.read("", &mut entries);
        Entries(entries)
    }

    fn read(&self, path: &str, entries: &mut BTreeMap<String, Entry>) {
        let there = self.top.join(path);
        let entry = Entry::read(&there, &self.top);
        if entry.kind == Kind::Folder {
            for name in fs::read_dir(&there).expect("a readable folder") {
                let name = name.expect("a readable folder").file_name().into_string().expect("our own names");
                self.read(&join(path, &name), entries);
            }
        }
        entries.insert(path.to_owned(), entry);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for folder in FOLDERS {
            // Without root, a folder must be open to be emptied.
            let _ = fs::set_permissions(self.top.join(folder), Permissions::from_mode(0o700));
        }
        fs::remove_dir_all(&self.top).expect("our own tree");
    }
}

/// A name in a folder of the tree.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn give(path: &Path, owner: u32, group: u32, mode: u32) {
    lchown(path, Some(owner), Some(group)).expect("the user's own");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the user's own");
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entries(pub BTreeMap<String, Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Fifo,
    Socket,
    BlockDevice,
}

/// What `lstat` says, and what is in it.
#[derive(Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) inode: u64,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) mode: u32,
    pub(crate) names: u64,
    /// Of a file its bytes; of a link where it leads, `/` being the top of the tree.
    pub(crate) content: Vec<u8>,
}

impl Entry {
    fn read(path: &Path, top: &Path) -> Self {
        let found = path.symlink_metadata().expect("it is there");
        let kind = match found.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            kind if kind.is_fifo() => Kind::Fifo,
            kind if kind.is_socket() => Kind::Socket,
            _ => Kind::BlockDevice,
        };
        let content = match kind {
            Kind::File => fs::read(path).expect("a readable file"),
            Kind::Link => {
                let target = path.read_link().expect("a link");
                let below = target.strip_prefix(top).map(|below| format!("/{}", below.display()));
                below.unwrap_or_else(|_| target.display().to_string()).into_bytes()
            }
            _ => Vec::new(),
        };
        let (inode, names) = if kind == Kind::Folder { (found.ino(), 1) } else { (found.ino(), found.nlink()) };
        let mode = found.mode() & 0o7777;
        Self { kind, inode, owner: found.uid(), group: found.gid(), mode, names, content }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { kind, inode, owner, group, mode, names, content } = self;
        let content = String::from_utf8_lossy(&content[..content.len().min(20)]);
        write!(out, "{kind:?} #{inode} {owner}:{group} {mode:o} x{names} {content:?}({})", self.content.len())
    }
}
