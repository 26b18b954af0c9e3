//! Random trees of files, links and FIFOs of several users, held against the tables of docs/security.md.

use crate::outputs::{KEYS, NOBODY, command, give, is_root, open_to_all};
use crate::support::Run;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

/// Something random in a random folder.
#[derive(Debug)]
struct Case {
    caller: u32,
    folder: (u32, u32),
    there: There,
    is_secret: bool,
}

#[derive(Clone, Debug)]
enum There {
    Nothing,
    Folder,
    File { owner: u32, mode: u32, names: u32 },
    Fifo { owner: u32, mode: u32 },
    Link { owner: u32, to: Box<There> },
}

/// What the tables in docs/security.md say.
#[derive(Debug, PartialEq)]
enum Expected {
    Refused,
    Streamed,
    /// Owner and mode of what is at the end.
    File(u32, u32),
}

/// Pseudo-random numbers (xorshift), so that a case can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn there(&mut self, links: usize) -> There {
        const USERS: [u32; 3] = [0, NOBODY, NOBODY - 1];
        let owner = self.of(&USERS);
        match self.below(if links > 0 { 12 } else { 9 }) {
            0 => There::Nothing,
            1 => There::Folder,
            2 | 3 => There::Fifo { owner, mode: self.of(&[0o600, 0o622, 0o666]) },
            4..=8 => {
                let mode = self.of(&[0o600, 0o644, 0o664, 0o666, 0o444, 0o4755, 0o4777, 0o6777, 0o2666, 0o1644]);
                There::File { owner, mode, names: self.of(&[1, 1, 2]) }
            }
            _ => There::Link { owner, to: Box::new(self.there(links - 1)) },
        }
    }

    fn case(&mut self) -> Case {
        let folder = (self.of(&[0, NOBODY, NOBODY - 1]), self.of(&[0o755, 0o775, 0o777, 0o1777, 0o555]));
        Case { caller: self.of(&[0, NOBODY]), folder, there: self.there(2), is_secret: self.below(2) == 0 }
    }
}

impl Case {
    fn is_closed(&self) -> bool {
        [0, self.caller].contains(&self.folder.0) && self.folder.1 & 0o022 == 0
    }

    /// Whether the kernel lets the caller replace what `owner` has there.
    fn can_replace(&self, owner: Option<u32>) -> bool {
        let sticky = self.folder.1 & 0o1000 != 0 && self.folder.0 != self.caller;
        self.caller == 0 || self.can_make() && !(sticky && owner.is_some_and(|owner| owner != self.caller))
    }

    fn can_make(&self) -> bool {
        self.caller == 0 || self.folder.1 & (if self.folder.0 == self.caller { 0o200 } else { 0o002 }) != 0
    }

    fn may_write(&self, owner: u32, mode: u32) -> bool {
        self.caller == 0 || mode & (if owner == self.caller { 0o200 } else { 0o002 }) != 0
    }

    fn expected(&self, there: &There) -> Expected {
        let new =
            |mode, owner| if self.can_replace(owner) { Expected::File(self.caller, mode) } else { Expected::Refused };
        let trusted = |owner: u32| [0, self.caller].contains(&owner);
        let ends_in_folder = |mut there: &There| {
            while let There::Link { to, .. } = there {
                there = to;
            }
            matches!(there, There::Folder)
        };
        match (there, self.is_secret) {
            (there, _) if ends_in_folder(there) => Expected::Refused,
            (There::Fifo { owner, mode }, false) => self.streamed(*owner, *mode),
            (There::Fifo { owner, mode }, true) if trusted(*owner) => self.streamed(*owner, *mode),
            (There::Nothing, true) => new(0o600, None),
            (There::Fifo { owner, .. } | There::Link { owner, .. } | There::File { owner, .. }, true) => {
                new(0o600, Some(*owner))
            }
            (There::Nothing, false) => new(0o644, None),
            (There::Link { owner, to }, false) => {
                let shared = self.folder.1 == 0o1777 && !trusted(*owner) && *owner != self.folder.0;
                if shared { Expected::Refused } else { self.expected(to) }
            }
            (There::File { owner, mode, names }, false) => self.expected_of_file(*owner, *mode, *names),
            (There::Folder, _) => Expected::Refused,
        }
    }

    fn streamed(&self, owner: u32, mode: u32) -> Expected {
        if self.may_write(owner, mode) { Expected::Streamed } else { Expected::Refused }
    }

