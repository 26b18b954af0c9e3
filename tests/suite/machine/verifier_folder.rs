//! The folder of Trustee's verifier is replaced in one step: killed before any system call, or with any call failing, it
//! shows the old parts or the new ones, never some of both.

use crate::faults::with_shim;
use crate::kills::followed;
use crate::support::{Run, left_out};
use crate::trustee::{TRUST, World};
use nix::libc;
use setrustee::verifier::FOLDERS;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a verifier sees: path and content. Links are followed, other names not looked at.
type View = BTreeMap<String, Vec<u8>>;

fn view(folder: &Path) -> View {
    let mut view = View::new();
    for name in ["root_ca.crt", "verifier.env"] {
        if let Ok(bytes) = fs::read(folder.join(name)) {
            view.insert(name.to_owned(), bytes);
        }
    }
    for name in FOLDERS {
        for entry in fs::read_dir(folder.join(name)).into_iter().flatten().flatten() {
            let path = format!("{name}/{}", entry.file_name().to_string_lossy());
            view.insert(path, fs::read(entry.path()).unwrap());
        }
    }
    view
}

/// A world with a folder `good` to be replaced, the command that replaces its copy `v`, and what is to be seen before and
/// after.
struct Scene {
    world: World,
    line: String,
    old: View,
    new: View,
}

impl Scene {
    /// The old folder has two documents and neither root nor variables; the new one has one document and both.
    fn new() -> Self {
        let world = World::new().folder();
        let scratch = &world.scratch;
        fs::remove_file(scratch.join("v/root_ca.crt")).unwrap();
        fs::remove_file(scratch.join("v/verifier.env")).unwrap();
        fs::rename(scratch.join("v"), scratch.join("good")).unwrap();
        let line = format!("trustee verifier v --image new/se.img -k one/host.crt {TRUST}");
        let mut scene = Self { old: view(&scratch.join("good")), new: View::new(), world, line };
        scene.restore();
        scene.run().succeeds();
        scene.new = scene.now();
        assert!(scene.old.len() == 10 && scene.new.len() == 11, "{:?} {:?}", scene.old.keys(), scene.new.keys());
        scene
    }

    fn restore(&self) {
        let folder = self.world.scratch.path();
        let _ = fs::remove_dir_all(folder.join("v"));
        assert!(Command::new("cp").args(["-a", "good", "v"]).current_dir(folder).status().unwrap().success());
    }

    fn command(&self) -> Command {
        let mut command = self.world.scratch.command("pvtools");
        command.args(self.line.split_whitespace());
        command
    }

    fn run(&self) -> Run {
        Run::of(&mut self.command(), b"")
    }

    fn now(&self) -> View {
        view(&self.world.scratch.join("v"))
    }

    /// The names in the folder, with those that runs make for themselves.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.world.scratch.join("v")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Whether the new parts are seen. Neither: that is what must not be.
    fn is_new(&self, place: &str) -> bool {
        let now = self.now();
        assert!(
            now == self.old || now == self.new,
            "{place}: the folder is neither old nor new: {:?}, {:?}",
            now.keys(),
            self.names()
        );
        now == self.new
    }

    /// The next run goes on from whatever is there, and leaves nothing of the one before.
    fn is_mended(&self, place: &str) {
        self.run().succeeds();
        assert!(self.is_new(place), "{place}");
        assert_eq!(self.names(), ["certs", "crls", "hdr", "hkds", "root_ca.crt", "rsa", "verifier.env"], "{place}");
        for name in FOLDERS {
            assert!(self.world.scratch.join("v").join(name).symlink_metadata().unwrap().is_dir(), "{place}: {name}");
        }
    }
}

