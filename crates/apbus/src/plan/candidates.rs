//! Which queues are candidates for an entry, as the search sees them.

use super::fit::{Fit, Instance, RequirementKey, requirement_key};
use super::matching::{Edge, Gain};
use super::places::{Places, SlotRule};
use crate::{Entry, Generation, Wanted};
use std::cmp::Reverse;
use std::collections::HashMap;

/// An entry that some queue fits.
pub(super) struct Row {
    /// Its position in the list of entries.
    pub(super) entry: usize,
    /// The best first.
    pub(super) candidates: Vec<Candidate>,
    /// The row before it that has the same candidates.
    pub(super) twin: Option<usize>,
}

/// A queue that fits an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Its number.
    pub(super) queue: usize,
    pub(super) secret: Option<u16>,
    pub(super) kept: bool,
    pub(super) generation: Generation,
    /// What no two entries may share: the queue of an accelerator, or a master key or a secret on a card.
    pub(super) slot: usize,
    /// What no two entries may share either, if that does not follow from their slots.
    pub(super) exclusion: Option<usize>,
}

/// All entries that some queue fits, in their order; twice, with other slots and exclusions, if there are exclusions.
///
/// Of entries that want the same, and of queues that are offered to an entry, only as many are taken as there may be
/// bound queues. That loses nothing: if a later one of equal entries has a queue, so may the earlier one; and if an
/// entry has one of its worse candidates, one of the better ones is not blocked, for its candidates are on different cards
/// and each of the other entries blocks those of one card only.
///
/// An example with a limit of 2: three equal entries, and cards 0 to 3 with a fitting queue each, the newest first. Two
/// entries stay, each with the queues of cards 0 and 1. An entry that had card 2 could have card 0 or 1 instead, as the only
/// other queue in use blocks one of them at most.
pub(super) fn rows(instance: &Instance<'_>) -> Vec<Vec<Row>> {
    let mut of_requirement: HashMap<RequirementKey<'_>, (usize, Vec<Found>)> = HashMap::new();
    let mut found = Vec::new();
    for (number, entry) in instance.entries.iter().enumerate() {
        let (count, candidates) =
            of_requirement.entry(requirement_key(entry)).or_insert_with(|| (0, best_candidates(instance, entry)));
        *count += 1;
        if *count <= instance.limit() && !candidates.is_empty() {
            found.push((number, entry, candidates.clone()));
        }
    }
    let usual = with_places(&found, SlotRule::MasterKeys);
    let has_exclusions = usual.iter().flat_map(|row| &row.candidates).any(|candidate| candidate.exclusion.is_some());
    let other = has_exclusions.then(|| with_places(&found, SlotRule::Secrets));
    std::iter::once(usual).chain(other).collect()
}

/// A queue and how it fits, and its card.
#[derive(Clone, Copy)]
struct Found {
    queue: usize,
    card: u8,
    generation: Generation,
    fit: Fit,
}

fn best_candidates(instance: &Instance<'_>, entry: &Entry) -> Vec<Found> {
    let requirement = instance.requirement(entry);
    let fitting = instance.of_kind(&entry.wanted).iter().filter_map(|number| {
        let queue = instance.queue(*number);
        let fit = instance.fit(&requirement, *number).ok()?;
        Some(Found { queue: *number, card: queue.apqn.card, generation: queue.generation, fit })
    });
    let rank = |found: &Found| (Reverse(found.fit.kept), Reverse(found.generation), found.queue);
    let mut candidates: Vec<Found> = match entry.wanted {
        Wanted::Accelerator => fitting.collect(),
        // Of the queues of a card, which come one after another, only the best: they have the same master key.
        Wanted::Ep11 { .. } => fitting.fold(Vec::new(), |mut candidates: Vec<Found>, found| {
            match candidates.last_mut() {
                Some(last) if last.card == found.card => *last = std::cmp::min_by_key(*last, found, rank),
                _ => candidates.push(found),
            }
            candidates
        }),
    };
    candidates.sort_unstable_by_key(rank);
    candidates.truncate(instance.limit());
    candidates
}

/// Says which candidates exclude each other.
fn with_places(found: &[(usize, &Entry, Vec<Found>)], first: SlotRule) -> Vec<Row> {
    let pair = |entry: &Entry| match entry.wanted {
        Wanted::Accelerator => None,
        Wanted::Ep11 { mkvp, secret, .. } => Some((mkvp, secret)),
    };
    let offered = found.iter().filter_map(|(_, entry, candidates)| Some((pair(entry)?, candidates)));
    let offered =
        offered.flat_map(|((mkvp, secret), candidates)| candidates.iter().map(move |found| (found.card, mkvp, secret)));
    let mut places = Places::new(offered, first);
    let mut last = HashMap::new();
    let rows = found.iter().enumerate().map(|(row, (number, entry, candidates))| {
        let candidates = candidates.iter().map(|found| {
            let (slot, exclusion) = match pair(entry) {
                None => (places.of_queue(found.queue), None),
                Some((mkvp, secret)) => places.on_card(found.card, mkvp, secret),
            };
            let Found { queue, generation, fit: Fit { secret, kept }, .. } = *found;
            Candidate { queue, secret, kept, generation, slot, exclusion }
        });
        Row { entry: *number, candidates: candidates.collect(), twin: last.insert(requirement_key(entry), row) }
    });
    rows.collect()
}

impl Candidate {
    /// As an edge, of which `tie` decides between equal ones.
    pub(super) fn edge(&self, tie: i128) -> Edge {
        Edge {
            slot: self.slot,
            gain: Gain { kept: i32::from(self.kept), generation: i32::from(self.generation.0), tie },
        }
    }
}
