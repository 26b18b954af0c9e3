//! What queues offer to entries, as the search sees it.

use super::fit::{Demand, Fit, Ground, demand};
use super::matching::{self, Edge, Gain};
use crate::{Entry, Generation, Mkvp, SecretId, Wanted};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// An entry that some queue fits.
pub(super) struct Row {
    /// Its position in the list of entries.
    pub(super) entry: usize,
    /// The best first.
    pub(super) offers: Vec<Offer>,
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

/// All entries that some queue fits, in their order.
///
/// Of entries that want the same, and of queues that are offered to an entry, only as many are taken as there may be
/// bound queues. That loses nothing: if a later one of equal entries has a queue, so may the earlier one; and if an
/// entry has one of its worse offers, one of the better ones is not blocked, for its offers are on different cards and
/// each of the other entries blocks those of one card only.
pub(super) fn rows(ground: &Ground<'_>) -> Vec<Row> {
    let mut of_demand: HashMap<Demand<'_>, (usize, Vec<Found>)> = HashMap::new();
    let mut found = Vec::new();
    for (number, entry) in ground.entries.iter().enumerate() {
        let (count, offers) = of_demand.entry(demand(entry)).or_insert_with(|| (0, best_offers(ground, entry)));
        *count += 1;
        if *count <= ground.limit() && !offers.is_empty() {
            found.push((number, entry, offers.clone()));
        }
    }
    with_slots(ground, found)
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
    let fitting = ground.candidates(&entry.wanted).iter().filter_map(|number| {
        let queue = ground.queue(*number);
        let fit = ground.fit(entry, queue).ok()?;
        Some(Found { queue: *number, card: queue.apqn.card, generation: queue.generation, fit })
    });
    let mut offers: Vec<_> = fitting.collect();
    let rank = |found: &Found| (Reverse(found.fit.kept), Reverse(found.generation), found.queue);
    offers.sort_unstable_by_key(rank);
    if matches!(entry.wanted, Wanted::Ep11 { .. }) {
        let mut cards = [false; 256];
        offers.retain(|found| !std::mem::replace(&mut cards[usize::from(found.card)], true));
    }
    offers.truncate(ground.limit());
    offers
}

/// What two EP11 entries may have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Common {
    MasterKey(Mkvp),
    Secret(SecretId),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Queue(usize),
    Card(u8, Common),
}

/// Says which offers exclude each other.
///
/// Entries whose secrets each have one master key, or whose master keys each have one secret, need one rule of the two
/// only: the other follows from it. All others need both, of which one becomes the slot and one the guard.
fn with_slots(ground: &Ground<'_>, found: Vec<(usize, &Entry, Vec<Found>)>) -> Vec<Row> {
    let pairs = found.iter().map(|(_, entry, _)| match entry.wanted {
        Wanted::Accelerator => None,
        Wanted::Ep11 { mkvp, secret, .. } => Some((mkvp, secret)),
    });
    let pairs: Vec<_> = pairs.collect();
    let groups = groups(&pairs);
    let mut places: HashMap<Place, usize> = HashMap::new();
    let mut place = |place| {
        let next = places.len();
        *places.entry(place).or_insert(next)
    };
    let mut rows: Vec<_> = found
        .iter()
        .zip(&pairs)
        .map(|((entry, _, offers), pair)| {
            let kind = pair.map(|(mkvp, secret)| (mkvp, secret, groups[&mkvp].rule()));
            let offers = offers.iter().map(|found| {
                let (slot, guard) = match kind {
                    None => (place(Place::Queue(found.queue)), None),
                    Some((mkvp, secret, rule)) => {
                        let mut on_card = |common| place(Place::Card(found.card, common));
                        let (of_key, of_secret) = (Common::MasterKey(mkvp), Common::Secret(secret));
                        match rule {
                            Rule::MasterKey => (on_card(of_key), None),
                            Rule::Secret => (on_card(of_secret), None),
                            Rule::Both => (on_card(of_key), Some(on_card(of_secret))),
                        }
                    }
                };
                let Found { queue, generation, fit: Fit { secret, kept }, .. } = *found;
                Offer { queue, secret, kept, generation, slot, guard }
            });
            Row { entry: *entry, offers: offers.collect() }
        })
        .collect();
    swap_where_better(ground, &mut rows, &pairs, &groups);
    rows
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    MasterKey,
    Secret,
    Both,
}

