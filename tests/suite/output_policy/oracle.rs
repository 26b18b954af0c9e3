//! What the tables in docs/security.md say about a tree and the outputs of one command, written without a look at the code.

use super::tree::{Entries, Entry, Kind, join};
use std::collections::BTreeMap;

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;
const STICKY: u32 = 0o1000;
const SET_GROUP: u32 = 0o2000;

/// An output of a command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) path: String,
    pub(crate) is_secret: bool,
    pub(crate) bytes: Vec<u8>,
}

/// What a command must do.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) succeeds: bool,
    /// All that is there afterwards.
    pub(crate) entries: Entries,
    /// What goes through FIFOs.
    pub(crate) streamed: BTreeMap<String, Vec<u8>>,
    pub(crate) stdout: Vec<u8>,
    /// How many files are written in place, each with a note.
    pub(crate) in_place: usize,
    /// Bits of their modes that may be left.
    may_stay: BTreeMap<String, u32>,
}

/// Who makes outputs, where.
pub(crate) struct World<'a> {
    pub(crate) caller: u32,
    pub(crate) group: u32,
    /// `fs.protected_symlinks`
    pub(crate) protects_links: bool,
    pub(crate) entries: &'a Entries,
}

/// A name in a folder, which may be free.
struct Spot {
    folder: String,
    name: String,
}

impl Spot {
    fn path(&self) -> String {
        join(&self.folder, &self.name)
    }
}

/// Who follows a path.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Kernel,
    Library,
}

enum Place {
    Stdout,
    Spot(Spot),
}

#[derive(Debug)]
enum Way {
    Refused,
    /// A new file could be made, but it may not take the place of what is there.
    Stuck,
    Stdout,
    Stream(String),
    InPlace(String),
    New {
        path: String,
        owner: u32,
        group: u32,
        mode: u32,
    },
}

