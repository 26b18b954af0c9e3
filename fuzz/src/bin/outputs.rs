//! One or two outputs into a tree of files, links, FIFOs and folders of several users; the tables in docs/security.md say
//! what must come of it. As root, the caller is root or somebody without rights; otherwise, everything is the caller's.
#![no_main]

#[path = "../../../tests/suite/output_policy/oracle.rs"]
mod oracle;
#[path = "../../../tests/suite/output_policy/tree.rs"]
mod tree;

use libfuzzer_sys::fuzz_target;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setegid, seteuid, setgroups};
use oracle::{Output, World};
use pvtools::System;
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::LazyLock;
use tree::{Choices, Tree};

const NOBODY: u32 = 65534;

/// Where trees grow: in memory, if there is such a folder.
static TOP: LazyLock<PathBuf> = LazyLock::new(|| {
    umask(Mode::from_bits_truncate(0o022));
    if Uid::effective().is_root() {
        setgroups(&[]).expect("root may");
    }
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("pvtools-fuzz-{}", std::process::id()))
});
static PROTECTS_LINKS: LazyLock<bool> =
    LazyLock::new(|| std::fs::read_to_string("/proc/sys/fs/protected_symlinks").is_ok_and(|text| text.trim() != "0"));

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Calls `f` as `caller`, who is in no other group than his own.
fn with_rights_of<T>(caller: u32, f: impl FnOnce() -> T) -> T {
    if caller == Uid::effective().as_raw() {
        return f();
    }
    setegid(Gid::from_raw(caller)).and_then(|()| seteuid(Uid::from_raw(caller))).expect("root may");
    let result = f();
    seteuid(Uid::from_raw(0)).and_then(|()| setegid(Gid::from_raw(0))).expect("root may");
    result
}

fn fuzz(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let top = &*TOP;
    let (users, caller, group) = match Uid::effective().as_raw() {
        0 => {
            let caller = choices.of(&[0, NOBODY]);
            (vec![caller, 0, NOBODY, NOBODY - 1], caller, caller)
        }
        own => (vec![own], own, Gid::effective().as_raw()),
    };
    let count = 1 + choices.below(2);
    let output = |number: usize| {
        let (path, is_secret) = (choices.output(), choices.below(2) == 1);
        Output { path, is_secret, bytes: vec![b'1' + number as u8; 8] }
    };
    let outputs: Vec<Output> = (0..count).map(output).collect();
    let mut tree = Tree::make(top, &users, &outputs, &mut choices);
    let before = tree.entries();
    let expected = World { caller, group, protects_links: *PROTECTS_LINKS, entries: &before }.expected(&outputs);

    let (stdout, stderr) = (Shared::default(), Shared::default());
    let mut system = System::new(Box::new(io::empty()), Box::new(stdout.clone()), Box::new(stderr.clone()));
    let at = |path: &str| if path == "-" { PathBuf::from(path) } else { top.join(path) };
    let all: Vec<_> = outputs.iter().map(|output| (at(&output.path), &*output.bytes, output.is_secret)).collect();
    let result = with_rights_of(caller, || pvtools::fuzzing::make_outputs(&all, &mut system));

    let after = tree.entries();
    let place = format!("{caller} makes {outputs:?} in {before:#?}\nexpected {expected:?}\ngot {result:?}");
    assert_eq!(result.is_ok(), expected.succeeds, "{place}");
    expected.check(&before, &after).unwrap_or_else(|difference| panic!("{place}\n{difference}"));
    assert_eq!(tree.streamed(), expected.streamed, "{place}");
    assert_eq!(*stdout.0.borrow(), expected.stdout, "{place}");
    let notes = String::from_utf8(stderr.0.take()).expect("text");
    assert_eq!(notes.matches("is written in place").count(), expected.in_place, "{place}\n{notes}");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
