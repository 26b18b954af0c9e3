//! Whole commands in random trees of files, links, FIFOs and folders of several users, held against the tables of
//! docs/security.md. `fuzz/src/bin/outputs.rs` does the same with the library, and many more trees.

#[path = "output_policy/oracle.rs"]
mod oracle;
#[path = "output_policy/tree.rs"]
mod tree;

use crate::outputs::{KEYS, NOBODY, command, is_root, open_to_all};
use crate::support::{Run, Scratch};
use oracle::{Output, World};
use tree::{Choices, Tree};

/// Pseudo-random bytes (xorshift), so that a case can be had again.
fn random(state: &mut u64) -> [u8; 96] {
    [0; 96].map(|_: u8| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        state.to_be_bytes()[2]
    })
}

/// What commands make in the cases. Keys and requests differ each time: their size stands for them.
struct Made {
    header: Vec<u8>,
    request: usize,
}

impl Made {
    /// Something that cannot be mistaken for what is there.
    fn name(&self, bytes: &mut Vec<u8>) {
        let name: &[u8] = match bytes.len() {
            32 => b"the key",
            size if size == self.request => b"the request",
            _ if *bytes == self.header => b"the header",
            _ => return,
        };
        *bytes = name.to_vec();
    }
}

/// A command that makes one or two outputs, which appear in this order; and the outputs.
fn choose(
    scratch: &Scratch,
    number: usize,
    caller: u32,
    choices: &mut Choices,
) -> (std::process::Command, Vec<Output>) {
    let mut output = |is_secret: bool, name: &[u8]| {
        // A protection key on standard output is refused by the command.
        let path = Some(choices.output()).filter(|path| !is_secret || path != "-");
        Output { path: path.unwrap_or_else(|| "a/x".to_owned()), is_secret, bytes: name.to_vec() }
    };
    let at = |output: &Output| if output.path == "-" { "-".to_owned() } else { format!("{number}/{}", output.path) };
    let (key, request, header) =
        (output(true, b"the key"), output(false, b"the request"), output(false, b"the header"));
    let (line, outputs) = match choices.below(3) {
        0 => (format!("pvextract-hdr -o {} img", at(&header)), vec![header]),
        1 => (format!("pvattest create {KEYS} -o /dev/null -a {}", at(&key)), vec![key]),
        _ => (format!("pvattest create {KEYS} -o {} -a {}", at(&request), at(&key)), vec![key, request]),
    };
    (command(scratch, caller, &line), outputs)
}

#[test]
fn random_trees_are_treated_as_the_tables_say() {
    if !is_root() {
        return;
    }
    let cases: usize = std::env::var("PVTOOLS_OUTPUT_CASES").map_or(250, |cases| cases.parse().unwrap());
    let mut state: u64 =
        std::env::var("PVTOOLS_OUTPUT_SEED").map_or(0x9e37_79b9_7f4a_7c15, |seed| seed.parse().unwrap());
    let scratch = open_to_all();
    assert_eq!(Run::of(&mut command(&scratch, 0, &format!("pvattest create {KEYS} -o request -a key")), b"").status, 0);
    let made = Made { header: scratch.read("se.hdr"), request: scratch.read("request").len() };
    let protected = std::fs::read_to_string("/proc/sys/fs/protected_symlinks");
    let protects_links = protected.is_ok_and(|text| text.trim() != "0");
    let mut counts = [0; 4];
    for number in 0..cases {
        let bytes = random(&mut state);
        let mut choices = Choices(&bytes);
        let caller = choices.of(&[0, NOBODY]);
        let (mut command, outputs) = choose(&scratch, number, caller, &mut choices);
        let top = scratch.join(&format!("{number}"));
        let mut tree = Tree::make(&top, &[caller, 0, NOBODY, NOBODY - 1], &outputs, &mut choices);
        let before = tree.entries();
        let expected = World { caller, group: caller, protects_links, entries: &before }.expected(&outputs);
        let mut run = Run::of(&mut command, b"");
        let (mut after, mut streamed) = (tree.entries(), tree.streamed());
        after.0.values_mut().for_each(|entry| made.name(&mut entry.content));
        streamed.values_mut().for_each(|bytes| made.name(bytes));
        // What pvextract-hdr says of its work is no output.
        while run.stdout.starts_with(b"SE header ") {
            let line = run.stdout.iter().position(|byte| *byte == b'\n').unwrap();
            run.stdout.drain(..=line);
        }
        made.name(&mut run.stdout);
        let place = format!("case {number}: {caller} makes {outputs:?} in {before:#?}\nexpected {expected:?}\n{run:?}");
        assert_eq!(run.status, i32::from(!expected.succeeds), "{place}");
        expected.check(&before, &after).unwrap_or_else(|difference| panic!("{place}\n{difference}"));
        assert_eq!((&streamed, &run.stdout), (&expected.streamed, &expected.stdout), "{place}");
        let is_stream = !expected.streamed.is_empty() || !expected.stdout.is_empty();
        let kinds = [!expected.succeeds, is_stream, expected.in_place > 0, expected.entries != before];
        counts.iter_mut().zip(kinds).for_each(|(count, kind)| *count += usize::from(kind));
    }
    let [refused, streams, in_place, changed] = counts;
    println!(
        "{cases} random trees: {changed} changed, {in_place} files in place, {streams} streams, {refused} refused"
    );
    assert!(counts.iter().all(|count| count * 200 > cases), "{counts:?}");
}
