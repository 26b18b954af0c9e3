//! What queues offer to entries, as the search sees it.

use super::fit::{Demand, Fit, Ground, demand};
use super::matching::{Edge, Gain};
use super::places::{First, Places};
use crate::{Entry, Generation, Wanted};
use std::cmp::Reverse;
use std::collections::HashMap;

/// An entry that some queue fits.
pub(super) struct Row {
    /// Its position in the list of entries.
    pub(super) entry: usize,
    /// The best first.
    pub(super) offers: Vec<Offer>,
    /// The row before it that has the same offers.
    pub(super) twin: Option<usize>,
}

/// A queue that fits an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Its number.
    pub(super) queue: usize,
    pub(super) secret: Option<u16>,
    pub(super) kept: bool,
    pub(super) generation: Generation,
    /// What no two entries may share: the queue of an accelerator, or a master key or a secret on a card.
    pub(super) slot: usize,
    /// What no two entries may share either, if that does not follow from their slots.
    pub(super) guard: Option<usize>,
}

/// All entries that some queue fits, in their order; twice, with other slots and guards, if there are guards.
///
/// Of entries that want the same, and of queues that are offered to an entry, only as many are taken as there may be
/// bound queues. That loses nothing: if a later one of equal entries has a queue, so may the earlier one; and if an
/// entry has one of its worse offers, one of the better ones is not blocked, for its offers are on different cards and
/// each of the other entries blocks those of one card only.
pub(super) fn rows(ground: &Ground<'_>) -> Vec<Vec<Row>> {
    let mut of_demand: HashMap<Demand<'_>, (usize, Vec<Found>)> = HashMap::new();
    let mut found = Vec::new();
    for (number, entry) in ground.entries.iter().enumerate() {
        let (count, offers) = of_demand.entry(demand(entry)).or_insert_with(|| (0, best_offers(ground, entry)));
        *count += 1;
        if *count <= ground.limit() && !offers.is_empty() {
            found.push((number, entry, offers.clone()));
        }
    }
    let usual = with_places(&found, First::MasterKeys);
    let has_guards = usual.iter().flat_map(|row| &row.offers).any(|offer| offer.guard.is_some());
    let other = has_guards.then(|| with_places(&found, First::Secrets));
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

fn best_offers(ground: &Ground<'_>, entry: &Entry) -> Vec<Found> {
    let need = ground.need(entry);
    let fitting = ground.candidates(&entry.wanted).iter().filter_map(|number| {
        let queue = ground.queue(*number);
        let fit = ground.fit(&need, *number).ok()?;
        Some(Found { queue: *number, card: queue.apqn.card, generation: queue.generation, fit })
    });
    let rank = |found: &Found| (Reverse(found.fit.kept), Reverse(found.generation), found.queue);
    let mut offers: Vec<Found> = match entry.wanted {
        Wanted::Accelerator => fitting.collect(),
        // Of the queues of a card, which come one after another, only the best: they have the same master key.
        Wanted::Ep11 { .. } => fitting.fold(Vec::new(), |mut offers: Vec<Found>, found| {
            match offers.last_mut() {
                Some(last) if last.card == found.card => *last = std::cmp::min_by_key(*last, found, rank),
                _ => offers.push(found),
            }
            offers
        }),
    };
    offers.sort_unstable_by_key(rank);
    offers.truncate(ground.limit());
    offers
}

/// Says which offers exclude each other.
fn with_places(found: &[(usize, &Entry, Vec<Found>)], first: First) -> Vec<Row> {
    let pair = |entry: &Entry| match entry.wanted {
        Wanted::Accelerator => None,
        Wanted::Ep11 { mkvp, secret, .. } => Some((mkvp, secret)),
    };
    let offered = found.iter().filter_map(|(_, entry, offers)| Some((pair(entry)?, offers)));
    let offered =
        offered.flat_map(|((mkvp, secret), offers)| offers.iter().map(move |found| (found.card, mkvp, secret)));
    let mut places = Places::new(offered, first);
    let mut last = HashMap::new();
    let rows = found.iter().enumerate().map(|(row, (number, entry, offers))| {
        let offers = offers.iter().map(|found| {
            let (slot, guard) = match pair(entry) {
                None => (places.of_queue(found.queue), None),
                Some((mkvp, secret)) => places.on_card(found.card, mkvp, secret),
            };
            let Found { queue, generation, fit: Fit { secret, kept }, .. } = *found;
            Offer { queue, secret, kept, generation, slot, guard }
        });
        Row { entry: *number, offers: offers.collect(), twin: last.insert(demand(entry), row) }
    });
    rows.collect()
}

impl Offer {
    /// As an edge, of which `tie` decides between equal ones.
    pub(super) fn edge(&self, tie: i128) -> Edge {
        Edge {
            slot: self.slot,
            gain: Gain { kept: i32::from(self.kept), generation: i32::from(self.generation.0), tie },
        }
    }
}
