//! Help is what users read first: every text is kept in `tests/snapshots` and reviewed as such.
//! `PVTOOLS_UPDATE_SNAPSHOTS=1 cargo test --test suite help` writes them anew.

use crate::support::{Run, product};
use pvtools::Applet;
use std::fs;
use std::path::Path;

#[test]
fn every_help_text_is_as_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help");
    let update = std::env::var_os("PVTOOLS_UPDATE_SNAPSHOTS").is_some();
    if update {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
    }
    let mut names = Vec::new();
    for applet in Applet::ALL {
        walk(&(applet.command)(), &mut vec![applet.name.to_owned()], &mut |words| {
            let name = format!("{}.txt", words.join("-"));
            let run = Run::of(product("pvtools").args(words).arg("--help"), b"").succeeds();
            if update {
                fs::write(folder.join(&name), &run.stdout).unwrap();
            }
            let reviewed = fs::read_to_string(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(run.stdout(), reviewed, "{name}");
            let same = Run::of(product("pvtools").arg("help").args(words), b"").succeeds();
            assert_eq!(same.stdout(), reviewed, "pvtools help {words:?}");
            if let [tool] = words {
                assert!(reviewed.contains("--version"), "{tool} does not say how to ask for its version");
                Run::of(product("pvtools").args([tool, "--version"]), b"").succeeds();
            }
            names.push(name);
        });
    }
    names.sort();
    let mut kept: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    kept.sort();
    assert_eq!(kept, names, "a snapshot without a command");
}

fn walk(command: &clap::Command, words: &mut Vec<String>, visit: &mut impl FnMut(&[String])) {
    visit(words);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        words.push(sub.get_name().to_owned());
        walk(sub, words, visit);
        words.pop();
    }
}
