//! The best assignment, also where secrets and master keys exclude each other in two ways.
//!
//! A matching knows about slots only. So the best matching may use an exclusion twice: then each of its slots in turn is made
//! the only one that may use that exclusion, and the best matchings under these conditions are looked at, the most
//! promising first. The first one that breaks no rule is the best of all.
//!
//! An example: one card and three entries, with two master keys and two secrets.
//!
//! ```text
//!                                  slot   exclusion
//! row 0: master key K1, secret S1   K1       S1
//! row 1: master key K1, secret S2   K1       S2
//! row 2: master key K2, secret S1   K2       S1
//!
//! best matching: row 0 on K1, row 2 on K2   2 entries, but S1 is used twice
//!   S1 for K1 only: row 0 on K1             1 entry
//!   S1 for K2 only: row 1 on K1, row 2 on K2   2 entries, nothing twice: no other condition can give more
//! ```
//!
//! A matching under more conditions is never better than one under fewer. So what waits is ordered by its value, an upper
//! bound for all that can come of it, and the search may stop at the first one that breaks nothing.

#![expect(
    clippy::indexing_slicing,
    reason = "each index was given out by what it is used on: candidates by their row, rows by their instance"
)]

use super::candidates::{Candidate, Row};
use super::matching::{self, Edge};
use crate::MAX_QUEUES;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

/// How many matchings are made at most: little enough to take less than a second. One of more entries takes longer, in
/// the square of its size, and so does one from more candidates.
fn most_matchings(rows: &[Row], limit: usize) -> usize {
    const USUAL: usize = 4000;
    const USUAL_CANDIDATES: usize = 256 * MAX_QUEUES;
    let candidates = rows.iter().map(|row| row.candidates.len()).sum::<usize>().max(USUAL_CANDIDATES);
    (USUAL * USUAL_CANDIDATES / candidates) * MAX_QUEUES.pow(2) / limit.max(MAX_QUEUES).pow(2)
}

/// What the search has found.
pub(super) struct Found {
    /// The candidate that each of the entries has.
    pub(super) chosen: Vec<Option<Candidate>>,
    /// Whether it is the best.
    pub(super) exact: bool,
}

/// Finds the best assignment of at most `limit` candidates to `entries` entries. There are several ways to say which candidates
/// exclude each other: the one that promises least excludes most from the start, and is the one to start with.
pub(super) fn best(ways: &[Vec<Row>], limit: usize, entries: usize) -> Found {
    let start = |rows| (rows, Node::new(rows, limit, BTreeMap::new(), 0));
    let mut chosen = vec![None; entries];
    let Some((rows, start)) =
        ways.iter().map(|rows| start(rows.as_slice())).min_by(|(_, a), (_, b)| a.value.cmp(&b.value))
    else {
        return Found { chosen, exact: true };
    };
    let (taken, exact) = from(start, rows, limit);
    for (row, taken) in rows.iter().zip(taken) {
        chosen[row.entry] = taken.map(|taken| row.candidates[taken]);
    }
    Found { chosen, exact }
}

fn from(start: Node, rows: &[Row], limit: usize) -> (Vec<Option<usize>>, bool) {
    let mut waiting = BinaryHeap::from([start]);
    let (mut made, most) = (1, most_matchings(rows, limit));
    let mut incumbent: Option<(Value, Vec<Option<usize>>)> = None;
    while let Some(node) = waiting.pop() {
        if let Some((value, taken)) = &incumbent {
            if *value >= node.value {
                return (taken.clone(), true);
            }
        }
        let Some(exclusion) = broken(rows, &node.taken) else { return (node.taken, true) };
        let repaired = repaired(rows, limit, &node.taken);
        let value = Value::of(rows, &repaired);
        if incumbent.as_ref().is_none_or(|(best, _)| value > *best) {
            incumbent = Some((value, repaired));
        }
        if made >= most {
            break;
        }
        for owner in node.users(rows, exclusion) {
            let mut owners = node.owners.clone();
            owners.insert(exclusion, owner);
            waiting.push(Node::new(rows, limit, owners, made));
            made += 1;
        }
    }
    (incumbent.map_or_else(|| vec![None; rows.len()], |(_, taken)| taken), false)
}

/// How good an assignment is: greater is better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Value {
    satisfied: usize,
    kept: usize,
    generations: u32,
    rows: Reverse<Vec<usize>>,
    queues: Reverse<Vec<usize>>,
}

impl Value {
    fn of(rows: &[Row], taken: &[Option<usize>]) -> Self {
        let used = rows.iter().zip(taken).enumerate();
        let used = used.filter_map(|(number, (row, taken))| taken.map(|taken| (number, row.candidates[taken])));
        let used: Vec<_> = used.collect();
        Self {
            satisfied: used.len(),
            kept: used.iter().filter(|(_, candidate)| candidate.kept).count(),
            generations: used.iter().map(|(_, candidate)| u32::from(candidate.generation.0)).sum(),
            rows: Reverse(used.iter().map(|(number, _)| *number).collect()),
            queues: Reverse(used.iter().map(|(_, candidate)| candidate.queue).collect()),
        }
    }
}

