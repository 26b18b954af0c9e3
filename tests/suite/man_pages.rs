//! The man pages say what the command lines say: no option is missing in, or only in, its page, every
//! command has a page and every page a command; the examples run.

use crate::support::{Run, Scratch};
use clap::Command;
use pvsim::{GuestServer, Machine, ap};
use pvtools::Applet;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the package of a guest brings beside the tools: a page without a command.
const GUEST: &str = "pvtools-guest";
const SECTIONS: [&str; 7] = ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

/// Every page that has to be there, with the command it is about.
fn commands() -> BTreeMap<String, Command> {
    fn walk(name: String, command: &Command, found: &mut BTreeMap<String, Command>) {
        let subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set());
        for sub in subcommands {
            walk(page_of(&name, sub.get_name()), sub, found);
        }
        found.insert(name, command.clone());
    }
    let mut found = BTreeMap::new();
    for applet in Applet::ALL {
        let mut command = (applet.command)();
        command.build();
        // The others are reached through pvtools alone and have their pages beside its own.
        let name = if applet.has_link() { applet.name.to_owned() } else { format!("pvtools-{}", applet.name) };
        walk(name, &command, &mut found);
    }
    found
}

/// As s390-tools names them: `pvsecret create association` is explained in `pvsecret-create-association`.
fn page_of(parent: &str, sub: &str) -> String {
    format!("{parent}-{sub}")
}

fn pages() -> BTreeMap<String, Page> {
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (name, section) = name.rsplit_once('.').unwrap();
        let expected = if name.ends_with("zcrypt") || name == GUEST { "8" } else { "1" };
        assert_eq!(section, expected, "{name}: the section that s390-tools has it in");
        pages.insert(name.to_owned(), Page(fs::read_to_string(&path).unwrap()));
    }
    pages
}

/// A page in the mdoc language.
struct Page(String);

impl Page {
    /// The lines of a section.
    fn section(&self, title: &str) -> Option<Vec<&str>> {
        let mut lines = self.0.lines().skip_while(|line| *line != format!(".Sh {title}"));
        lines.next()?;
        Some(lines.take_while(|line| !line.starts_with(".Sh ")).collect())
    }

    /// What the list of options has as items: `-x`, `--long`, and the names of operands.
    fn items(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for line in self.section("OPTIONS").unwrap_or_default() {
            let Some(item) = line.strip_prefix(".It ") else { continue };
            let words: Vec<_> = item.split_whitespace().collect();
            for (macro_name, word) in words.iter().zip(words.iter().skip(1)) {
                match *macro_name {
                    "Fl" => found.insert(format!("-{word}")),
                    "Ar" if words[0] == "Ar" => found.insert((*word).to_owned()),
                    _ => continue,
                };
            }
        }
        found
    }
}

/// What the command line accepts and shows, in the same form.
fn accepted(command: &Command) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        if argument.is_positional() {
            found.extend(argument.get_value_names().into_iter().flatten().map(ToString::to_string));
        }
        let shorts = argument.get_short_and_visible_aliases().unwrap_or_default();
        found.extend(shorts.into_iter().map(|short| format!("-{short}")));
        let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
        found.extend(longs.into_iter().map(|long| format!("--{long}")));
    }
    found
}

#[test]
fn every_command_has_its_page_and_every_page_its_command() {
    let mut expected: BTreeSet<_> = commands().into_keys().collect();
    expected.extend(["pvtools", GUEST].map(str::to_owned));
    let there: BTreeSet<_> = pages().into_keys().collect();
    assert_eq!(expected, there, "left: commands, right: pages");
}

#[test]
fn every_page_has_the_sections_that_readers_look_for() {
    for (name, page) in pages() {
        for title in SECTIONS {
            let lines = page.section(title).unwrap_or_else(|| panic!("{name} has no section {title}"));
            assert!(!lines.is_empty(), "{name}: the section {title} is empty");
        }
    }
}

#[test]
fn every_option_is_in_its_page_and_no_other() {
    let pages = pages();
    for (name, command) in commands() {
        let Some(page) = pages.get(&name) else { continue };
        let (accepted, described) = (accepted(&command), page.items());
        let missing: Vec<_> = accepted.difference(&described).collect();
        let invented: Vec<_> = described.difference(&accepted).collect();
        assert!(missing.is_empty() && invented.is_empty(), "{name}: missing {missing:?}, only there {invented:?}");
    }
}