/// Secrets and master keys that hang together.
#[derive(Clone, Copy)]
struct Group {
    number: usize,
    keys_of_a_secret: usize,
    secrets_of_a_key: usize,
}

impl Group {
    fn rule(self) -> Rule {
        match (self.keys_of_a_secret, self.secrets_of_a_key) {
            (..=1, _) => Rule::MasterKey,
            (_, ..=1) => Rule::Secret,
            _ => Rule::Both,
        }
    }
}

fn groups(pairs: &[Option<(Mkvp, SecretId)>]) -> HashMap<Mkvp, Group> {
    let mut keys_of: HashMap<SecretId, Vec<Mkvp>> = HashMap::new();
    let mut secrets_of: HashMap<Mkvp, Vec<SecretId>> = HashMap::new();
    let mut known = HashSet::new();
    let mut in_order = Vec::new();
    for (mkvp, secret) in pairs.iter().flatten() {
        if known.insert((mkvp, secret)) {
            keys_of.entry(*secret).or_default().push(*mkvp);
            secrets_of.entry(*mkvp).or_default().push(*secret);
            in_order.push(*mkvp);
        }
    }
    let mut groups = HashMap::new();
    for (number, start) in in_order.into_iter().enumerate() {
        if groups.contains_key(&start) {
            continue;
        }
        let mut group = Group { number, keys_of_a_secret: 1, secrets_of_a_key: 1 };
        let (mut reached, mut seen) = (vec![start], HashSet::from([start]));
        let mut next = 0;
        while let Some(key) = reached.get(next).copied() {
            next += 1;
            group.secrets_of_a_key = group.secrets_of_a_key.max(secrets_of[&key].len());
            for secret in &secrets_of[&key] {
                let keys = &keys_of[secret];
                group.keys_of_a_secret = group.keys_of_a_secret.max(keys.len());
                reached.extend(keys.iter().filter(|key| seen.insert(**key)));
            }
        }
        groups.extend(reached.into_iter().map(|key| (key, group)));
    }
    groups
}

/// Makes the guards of a group its slots and the other way round, where that rules out more from the start.
fn swap_where_better(
    ground: &Ground<'_>,
    rows: &mut [Row],
    pairs: &[Option<(Mkvp, SecretId)>],
    groups: &HashMap<Mkvp, Group>,
) {
    let mut of_group: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (row, pair) in pairs.iter().enumerate() {
        let Some(group) = pair.map(|(mkvp, _)| groups[&mkvp]) else { continue };
        if group.rule() == Rule::Both {
            of_group.entry(group.number).or_default().insert(row);
        }
    }
    for members in of_group.into_values() {
        let value = |place: fn(&Offer) -> usize| {
            let edges = |row: &Row| row.offers.iter().map(|offer| offer.edge(place(offer), 0)).collect();
            let edges: Vec<Vec<Edge>> = members.iter().map(|row| edges(&rows[*row])).collect();
            let taken = matching::best(&edges, ground.limit());
            let gains = taken.iter().zip(&edges).filter_map(|(taken, edges)| taken.map(|taken| edges[taken].gain));
            gains.fold((0, 0, 0), |(count, kept, generations), gain: Gain| {
                (count + 1, kept + gain.kept, generations + gain.generation)
            })
        };
        if value(|offer| offer.guard.unwrap_or(offer.slot)) < value(|offer| offer.slot) {
            let offers = rows.iter_mut().enumerate().filter(|(row, _)| members.contains(row));
            for offer in offers.flat_map(|(_, row)| &mut row.offers) {
                if let Some(guard) = &mut offer.guard {
                    std::mem::swap(guard, &mut offer.slot);
                }
            }
        }
    }
}

impl Offer {
    /// As an edge to a place, with what is gained apart from that.
    pub(super) fn edge(&self, slot: usize, tie: i128) -> Edge {
        Edge { slot, gain: Gain { kept: i32::from(self.kept), generation: i32::from(self.generation.0), tie } }
    }
}