/// The best matching under some conditions.
struct Node {
    value: Value,
    taken: Vec<Option<usize>>,
    /// Guards that only one slot may use.
    owners: BTreeMap<usize, usize>,
    /// Of several equal ones the first is looked at first.
    made: usize,
}

impl Node {
    fn new(rows: &[Row], limit: usize, owners: BTreeMap<usize, usize>, made: usize) -> Self {
        let allows = |candidate: &Candidate| match candidate.exclusion.and_then(|exclusion| owners.get(&exclusion)) {
            Some(owner) => *owner == candidate.slot,
            None => true,
        };
        let taken = best_matching(rows, limit, allows);
        Self { value: Value::of(rows, &taken), taken, owners, made }
    }

    /// The slots that might use an exclusion.
    fn users(&self, rows: &[Row], exclusion: usize) -> BTreeSet<usize> {
        let candidates = rows.iter().flat_map(|row| &row.candidates);
        candidates.filter(|candidate| candidate.exclusion == Some(exclusion)).map(|candidate| candidate.slot).collect()
    }
}

impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value).then(other.made.cmp(&self.made))
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Node {}

/// The best matching that takes no notice of exclusions: first which rows, then, among these, the lowest queues.
fn best_matching(rows: &[Row], limit: usize, allows: impl Fn(&Candidate) -> bool) -> Vec<Option<usize>> {
    let edges_of = |row: &Row, tie: &dyn Fn(&Candidate) -> i128| -> (Vec<usize>, Vec<Edge>) {
        let allowed = row.candidates.iter().enumerate().filter(|(_, candidate)| allows(candidate));
        allowed.map(|(at, candidate)| (at, candidate.edge(tie(candidate)))).unzip()
    };
    let all: Vec<_> = rows.iter().map(|row| edges_of(row, &|_| 0).1).collect();
    let twins: Vec<_> = rows.iter().map(|row| row.twin).collect();
    let first = matching::best(&all, &twins, limit);
    let members: Vec<_> = (0..rows.len()).filter(|row| first[*row].is_some()).collect();

    // The tie of a row is a digit of a number: the first row has the highest one.
    let candidates = members.iter().flat_map(|row| &rows[*row].candidates);
    let queues: BTreeSet<_> = candidates.map(|candidate| candidate.queue).collect();
    let ranks: HashMap<_, _> = queues.iter().zip(0_i128..).map(|(queue, rank)| (*queue, rank)).collect();
    let bits = (usize::BITS - queues.len().leading_zeros()).max(1) as usize;
    let digits = 120 / bits;
    let (positions, edges): (Vec<_>, Vec<_>) = members
        .iter()
        .enumerate()
        .map(|(member, row)| {
            let tie = |candidate: &Candidate| match digits.checked_sub(member + 1) {
                Some(digit) => -(ranks[&candidate.queue] << (digit * bits)),
                None => 0,
            };
            edges_of(&rows[*row], &tie)
        })
        .unzip();
    let mut taken = vec![None; rows.len()];
    let twins = vec![None; edges.len()];
    for ((row, positions), edge) in members.iter().zip(&positions).zip(matching::best(&edges, &twins, limit)) {
        taken[*row] = edge.map(|edge| positions[edge]);
    }
    taken
}

/// An exclusion that is used twice, if there is one: the one whose second row is the earliest.
fn broken(rows: &[Row], taken: &[Option<usize>]) -> Option<usize> {
    let mut used = HashSet::new();
    let candidates = rows.iter().zip(taken).filter_map(|(row, taken)| taken.map(|taken| row.candidates[taken]));
    candidates.filter_map(|candidate| candidate.exclusion).find(|exclusion| !used.insert(*exclusion))
}

/// Takes away what breaks a rule, then gives what is free to rows that have nothing.
fn repaired(rows: &[Row], limit: usize, taken: &[Option<usize>]) -> Vec<Option<usize>> {
    let (mut slots, mut exclusions) = (HashSet::new(), HashSet::new());
    let mut fixed = taken.to_vec();
    for (row, taken) in rows.iter().zip(&mut fixed) {
        let Some(candidate) = taken.map(|taken| row.candidates[taken]) else { continue };
        if candidate.exclusion.is_some_and(|exclusion| !exclusions.insert(exclusion)) {
            *taken = None;
        } else {
            slots.insert(candidate.slot);
        }
    }
    let mut places = limit - slots.len();
    for (row, taken) in rows.iter().zip(&mut fixed).filter(|(_, taken)| taken.is_none()) {
        if places == 0 {
            break;
        }
        let is_free = |candidate: &Candidate| {
            !slots.contains(&candidate.slot)
                && candidate.exclusion.is_none_or(|exclusion| !exclusions.contains(&exclusion))
        };
        let Some(at) = row.candidates.iter().position(is_free) else { continue };
        slots.insert(row.candidates[at].slot);
        exclusions.extend(row.candidates[at].exclusion);
        *taken = Some(at);
        places -= 1;
    }
    fixed
}