impl World<'_> {
    /// What must happen when all of `outputs` are made, in this order.
    pub(crate) fn expected(&self, outputs: &[Output]) -> Expected {
        let mut expected = Expected {
            succeeds: true,
            entries: self.entries.clone(),
            streamed: BTreeMap::new(),
            stdout: Vec::new(),
            in_place: 0,
            may_stay: BTreeMap::new(),
        };
        let ways: Vec<Way> = outputs.iter().map(|output| self.way(output)).collect();
        let is_one = |one: &Output, other: &Output| {
            let others = self.marks(other);
            self.marks(one).iter().any(|mark| others.contains(mark))
        };
        let are_one = (1..outputs.len()).any(|at| outputs[..at].iter().any(|one| is_one(one, &outputs[at])));
        if are_one || ways.iter().any(|way| matches!(way, Way::Refused)) {
            return Expected { succeeds: false, ..expected };
        }
        for (way, Output { bytes, .. }) in ways.into_iter().zip(outputs) {
            match way {
                Way::Refused | Way::Stuck => {
                    // What streams have got is gone, and set-id bits of what was written in place.
                    let mut entries = self.entries.clone();
                    for (path, entry) in &mut entries.0 {
                        entry.mode = expected
                            .entries
                            .0
                            .get(path)
                            .filter(|now| now.inode == entry.inode)
                            .map_or(entry.mode, |now| now.mode);
                    }
                    return Expected { succeeds: false, entries, ..expected };
                }
                Way::Stdout => expected.stdout.extend_from_slice(bytes),
                Way::Stream(path) => drop(expected.streamed.insert(path, bytes.clone())),
                Way::InPlace(path) => {
                    expected.in_place += 1;
                    let inode = self.entries.0[&path].inode;
                    for (path, entry) in expected.entries.0.iter_mut().filter(|(_, entry)| entry.inode == inode) {
                        expected.may_stay.insert(path.clone(), self.bits_that_may_stay(entry));
                        entry.content.clone_from(bytes);
                        entry.mode &= 0o777;
                    }
                }
                Way::New { path, owner, group, mode } => {
                    let new =
                        Entry { kind: Kind::File, inode: 0, owner, group, mode, names: 1, content: bytes.clone() };
                    if let Some(old) = expected.entries.0.insert(path, new) {
                        let same = |entry: &&mut Entry| entry.inode == old.inode;
                        expected.entries.0.values_mut().filter(same).for_each(|entry| entry.names -= 1);
                    }
                }
            }
        }
        expected
    }

    /// Of a stranger's file that is written in place the kernel takes the bits that give rights, and nobody else can take
    /// any.
    fn bits_that_may_stay(&self, old: &Entry) -> u32 {
        match [0, old.owner].contains(&self.caller) {
            true => 0,
            false if old.mode & 0o010 != 0 => STICKY,
            false => STICKY | SET_GROUP,
        }
    }

    fn may(&self, entry: &Entry, wanted: u32) -> bool {
        let class = match (self.caller == entry.owner, self.group == entry.group) {
            (true, _) => entry.mode >> 6,
            (_, true) => entry.mode >> 3,
            _ => entry.mode,
        };
        self.caller == 0 || class & wanted == wanted
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.0.get(path)
    }

    /// Where the folders of a path lead, all links followed. To the C library's `realpath`, `..` asks for no right to search
    /// the folder before it; to the kernel it does.
    fn folder(&self, from: &str, path: &str, by: By, links: &mut usize) -> Option<String> {
        let mut at = if path.starts_with('/') { String::new() } else { from.to_owned() };
        for part in path.split('/').filter(|part| !["", "."].contains(part)) {
            let may_search = self.may(self.entry(&at)?, SEARCH);
            if !may_search && (part != ".." || by == By::Kernel) {
                return None;
            }
            if part == ".." {
                at = at.rsplit_once('/').map_or("", |(above, _)| above).to_owned();
                continue;
            }
            let next = join(&at, part);
            at = match self.entry(&next)? {
                Entry { kind: Kind::Folder, .. } => next,
                Entry { kind: Kind::Link, content, .. } => {
                    *links = links.checked_sub(1)?;
                    self.folder(&at, text(content), by, links)?
                }
                _ => return None,
            };
        }
        Some(at)
    }

    /// The last name of a path, and its folder.
    fn spot(&self, from: &str, path: &str, by: By) -> Option<Spot> {
        let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
        let before = if path.starts_with('/') { format!("/{before}") } else { before.to_owned() };
        if ["", ".", ".."].contains(&name) {
            return None;
        }
        let folder = self.folder(from, &before, by, &mut MOST_LINKS.clone())?;
        let may_search = self.may(self.entry(&folder)?, SEARCH);
        may_search.then(|| Spot { folder, name: name.to_owned() })
    }

    /// What the kernel finds at a path, all links followed.
    fn end(&self, from: &str, path: &str, links: usize) -> Option<String> {
        let Some(spot) = self.spot(from, path, By::Kernel) else {
            return self.folder(from, path, By::Kernel, &mut MOST_LINKS.clone());
        };
        match self.entry(&spot.path())? {
            link if link.kind == Kind::Link => {
                let is_kept_back = self.protects_links && self.is_kept_back(&spot, link);
                let links = links.checked_sub(1).filter(|_| !is_kept_back)?;
                self.end(&spot.folder, text(&link.content), links)
            }
            _ => Some(spot.path()),
        }
    }

    /// Whether a link is a stranger's in a folder with the sticky bit that others may write to.
    fn is_kept_back(&self, spot: &Spot, link: &Entry) -> bool {
        let folder = &self.entries.0[&spot.folder];
        folder.mode & STICKY != 0 && folder.mode & 0o022 != 0 && ![0, self.caller, folder.owner].contains(&link.owner)
    }

    /// Where an output goes, unless the path is none for a file.
    fn place(&self, path: &str, is_secret: bool) -> Option<Place> {
        let (mut from, mut path) = (String::new(), path.to_owned());
        for _ in 0..=MOST_LINKS {
            if ["-", "/dev/stdout"].contains(&path.as_str()) {
                return Some(Place::Stdout);
            }
            if self.end(&from, &path, MOST_LINKS).is_some_and(|end| self.entries.0[&end].kind == Kind::Folder) {
                return None;
            }
            let spot = self.spot(&from, &path, By::Library)?;
            match self.entry(&spot.path()) {
                Some(link) if link.kind == Kind::Link && !is_secret && !self.is_kept_back(&spot, link) => {
                    path = text(&link.content).to_owned();
                    from = spot.folder;
                }
                _ => return Some(Place::Spot(spot)),
            }
        }
        None
    }

    /// All that makes two outputs one: names, and files that are there.
    fn marks(&self, output: &Output) -> Vec<String> {
        let mut marks = Vec::new();
        for is_secret in [false, true] {
            match self.place(&output.path, is_secret) {
                None => {}
                Some(Place::Stdout) => marks.push("stdout".to_owned()),
                Some(Place::Spot(spot)) => {
                    let end = self.end("", &spot.path(), MOST_LINKS);
                    marks.extend(end.map(|end| format!("#{}", self.entries.0[&end].inode)));
                    marks.push(spot.path());
                }
            }
        }
        marks
    }

    fn way(&self, output: &Output) -> Way {
        let spot = match self.place(&output.path, output.is_secret) {
            None => return Way::Refused,
            Some(Place::Stdout) => return Way::Stdout,
            Some(Place::Spot(spot)) => spot,
        };
        let (path, folder) = (spot.path(), &self.entries.0[&spot.folder]);
        let there = self.entry(&path);
        let is_trusted = there.is_some_and(|there| [0, self.caller].contains(&there.owner));
        let stream = |there| if self.may(there, WRITE) { Way::Stream(path.clone()) } else { Way::Refused };
        match (there.map(|there| (there.kind, there)), output.is_secret) {
            (Some((Kind::Folder | Kind::BlockDevice, _)), _) => Way::Refused,
            // Nobody can open a socket: it is a stream that cannot be written to.
            (Some((Kind::Socket, _)), is_secret) if !is_secret || is_trusted => Way::Refused,
            (Some((Kind::Fifo, there)), is_secret) if !is_secret || is_trusted => stream(there),
            (_, true) => self.new_file(folder, path, there, None, 0o600),
            (None, false) => self.new_file(folder, path, None, None, 0o644),
            (Some((Kind::File, there)), false) => self.way_of_file(folder, path, there),
            // A link that is not followed.
            (Some(_), false) => Way::Refused,
        }
    }

    /// A new file of the caller's, or of somebody else.
    fn new_file(&self, folder: &Entry, path: String, old: Option<&Entry>, owner: Option<(u32, u32)>, mode: u32) -> Way {
        let is_sticky = folder.mode & STICKY != 0;
        if !self.may(folder, WRITE | SEARCH) {
            Way::Refused
        } else if is_sticky
            && old.is_some_and(|old| ![0, folder.owner, old.owner].contains(&self.caller))
            && self.caller != 0
        {
            Way::Stuck
        } else {
            let (owner, group) = owner.unwrap_or((self.caller, self.new_group(folder)));
            Way::New { path, owner, group, mode }
        }
    }

    /// The group of a new file, as the kernel gives it.
    fn new_group(&self, folder: &Entry) -> u32 {
        if folder.mode & SET_GROUP != 0 { folder.group } else { self.group }
    }

    fn way_of_file(&self, folder: &Entry, path: String, there: &Entry) -> Way {
        let is_closed = [0, self.caller].contains(&folder.owner) && folder.mode & 0o022 == 0;
        let is_own = there.owner == self.caller;
        let is_strange = !is_own && there.owner != folder.owner && !is_closed;
        let mode = there.mode & 0o777;
        let new_group = self.new_group(folder);
        let (owner, mode) = if is_strange {
            (None, 0o644)
        } else if self.caller == 0 {
            (Some((there.owner, there.group)), mode)
        } else if is_own && [self.group, new_group].contains(&there.group) {
            (Some((self.caller, there.group)), mode)
        } else if is_own {
            // The group of the new file gets no more than others have.
            (None, mode & 0o707 | mode & (mode & 7) << 3)
        } else {
            (None, mode & 0o644)
        };
        if !self.may(there, WRITE) {
            Way::Refused
        } else if there.names > 1 && is_closed {
            Way::InPlace(path)
        } else if !self.may(folder, WRITE | SEARCH) {
            let may_stay = !is_strange && (there.names == 1 || is_closed);
            if may_stay { Way::InPlace(path) } else { Way::Refused }
        } else {
            self.new_file(folder, path, Some(there), owner, mode)
        }
    }
}