#[test]
fn every_default_and_every_possible_value_is_in_its_page() {
    let pages = pages();
    for (name, command) in commands() {
        let Some(page) = pages.get(&name) else { continue };
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let takes_value = argument.get_action().takes_values();
            let values = argument.get_possible_values().into_iter().filter(|value| takes_value && !value.is_hide_set());
            let values = values.map(|value| value.get_name().to_owned());
            let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
            for word in values.chain(defaults.filter(|_| takes_value)) {
                let is_there = page.0.split(|c: char| c.is_whitespace() || "\"'()".contains(c)).any(|w| w == word);
                assert!(is_there, "{name}: '{word}', a value of {}, is not there", argument.get_id());
            }
        }
    }
}

/// A command that a page prints.
struct Example {
    command: String,
    in_guest: bool,
}

/// The commands of a page's examples: lines of a literal display that begin with `$ `, with the lines that continue
/// them behind a backslash. `.\" in a guest` before a display says where they run, `.\" not run: REASON` leaves them
/// out.
fn examples(page: &Page) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let (mut runs, mut in_guest, mut continues) = (true, false, false);
    for line in page.section("EXAMPLES").unwrap_or_default() {
        // mdoc writes a backslash as \e.
        let line = line.replace("\\e", "\\");
        if line.starts_with(".\\\" not run: ") {
            runs = false;
        } else if line == ".\\\" in a guest" {
            in_guest = true;
        } else if line.starts_with(".Ed") {
            (runs, in_guest) = (true, false);
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| runs) {
            continues = command.ends_with('\\');
            examples.push(Example { command: command.to_owned(), in_guest });
        } else if continues {
            continues = line.ends_with('\\');
            let example = examples.last_mut().unwrap();
            example.command.push('\n');
            example.command.push_str(&line);
        }
    }
    examples
}

#[test]
fn examples_run_as_printed() {
    let mut ran = 0;
    for (name, page) in pages() {
        let examples = examples(&page);
        if examples.is_empty() {
            continue;
        }
        let scratch = Scratch::new();
        let guest = prepare(&scratch);
        for Example { command, in_guest } in examples {
            let run = shell(&scratch, in_guest.then_some(&guest), &command);
            assert_eq!(run.status, 0, "{name}: {command}\n{run:#?}");
            ran += 1;
        }
    }
    println!("{ran} commands of man pages ran");
    assert!(ran > 0);
}

/// A machine, what its owner has of it (`image` and `z16.crt`), and requests and a response for the guest that runs in
/// it: what the pages speak of.
fn prepare(scratch: &Scratch) -> GuestServer {
    let machine = Machine::init(&scratch.join("machine"), None).unwrap();
    fs::copy(scratch.join("machine/se.img"), scratch.join("image")).unwrap();
    fs::copy(scratch.join("machine/host.crt"), scratch.join("z16.crt")).unwrap();
    link_tools(scratch);
    let guest = GuestServer::start(machine.clone(), ap::parts(&machine, |error| println!("{error}")), |error| {
        println!("{error}")
    })
    .unwrap();
    for (in_guest, command) in [
        (false, "pvextract-hdr -o se.hdr image"),
        (false, "pvsecret create -k z16.crt --no-verify --hdr image -o addsecreq association name"),
        (false, "pvattest create -k z16.crt --no-verify -o attreq -a arpk --add-data phkh-img,secret-store-hash"),
        (true, "pvsecret add addsecreq"),
        (true, "pvsecret lock"),
        (true, "pvattest perform attreq attresp"),
    ] {
        shell(scratch, in_guest.then_some(&guest), command).succeeds();
    }
    // The store is empty again, and open.
    machine.reboot().unwrap();
    guest
}

/// Runs a command line with the tools by their names, in the guest if there is one.
fn shell(scratch: &Scratch, guest: Option<&GuestServer>, command: &str) -> Run {
    let mut shell = guest.map_or_else(|| std::process::Command::new("sh"), |guest| guest.command("sh"));
    shell.args(["-e", "-c", command]).current_dir(scratch.path());
    shell.env("PATH", format!("{}:/usr/bin:/bin", scratch.join("bin").display()));
    Run::of(&mut shell, b"")
}

/// The tools by their names, as installed.
fn link_tools(scratch: &Scratch) {
    let folder = scratch.join("bin");
    fs::create_dir(&folder).unwrap();
    for name in Applet::ALL.iter().filter(|applet| applet.has_link()).map(|applet| applet.name).chain(["pvtools"]) {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pvtools"), folder.join(name)).unwrap();
    }
}
