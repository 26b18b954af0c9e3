//! One binary, many names.

use crate::support::{Run, Scratch, product};
use pvtools::Applet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::process::Command;

#[test]
fn answers_to_each_applets_name_through_a_link() {
    let scratch = Scratch::new();
    for applet in Applet::ALL.iter().filter(|applet| applet.has_link()) {
        let link = scratch.join(applet.name);
        symlink(env!("CARGO_BIN_EXE_pvtools"), &link).unwrap();
        let run = Run::of(Command::new(link).arg("--help"), b"").succeeds();
        assert!(run.stdout().contains(&format!("Usage: {} ", applet.name)), "{}: {run:?}", applet.name);
    }
}

#[test]
fn takes_the_name_from_the_last_part_of_argv0() {
    for name in ["pvextract-hdr", "./pvextract-hdr", "/usr/bin/pvextract-hdr", "a/b/pvextract-hdr/"] {
        let run = Run::of(product(name).arg("--help"), b"").succeeds();
        assert!(run.stdout().contains("Usage: pvextract-hdr "), "{name}: {run:?}");
    }
}

#[test]
fn falls_back_to_the_umbrella_for_any_other_name() {
    for name in ["", "pvtools", "/", "renamed", "pvextract-hdr.old", "-sh"] {
        let run = Run::of(product(name).args(["pvextract-hdr", "--help"]), b"").succeeds();
        assert!(run.stdout().contains("Usage: pvextract-hdr "), "{name}: {run:?}");
    }
}

#[test]
fn lists_applets_one_a_line() {
    let run = Run::of(product("pvtools").arg("--list"), b"").succeeds();
    assert_eq!(run.stdout().lines().collect::<Vec<_>>(), Applet::ALL.iter().map(|a| a.name).collect::<Vec<_>>());
}

#[test]
fn umbrella_reports_its_version_and_help() {
    let run = Run::of(product("pvtools").arg("--version"), b"").succeeds();
    assert_eq!(run.stdout(), concat!("pvtools ", env!("CARGO_PKG_VERSION"), "\n"));
    let run = Run::of(product("pvtools").arg("--help"), b"").succeeds();
    assert!(Applet::ALL.iter().all(|applet| run.stdout().contains(applet.about)), "{run:?}");
}

#[test]
fn version_names_every_command_from_v_on() {
    let commands = [
        ("pvsecret", "+create +add +lock +list +verify +retrieve (compiled)\n"),
        ("pvattest", "+create +perform +verify +check (compiled)\n"),
    ];
    for (tool, parts) in commands {
        let first = format!("{tool} version {}\n", env!("CARGO_PKG_VERSION"));
        for args in [&["version"][..], &["--version"]] {
            assert_eq!(Run::of(product(tool).args(args), b"").succeeds().stdout(), first);
        }
        for args in [&["-v", "version"][..], &["-vv", "--version"], &["version", "-v"]] {
            assert_eq!(
                Run::of(product(tool).args(args), b"").succeeds().stdout(),
                format!("{first}{parts}"),
                "{args:?}"
            );
        }
    }
}

#[test]
fn unknown_applet_is_named_and_the_known_ones_are_listed() {
    for args in [&["nonsense"][..], &["--nonsense"], &[]] {
        let run = Run::of(product("pvtools").args(args), b"");
        assert_eq!((run.status, run.stdout.len()), (1, 0), "{run:?}");
        assert!(run.stderr.contains("pvextract-hdr"), "{run:?}");
        assert!(args.first().is_none_or(|arg| run.stderr.contains(&format!("'{arg}'"))), "{run:?}");
    }
}

#[test]
fn full_standard_output_is_an_error_and_a_closed_pipe_is_not() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = product("pvtools").arg("--list").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: cannot write to standard output: No space left on device (os error 28)\n"
    );
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let output = product("pvtools").arg("--list").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn links_are_made_all_or_none_and_replace_nothing() {
    let scratch = Scratch::new();
    let install = |folder: &str| scratch.run("pvtools", &["--install-links", folder]);
    fs::create_dir(scratch.join("bin")).unwrap();
    let links = || {
        let mut names: Vec<_> =
            fs::read_dir(scratch.join("bin")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let all: Vec<_> = Applet::ALL.iter().filter(|applet| applet.has_link()).map(|applet| applet.name).collect();
    // Something of another's: a program, a link of any kind, a folder.
    for obstacle in ["file", "folder", "link", "dangling"] {
        let path = scratch.join("bin/pvsecret");
        match obstacle {
            "file" => drop(scratch.write("bin/pvsecret", "other")),
            "folder" => fs::create_dir(&path).unwrap(),
            "link" => symlink("/bin/sh", &path).unwrap(),
            _ => symlink("nowhere", &path).unwrap(),
        }
        install("bin").refuses(1, &["pvsecret", "something else is there; nothing was made"]);
        assert_eq!(links(), ["pvsecret"], "{obstacle}");
        if obstacle == "folder" { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
    }
    let run = install("bin").succeeds();
    assert!(run.stderr.contains(&format!("made {} links in 'bin'; 0 existed", all.len())), "{run:?}");
    assert_eq!(links(), all);
    assert!(all.contains(&"lszcrypt") && !all.contains(&"trustee"));
    let target = fs::read_link(scratch.join("bin/pvinfo")).unwrap();
    assert!(target.is_relative(), "{}", target.display());
    let help = Run::of(Command::new(scratch.join("bin/pvinfo")).arg("--help"), b"");
    assert!(help.succeeds().stdout().contains("Usage: pvinfo"));
    fs::remove_file(scratch.join("bin/pvinfo")).unwrap();
    let run = install("bin").succeeds();
    assert!(run.stderr.contains(&format!("made 1 links in 'bin'; {} existed", all.len() - 1)), "{run:?}");
    install("nowhere").refuses(1, &["Cannot make links in 'nowhere'"]);
    assert_eq!(scratch.run("pvtools", &["--install-links"]).status, 1);
}