fn text(target: &[u8]) -> &str {
    std::str::from_utf8(target).expect("our own links")
}

impl Expected {
    /// Compares with what came of it. A new file has an inode of its own.
    pub(crate) fn check(&self, before: &Entries, after: &Entries) -> Result<(), String> {
        let mut after = after.clone();
        for (path, expected) in self.entries.0.iter().filter(|(_, expected)| expected.inode == 0) {
            let Some(found) = after.0.get_mut(path) else { return Err(format!("{path} is missing")) };
            let is_new = before.0.values().all(|old| old.inode != found.inode || old.kind != Kind::File);
            if !is_new {
                return Err(format!("{path} is an old file"));
            }
            found.inode = expected.inode;
        }
        for (path, bits) in &self.may_stay {
            after.0.entry(path.clone()).and_modify(|entry| entry.mode &= !bits);
        }
        if after == self.entries {
            return Ok(());
        }
        let all: std::collections::BTreeSet<_> = after.0.keys().chain(self.entries.0.keys()).collect();
        let line = |path: &&String| {
            let (wanted, found) = (self.entries.0.get(*path), after.0.get(*path));
            (wanted != found).then(|| format!("{path}: expected {wanted:?}, found {found:?}"))
        };
        Err(all.iter().filter_map(line).collect::<Vec<_>>().join("\n"))
    }
}