#[test]
fn killed_before_any_call() {
    let scene = Scene::new();
    scene.restore();
    let Some(calls) = followed(&scene.world.scratch, "pvtools", &scene.line, usize::MAX) else {
        return left_out("processes cannot be traced here");
    };
    let exchanges: Vec<_> = (0..calls.len()).filter(|call| calls[*call] == Some(libc::SYS_renameat2)).collect();
    // Where calls have no numbers, each fourth is a place.
    let (near, step) = match exchanges.as_slice() {
        [first, .., last] => (first.saturating_sub(20)..=last + 20, 16),
        _ => (0..=0, 4),
    };
    assert!(exchanges.len() == 5 + 7 || cfg!(not(target_arch = "x86_64")), "{exchanges:?}");
    // One rename decides what is seen: the last before the sixth exchange. Its number among the renames says whether a
    // run has made it; its number among all calls differs from run to run.
    let renames = |calls: &[Option<i64>]| calls.iter().filter(|call| **call == Some(libc::SYS_rename)).count();
    let switch = exchanges.get(5).map(|sixth| renames(&calls[..*sixth]));
    let (mut kills, mut new, mut left) = (0, 0, 0);
    for place in 0..calls.len() {
        // Before and after, there is nothing to be seen: a sample is enough.
        if !near.contains(&place) && place % step != 0 {
            continue;
        }
        scene.restore();
        let mut made = followed(&scene.world.scratch, "pvtools", &scene.line, place).unwrap();
        let kept_from = if made.len() > place { made.pop() } else { None };
        let at = format!("killed before call {place} of {} ({kept_from:?})", calls.len());
        kills += 1;
        let is_new = scene.is_new(&at);
        if let Some(switch) = switch {
            assert_eq!(is_new, renames(&made) >= switch, "{at}");
        }
        new += usize::from(is_new);
        left += usize::from(scene.names().iter().any(|name| name.starts_with(".pvtools-")));
        if kills % 8 == 0 {
            scene.is_mended(&at);
        }
    }
    println!("{kills} kills among {} calls; new after {new} of them; {left} left something behind", calls.len());
    assert!(kills > 60 && new > 20 && new < kills && left > 20, "{kills} {new} {left}");
}

#[test]
fn any_call_fails() {
    let scene = Scene::new();
    let scratch = &scene.world.scratch;
    scene.restore();
    Run::of(with_shim(scene.command()).env("PVSIM_FAULT_LOG", scratch.join("calls")), b"").succeeds();
    let calls = String::from_utf8(scratch.read("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    let begin = calls.iter().position(|call| *call == "mkdir").unwrap();
    let last = calls.iter().rposition(|call| *call == "renameat2").unwrap();
    let (mut faults, mut failed, mut new) = (0, 0, 0);
    for (call, function) in calls.iter().enumerate().take(last + 20).skip(begin) {
        // EIO, EACCES, ENOSPC in turn.
        let errno = [5, 13, 28][call % 3];
        scene.restore();
        let run = Run::of(with_shim(scene.command()).env("PVSIM_FAULT", format!("{}:{errno}", call + 1)), b"");
        let at = format!("call {} ({function}): errno {errno}: {run:#?}", call + 1);
        faults += 1;
        let is_new = scene.is_new(&at);
        assert!(!run.stderr.contains("panicked"), "{at}");
        assert!(run.status == 0 && is_new || run.status == 1, "{at}");
        if run.status == 1 {
            failed += 1;
            let errors = run.stderr.lines().filter(|line| line.to_lowercase().starts_with("error: ")).count();
            assert!(errors == 1 || *function == "write", "{at}");
        }
        new += usize::from(is_new);
        // What could not be put back or cleaned up is for the next run.
        if scene.names().iter().any(|name| name.starts_with(".pvtools-")) {
            scene.is_mended(&at);
        }
    }
    println!("{faults} faults among {} calls: {failed} failures, new after {new}", calls.len());
    assert!(faults > 100 && failed > 60 && new > 10, "{faults} {failed} {new}");
}

#[test]
fn one_run_at_a_time() {
    let scene = Scene::new();
    scene.restore();
    let file = fs::File::open(scene.world.scratch.join("v")).unwrap();
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    scene.run().refuses(1, &["another run is replacing it"]);
    assert!(!scene.is_new("locked"));
    drop(lock);
    scene.is_mended("unlocked");
}
