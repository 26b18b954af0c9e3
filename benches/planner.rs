//! The planner of pvapconfig: how its time grows with the number of queues, and cases that are hard for it.
//!
//! `cargo bench --bench planner` prints the figures; nothing is asserted.

#![expect(clippy::print_stdout, reason = "a benchmark")]

use apbus::plan::{Plan, Problem, plan};
use apbus::{Apqn, AssociationSecret, Entry, Generation, MAX_QUEUES, MasterKey, Mkvp, Mode, Queue, State, Wanted};
use std::time::{Duration, Instant};
use uvtypes::SecretId;

const ENTRIES: u16 = 256;

fn main() {
    println!("{:<54} {:>7} {:>10} {:>10} {:>6}", "", "queues", "time", "satisfied", "exact");
    for queues in [16, 256, 4096, 65536_u32] {
        show("a secret for each master key", &usual(queues, State::Unbound), |entry| (entry, entry));
    }
    for queues in [16, 256, 4096, 65536_u32] {
        show("the same, all queues in use", &usual(queues, State::Associated(9999)), |entry| (entry, entry));
    }
    let one_key = same_keys_everywhere(256, 256, 1);
    show("one master key in all queues, a secret for each entry", &one_key, |entry| (0, entry));
    let mut others = same_keys_everywhere(256, 256, 1);
    others.iter_mut().for_each(|queue| queue.serialnr = "93AADEV280000028".parse().ok());
    pinned("the same, and each entry names a card there is not", &others);
    show("accelerators only, and nobody wants one", &accelerators(), |entry| (entry, entry));
    println!();
    for (cards, keys) in [(2, 4), (3, 4), (3, 8), (12, 2), (12, 4), (12, 16), (256, 4), (256, 16), (256, 256)] {
        let queues = same_keys_everywhere(cards, keys, keys);
        let title = |what: &str| format!("{cards} cards, {keys} master keys on each: {what}");
        show(&title("one secret"), &queues, |entry| (entry % keys, 0));
        show(&title("two keys a secret"), &queues, |entry| (entry % keys, entry % keys / 2));
        show(&title("in a ring"), &queues, |entry| (entry % keys, (entry + entry / keys % 2) % keys));
        show(&title("each with each"), &queues, |entry| (entry % keys, entry / keys % keys));
        show(&title("at random"), &sparse(cards, keys), |entry| (mix(entry) % keys, mix(entry + 999) % 4));
    }
    println!();
    random(1000);
}

/// Problems of all sizes where master keys and secrets cross, from a fixed sequence.
fn random(count: u16) {
    let mut state = 1_u64;
    let mut below = |most: u16| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((state >> 48) % u64::from(most)) as u16
    };
    let (mut slowest, mut inexact) = (Duration::ZERO, 0);
    for _ in 0..count {
        let cards = [2, 3, 4, 6, 12, 40, 256][usize::from(below(7))];
        let (keys, secrets, density, in_use) = (2 + below(15), 2 + below(15), 1 + below(4), below(3));
        let mut queues = same_keys_everywhere(cards, keys, keys);
        queues.retain_mut(|queue| {
            if below(3) < in_use {
                queue.state = State::Associated(below(secrets));
            }
            queue.generation = Generation(8 - u8::from(below(3) == 0));
            below(4) < density
        });
        let entries = [6, 13, 40, 256][usize::from(below(4))];
        let entries: Vec<_> = (0..entries).map(|_| entry(below(keys), below(secrets))).collect();
        let (time, plan) = fastest(&problem(&queues, &entries, &all_secrets()));
        slowest = slowest.max(time);
        inexact += u16::from(!plan.exact);
    }
    println!("{count} random problems: {slowest:.2?} for the slowest, {inexact} not exact");
}

fn pinned(title: &str, queues: &[Queue]) {
    let serialnr = |number| format!("93AADEV29000{number:04}").parse().ok();
    let wanted = |number| Wanted::Ep11 { mkvp: mkvp(0), serialnr: serialnr(number), secret: id(number) };
    let entries: Vec<_> =
        (0..ENTRIES).map(|number| Entry { name: None, mingen: None, wanted: wanted(number) }).collect();
    measure(title, queues, &entries);
}

fn show(title: &str, queues: &[Queue], keys: impl Fn(u16) -> (u16, u16)) {
    let entries: Vec<_> = (0..ENTRIES).map(&keys).map(|(key, secret)| entry(key, secret)).collect();
    measure(title, queues, &entries);
}

fn measure(title: &str, queues: &[Queue], entries: &[Entry]) {
    let count = queues.len();
    let (time, plan) = fastest(&problem(queues, entries, &all_secrets()));
    let satisfied = plan.assignments.iter().filter(|found| found.is_ok()).count();
    println!("{title:<54} {count:>7} {time:>10.2?} {satisfied:>10} {:>6}", if plan.exact { "yes" } else { "no" });
}

fn all_secrets() -> Vec<AssociationSecret> {
    (0..ENTRIES).map(|index| AssociationSecret { id: id(index), index }).collect()
}

fn problem<'a>(queues: &'a [Queue], entries: &'a [Entry], secrets: &'a [AssociationSecret]) -> Problem<'a> {
    Problem { entries, queues, secrets, limit: MAX_QUEUES, excluded: &[] }
}

fn fastest(problem: &Problem<'_>) -> (Duration, Plan) {
    let timed = || {
        let start = Instant::now();
        let plan = plan(problem);
        (start.elapsed(), plan)
    };
    let first = timed();
    (0..2).fold(first, |best, _| {
        let next = timed();
        if next.0 < best.0 { next } else { best }
    })
}

/// As many queues as said: cards with 256 domains at most, each with its own master key, some of which entries want.
fn usual(count: u32, state: State) -> Vec<Queue> {
    let domains = (count / 256).max(16).min(count);
    let of = |number: u32| (number / domains, number % domains);
    (0..count).map(of).map(|(card, domain)| queue(card as u8, domain as u16, domain as u16, state)).collect()
}

fn same_keys_everywhere(cards: u16, domains: u16, keys: u16) -> Vec<Queue> {
    let of_card = |card: u16| (0..domains).map(move |domain| queue(card as u8, domain, domain % keys, State::Unbound));
    (0..cards).flat_map(of_card).collect()
}

/// The same, but each card lacks some.
fn sparse(cards: u16, keys: u16) -> Vec<Queue> {
    let mut queues = same_keys_everywhere(cards, keys, keys);
    queues.retain(|queue| mix(u16::from(queue.apqn.card) << 8 | queue.apqn.domain) & 0x80 == 0);
    queues
}

fn accelerators() -> Vec<Queue> {
    let mut queues = usual(65536, State::Unbound);
    for queue in &mut queues {
        queue.mode = Mode::Accelerator;
        queue.master_key = MasterKey::None;
    }
    queues
}

fn queue(card: u8, domain: u16, key: u16, state: State) -> Queue {
    let apqn = Apqn { card, domain };
    let master_key = MasterKey::Valid(mkvp(key));
    Queue { apqn, generation: Generation::CEX8, mode: Mode::Ep11, state, master_key, serialnr: None }
}

fn entry(key: u16, secret: u16) -> Entry {
    Entry { name: None, mingen: None, wanted: Wanted::Ep11 { mkvp: mkvp(key), serialnr: None, secret: id(secret) } }
}

fn mkvp(number: u16) -> Mkvp {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    Mkvp(bytes)
}

fn id(number: u16) -> SecretId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    SecretId(bytes)
}

/// A number that looks like a random one.
fn mix(number: u16) -> u16 {
    let mixed = u32::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b1);
    ((mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca77) >> 16) as u16
}
