//! What happens to what is there (docs/security.md), to several outputs when one fails, and when others are at work.

use crate::pvsecret_workstation::workstation;
use crate::support::{Run, Scratch};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user without rights.
pub(crate) const NOBODY: u32 = 65534;
const KEYS: &str = "-q -k host.crt --no-verify";

pub(crate) fn is_root() -> bool {
    let is_root = nix::unistd::Uid::effective().is_root();
    if !is_root {
        println!("skipped: not root");
    }
    is_root
}

/// A folder that others can enter, with a copy of the program that they can run.
pub(crate) fn open_to_all() -> Scratch {
    let scratch = workstation();
    scratch.write("img", pvsim::image::image(&scratch.read("se.hdr"), 2, false).unwrap());
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
    copy_program(env!("CARGO_BIN_EXE_pvtools"), &scratch.join("pvtools"));
    scratch
}

/// By another process: what this one has open for writing, another test's program may inherit, and then the copy cannot
/// be run.
pub(crate) fn copy_program(from: &str, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

/// `line` run as the user `uid`: the first word is the tool.
pub(crate) fn command(scratch: &Scratch, uid: u32, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(scratch.join("pvtools"));
    crate::support::clean(&mut command);
    command.arg0(words.next().unwrap()).args(words).current_dir(scratch.path());
    if uid != 0 {
        command.uid(uid).gid(uid);
    }
    command
}

fn run(scratch: &Scratch, line: &str) -> Run {
    Run::of(&mut command(scratch, 0, line), b"")
}

fn create(scratch: &Scratch, rest: &str) -> Run {
    run(scratch, &format!("pvsecret create {KEYS} --hdr se.hdr {rest}"))
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

fn owner(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().uid()
}

/// What an attacker prepared: owner and all bits of the mode.
fn give(path: &Path, owner: u32, mode: u32) {
    chown(path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn no_set_id_bit_of_anybody_survives() {
    if !is_root() {
        return;
    }
    let scratch = open_to_all();
    fs::create_dir(scratch.join("pub")).unwrap();
    give(&scratch.join("pub"), 0, 0o1777);
    for bits in [0o4755, 0o4777, 0o6777, 0o1644] {
        let out = scratch.write("pub/out", "x");
        give(&out, NOBODY, bits);
        run(&scratch, "pvextract-hdr -o pub/out img").succeeds();
        assert_eq!((owner(&out), mode(&out)), (0, 0o644), "{bits:o}");
        // Nor on a file of one's own, nor on one that is written in place.
        let own = scratch.write("own", "x");
        fs::hard_link(&own, scratch.join("hard")).unwrap();
        give(&own, 0, bits);
        run(&scratch, "pvextract-hdr -o own img").succeeds();
        assert_eq!(mode(&own), bits & 0o777);
        fs::remove_file(scratch.join("hard")).unwrap();
        give(&own, 0, bits);
        run(&scratch, "pvextract-hdr -o own img").succeeds();
        assert_eq!(mode(&own), bits & 0o777);
    }
}

#[test]
fn a_file_below_dev_is_a_file() {
    let Ok(shm) = tempfile::tempdir_in("/dev/shm") else {
        println!("skipped: no /dev/shm");
        return;
    };
    let scratch = open_to_all();
    let at = |name: &str| shm.path().join(name);
    let precious = scratch.write("precious", "something precious that is longer than the key");
    symlink(&precious, at("key")).unwrap();
    run(&scratch, &format!("pvattest create {KEYS} -o q -a {}", at("key").display())).succeeds();
    assert_eq!(fs::read(precious).unwrap(), b"something precious that is longer than the key");
    assert_eq!((mode(&at("key")), at("key").metadata().unwrap().len()), (0o600, 32));
    fs::set_permissions(at("key"), Permissions::from_mode(0o666)).unwrap();
    run(&scratch, &format!("pvattest create {KEYS} -o q -a {}", at("key").display())).succeeds();
    assert_eq!(mode(&at("key")), 0o600);
    fs::write(at("request"), vec![0; 5000]).unwrap();
    create(&scratch, &format!("-o {} meta", at("request").display())).succeeds();
    run(&scratch, &format!("pvsecret verify {}", at("request").display())).succeeds();
    // A way through /dev that ends elsewhere.
    scratch.write("longer", vec![0; 5000]);
    let around = format!("/dev/..{}", scratch.join("longer").display());
    run(&scratch, &format!("pvextract-hdr -o {around} img")).succeeds();
    assert_eq!(scratch.read("longer"), scratch.read("se.hdr"));
}

#[test]
fn a_secret_goes_into_no_fifo_of_others() {
    if !is_root() {
        return;
    }
    let scratch = open_to_all();
    let fifo = scratch.join("key");
    for (whose, gets) in [(NOBODY, 0), (0, 32)] {
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        give(&fifo, whose, 0o666);
        // Open for both, it neither waits for a writer nor ends.
        let mut reader = OpenOptions::new().read(true).write(true).custom_flags(0o4000).open(&fifo).unwrap();
        run(&scratch, &format!("pvattest create {KEYS} -o q -a key")).succeeds();
        let mut got = [0; 64];
        assert_eq!(reader.read(&mut got).unwrap_or(0), gets);
        if whose == NOBODY {
            assert_eq!((mode(&fifo), owner(&fifo), scratch.read("key").len()), (0o600, 0, 32));
        }
        // A link to it is no way to it either.
        fs::remove_file(&fifo).unwrap();
    }
}

#[test]
fn two_outputs_in_one_file_are_refused_before_any_work() {
    let scratch = open_to_all();
    symlink("S", scratch.join("L")).unwrap();
    symlink("L", scratch.join("LL")).unwrap();
    symlink("n.yaml", scratch.join("N")).unwrap();
    let names = scratch.names();
    for rest in [
        "-o L association n --output-secret S",
        "-o LL association n --output-secret S",
        "-o S --toc-policy LL meta",
        "-o N association n",
        "-o ./S association n --output-secret S",
    ] {
        create(&scratch, rest).refuses(1, &["would both be written"]);
        assert_eq!(scratch.names(), names, "{rest}");
    }
    for rest in ["-o - association n --stdout", "-o - association n --output-secret /dev/fd/1"] {
        let run = create(&scratch, rest).refuses(1, &["would both be written to standard output"]);
        assert_eq!(run.stdout.len(), 0, "{rest}");
    }
    let run = run(&scratch, &format!("pvattest create {KEYS} -o - -a /dev/stdout"));
    assert_eq!(run.refuses(1, &["cannot be written to standard output"]).stdout.len(), 0);
    // The file behind standard output is one as well.
    let file = fs::File::create(scratch.join("both")).unwrap();
    let line = format!("pvsecret create {KEYS} --hdr se.hdr -o - association n --output-secret both");
    let output = command(&scratch, 0, &line).stdout(file).output().unwrap();
    assert_eq!((output.status.code(), scratch.read("both").len()), (Some(1), 0));
}

#[test]
fn what_nobody_got_is_an_error_and_leaves_nothing() {
    let scratch = open_to_all();
    scratch.write("key", "old");
    let names = scratch.names();
    for line in [
        format!("pvsecret create {KEYS} --hdr se.hdr -o - association n --output-secret key"),
        format!("pvsecret create {KEYS} --hdr se.hdr -o request association n --output-secret -"),
        format!("pvattest create {KEYS} -o - -a key"),
        "pvextract-hdr -o - img".into(),
    ] {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        drop(reader);
        let output = command(&scratch, 0, &line).stdout(writer).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
        assert!(stderr.contains("cannot write to standard output: Broken pipe"), "{line}: {stderr}");
        assert_eq!((scratch.names(), scratch.read("key")), (names.clone(), b"old".to_vec()), "{line}");
        // The shell closes it.
        let mut closed = Command::new("sh");
        closed.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(scratch.join("pvtools")).args(line.split_whitespace());
        let output = closed.current_dir(scratch.path()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
        assert!(stderr.contains("standard output: it is closed"), "{line}: {stderr}");
        assert_eq!((scratch.names(), scratch.read("key")), (names.clone(), b"old".to_vec()), "{line}");
    }
    // For what is only read, that is no error.
    let null = Stdio::null();
    assert!(command(&scratch, 0, "pvsecret --help").stdout(null).status().unwrap().success());
}

#[test]
fn the_line_in_the_toc_comes_before_the_request_and_others_lines_stay() {
    let scratch = open_to_all();
    create(&scratch, "-o request --toc-policy /dev/full meta").refuses(1, &["/dev/full", "No space left"]);
    assert!(!scratch.join("request").exists());
    create(&scratch, "-o request --toc-policy missing/toc meta").refuses(1, &["missing/toc", "No such file"]);
    assert!(!scratch.join("request").exists());
    // A reader that does not read, until its pipe is full.
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut filler = fs::File::from(writer.try_clone().unwrap());
    let size = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap();
    filler.write_all(&vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    drop(filler);
    let line = format!("pvsecret create {KEYS} --hdr se.hdr -o - --toc-policy toc meta");
    let blocked = command(&scratch, 0, &line).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let toc = || fs::read_to_string(scratch.join("toc")).unwrap_or_default();
    while toc().is_empty() {
        std::thread::yield_now();
    }
    // Another program, without locks.
    let mut other = OpenOptions::new().append(true).open(scratch.join("toc")).unwrap();
    other.write_all(b"other\n").unwrap();
    drop(reader);
    let output = blocked.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(toc().ends_with("\nother\n"), "{}", toc());
    // A line of its own is taken back.
    scratch.write("toc", "first\n");
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    drop(reader);
    assert_eq!(command(&scratch, 0, &line).stdout(writer).output().unwrap().status.code(), Some(1));
    assert_eq!(toc(), "first\n");
}

/// A line is appended to no file that somebody else chose.
#[test]
fn a_toc_in_a_folder_for_all_is_nobody_elses() {
    if !is_root() {
        return;
    }
    let scratch = open_to_all();
    fs::create_dir(scratch.join("pub")).unwrap();
    give(&scratch.join("pub"), 0, 0o1777);
    fs::hard_link(scratch.write("precious", "old\n"), scratch.join("pub/linked")).unwrap();
    give(&scratch.write("pub/strange", "old\n"), NOBODY, 0o666);
    for (toc, file, why) in [("linked", "precious", "several names"), ("strange", "pub/strange", "another user's")] {
        create(&scratch, &format!("-o request --toc-policy pub/{toc} meta")).refuses(1, &[toc, why]);
        assert_eq!((scratch.read(file), scratch.join("request").exists()), (b"old\n".to_vec(), false), "{toc}");
    }
    scratch.write("pub/own", "old\n");
    create(&scratch, "-o request --toc-policy pub/own meta").succeeds();
    assert!(scratch.read("pub/own").len() > 4);
}

#[test]
fn a_request_on_stdout_comes_after_everything_else() {
    if !is_root() {
        return;
    }
    let scratch = open_to_all();
    // In this folder, nobody may write root's file, but not replace it.
    fs::create_dir(scratch.join("sticky")).unwrap();
    give(&scratch.join("sticky"), 0, 0o1777);
    give(&scratch.write("sticky/key", "root's"), 0, 0o666);
    let line = format!("pvsecret create {KEYS} --hdr se.hdr -o - association n --output-secret sticky/key");
    let run = Run::of(&mut command(&scratch, NOBODY, &line.replace("-o -", "-o /dev/stdout")), b"");
    assert_eq!((run.status, run.stdout.len()), (1, 0), "{run:?}");
    fs::create_dir(scratch.join("own")).unwrap();
    give(&scratch.join("own"), NOBODY, 0o755);
    give(&scratch.write("own/key", "old"), NOBODY, 0o600);
    let line = format!("pvattest create {KEYS} -o sticky/key -a own/key");
    Run::of(&mut command(&scratch, NOBODY, &line), b"").refuses(1, &["sticky/key"]);
    assert_eq!((scratch.read("own/key"), scratch.read("sticky/key")), (b"old".to_vec(), b"root's".to_vec()));
}

#[test]
fn files_that_cannot_be_replaced_are_written_in_place() {
    if !is_root() {
        return;
    }
    let scratch = open_to_all();
    let header = scratch.read("se.hdr");
    fs::create_dir(scratch.join("nw")).unwrap();
    let out = scratch.write("nw/out", vec![b'x'; 5000]);
    give(&out, NOBODY, 0o640);
    let written = Run::of(&mut command(&scratch, NOBODY, "pvextract-hdr -o nw/out img"), b"").succeeds();
    assert!(written.stderr.contains("'nw/out' is written in place"), "{written:?}");
    assert_eq!((scratch.read("nw/out"), owner(&out), mode(&out)), (header.clone(), NOBODY, 0o640));
    let line = format!("pvattest create {KEYS} -o /dev/null -a nw/out");
    Run::of(&mut command(&scratch, NOBODY, &line), b"").refuses(1, &["nw", "Permission denied"]);
    assert_eq!(scratch.read("nw/out"), header);
    // Owners stay, and hard links stay linked.
    let own = scratch.write("own", "x");
    give(&own, NOBODY, 0o600);
    run(&scratch, "pvextract-hdr -o own img").succeeds();
    assert_eq!((owner(&own), mode(&own)), (NOBODY, 0o600));
    fs::hard_link(scratch.write("one", "x"), scratch.join("other")).unwrap();
    run(&scratch, "pvextract-hdr -o one img").succeeds();
    assert_eq!(scratch.read("other"), header);
    // A single file that is mounted, and a system without /proc.
    let rows = [("mount --bind own mounted", "mounted"), ("mount -t tmpfs none /proc", "without-proc")];
    scratch.write("mounted", "x");
    for (mount, out) in rows {
        let script = format!("{mount} && exec ./pvtools pvextract-hdr -o {out} img");
        let mut unshared = Command::new("unshare");
        let output = unshared.args(["-m", "sh", "-c", &script]).current_dir(scratch.path()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        if stderr.contains("unshare") || stderr.contains("mount:") {
            println!("skipped: {stderr}");
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert_eq!(scratch.read(if out == "mounted" { "own" } else { out }), header);
    }
}

#[test]
fn runs_onto_one_pair_end_with_a_pair() {
    let scratch = open_to_all();
    let line = format!("pvsecret create {KEYS} --hdr se.hdr -o request association n --stdout --output-secret key");
    for round in 0..12 {
        let start = |_| command(&scratch, 0, &line).stdout(Stdio::null()).spawn().unwrap();
        let runs: Vec<_> = (0..3).map(start).collect();
        runs.into_iter().for_each(|mut run| assert!(run.wait().unwrap().success()));
        let key = crate::pvsecret_workstation::association_secret(&scratch.read("request"));
        assert_eq!(scratch.read("key"), key, "round {round}");
    }
}

#[test]
fn a_name_does_not_replace_the_file_of_another() {
    let scratch = open_to_all();
    let create = |name: &str| {
        let line = format!("create {KEYS} --hdr se.hdr -o request association");
        scratch.run("pvsecret", &line.split(' ').chain([name]).collect::<Vec<_>>())
    };
    create("my key").succeeds();
    let old = scratch.read("my_key.yaml");
    create("my_key").refuses(1, &["'my_key.yaml' belongs to the secret \"my key\""]);
    assert_eq!(scratch.read("my_key.yaml"), old);
    create("my key").succeeds();
    scratch.write("my_key.yaml", "something else");
    create("my_key").succeeds();
}

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
                let mode = self.of(&[0o600, 0o644, 0o664, 0o666, 0o444, 0o4755, 0o4777, 0o6777, 0o2666]);
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

/// Keeps a type in use that closes what it holds.
#[test]
fn an_open_file_is_appended_to() {
    let scratch = open_to_all();
    scratch.write("log", "before\n");
    let log: OwnedFd = OpenOptions::new().append(true).open(scratch.join("log")).unwrap().into();
    let status = command(&scratch, 0, "pvextract-hdr -o /dev/stdout img").stdout(log).status().unwrap();
    assert!(status.success());
    assert_eq!(scratch.read("log"), [b"before\n".as_slice(), &scratch.read("se.hdr")].concat());
}