    fn expected_of_file(&self, owner: u32, mode: u32, names: u32) -> Expected {
        let kept = mode & 0o777;
        let is_strange = owner != self.caller && owner != self.folder.0 && !self.is_closed();
        let in_place = Expected::File(owner, kept);
        if !self.may_write(owner, mode) {
            Expected::Refused
        } else if names > 1 && self.is_closed() {
            in_place
        } else if !self.can_make() {
            if !is_strange && (names == 1 || self.is_closed()) { in_place } else { Expected::Refused }
        } else if !self.can_replace(Some(owner)) {
            Expected::Refused
        } else if is_strange {
            Expected::File(self.caller, 0o644)
        } else if owner == self.caller || self.caller == 0 {
            in_place
        } else {
            Expected::File(self.caller, kept & 0o644)
        }
    }
}

/// Puts it there; gives the FIFO's other end, if there is one, and the path where links end.
fn prepare(folder: &Path, name: &str, there: &There) -> (Option<fs::File>, String) {
    let path = folder.join(name);
    match there {
        There::Nothing => {}
        There::Folder => fs::create_dir(&path).unwrap(),
        There::File { owner, mode, names } => {
            fs::write(&path, vec![b'o'; 3000]).unwrap();
            if *names > 1 {
                fs::hard_link(&path, folder.join(format!("{name}.hard"))).unwrap();
            }
            give(&path, *owner, *mode);
        }
        There::Fifo { owner, mode } => {
            mkfifo(&path, Mode::S_IRWXU).unwrap();
            give(&path, *owner, *mode);
            let reader = OpenOptions::new().read(true).write(true).custom_flags(0o4000).open(&path).unwrap();
            return (Some(reader), name.to_owned());
        }
        There::Link { owner, to } => {
            let next = format!("{name}.to");
            symlink(&next, &path).unwrap();
            std::os::unix::fs::lchown(&path, Some(*owner), Some(*owner)).unwrap();
            return prepare(folder, &next, to);
        }
    }
    (None, name.to_owned())
}

#[test]
fn random_trees_are_treated_as_the_tables_say() {
    if !is_root() {
        return;
    }
    let cases: usize = std::env::var("PVTOOLS_OUTPUT_CASES").map_or(250, |cases| cases.parse().unwrap());
    let seed: u64 = std::env::var("PVTOOLS_OUTPUT_SEED").map_or(0x9e37_79b9_7f4a_7c15, |seed| seed.parse().unwrap());
    let scratch = open_to_all();
    let header = scratch.read("se.hdr");
    let mut random = Random(seed);
    let mut counts = [0; 3];
    for number in 0..cases {
        let case = random.case();
        let folder = scratch.join(&format!("{number}"));
        fs::create_dir(&folder).unwrap();
        let (reader, end) = prepare(&folder, "out", &case.there);
        give(&folder, case.folder.0, case.folder.1);
        let line = match case.is_secret {
            true => format!("pvattest create {KEYS} -o /dev/null -a {number}/out"),
            false => format!("pvextract-hdr -o {number}/out img"),
        };
        let run = Run::of(&mut command(&scratch, case.caller, &line), b"");
        let place = format!("case {number}: {case:?}: {run:?}");
        let mut got = Vec::new();
        if let Some(mut reader) = reader {
            let mut buffer = [0; 4096];
            let size = reader.read(&mut buffer).unwrap_or(0);
            got.extend_from_slice(&buffer[..size]);
        }
        let expected = case.expected(&case.there);
        let out = folder.join(if case.is_secret { "out" } else { &end });
        assert_eq!(run.status, i32::from(expected == Expected::Refused), "{place}");
        let is_output = |bytes: &[u8]| if case.is_secret { bytes.len() == 32 } else { bytes == header };
        match expected {
            Expected::Streamed => assert!(is_output(&got), "{place}"),
            Expected::File(owner, mode) => {
                let found = out.symlink_metadata().unwrap();
                assert!(found.is_file() && is_output(&fs::read(&out).unwrap()), "{place}");
                assert_eq!((found.uid(), found.permissions().mode() & 0o7777), (owner, mode), "{place}");
            }
            Expected::Refused => {}
        }
        if expected != Expected::Streamed {
            assert!(got.is_empty(), "{place}");
        }
        // Nothing else has changed: old files are old, and there is nothing new.
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.starts_with("out"), "{place}: {name}");
            let is_target = path == out && matches!(expected, Expected::File(..));
            let is_file = path.symlink_metadata().unwrap().is_file();
            if is_file && !is_target && !name.ends_with(".hard") {
                assert_eq!(fs::read(&path).unwrap(), vec![b'o'; 3000], "{place}: {name}");
            }
        }
        counts[match expected {
            Expected::Refused => 0,
            Expected::Streamed => 1,
            Expected::File(..) => 2,
        }] += 1;
        fs::remove_dir_all(&folder).unwrap();
    }
    let [refused, streamed, files] = counts;
    println!("{cases} random trees: {files} files written, {streamed} streams, {refused} refused");
    assert!(counts.iter().all(|count| count * 50 > cases), "{counts:?}");
}
