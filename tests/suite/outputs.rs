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
pub(crate) const KEYS: &str = "-q -k host.crt --no-verify";

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
pub(crate) fn give(path: &Path, owner: u32, mode: u32) {
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

#[test]
fn a_link_to_standard_output_gets_bytes_and_no_talk() {
    let scratch = open_to_all();
    symlink("/dev/stdout", scratch.join("link")).unwrap();
    let run = Run::of(&mut command(&scratch, nix::unistd::Uid::effective().as_raw(), "pvextract-hdr -o link img"), b"");
    assert_eq!((run.status, run.stdout), (0, scratch.read("se.hdr")), "{}", run.stderr);
    assert!(run.stderr.contains("SE header written to"), "{}", run.stderr);
}
