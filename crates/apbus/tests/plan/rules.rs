//! What a plan must keep, said once more and independently of the planner.

use apbus::plan::{Excluded, Plan, Problem};
use apbus::{Apqn, AssociationSecret, Entry, Generation, MasterKey, Mkvp, Mode, Queue, SerialNumber, State, Wanted};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::HashSet;
use uvtypes::SecretId;

/// Everything that a problem refers to.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) entries: Vec<Entry>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) secrets: Vec<AssociationSecret>,
    pub(crate) limit: usize,
    pub(crate) excluded: Vec<Excluded>,
}

/// How good an assignment is, as the planner's documentation says it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Value {
    satisfied: usize,
    kept: usize,
    generations: u32,
    entries: Reverse<Vec<usize>>,
    queues: Reverse<Vec<Apqn>>,
}

/// How many cases, for a machine that is told to do more or less.
pub(crate) fn scaled(cases: u32) -> u32 {
    let scale: f64 = std::env::var("PVTOOLS_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    (f64::from(cases) * scale).max(1.0) as u32
}

pub(crate) fn secret_id(number: u8) -> SecretId {
    SecretId([number; 32])
}

pub(crate) fn mkvp(number: u8) -> Mkvp {
    Mkvp([number; 16])
}

pub(crate) fn serialnr(card: u8) -> SerialNumber {
    format!("93AADEV{card:02X}00000{card:02X}").parse().unwrap()
}

pub(crate) fn ep11(master_key: u8, secret: u8, card: Option<u8>) -> Entry {
    let wanted = Wanted::Ep11 { mkvp: mkvp(master_key), serialnr: card.map(serialnr), secret: secret_id(secret) };
    Entry { name: None, mingen: None, wanted }
}

pub(crate) fn accelerator(mingen: Option<u8>) -> Entry {
    Entry { name: None, mingen: mingen.map(Generation), wanted: Wanted::Accelerator }
}

impl World {
    pub(crate) fn problem(&self) -> Problem<'_> {
        Problem {
            entries: &self.entries,
            queues: &self.queues,
            secrets: &self.secrets,
            limit: self.limit,
            excluded: &self.excluded,
        }
    }

    /// For each entry the position of its queue.
    pub(crate) fn chosen(&self, plan: &Plan) -> Vec<Option<usize>> {
        let position = |apqn| self.queues.iter().position(|queue| queue.apqn == apqn).unwrap();
        plan.assignments.iter().map(|found| found.as_ref().ok().map(|found| position(found.queue))).collect()
    }

    /// Kind, master key, card and generation.
    pub(crate) fn fits(&self, entry: &Entry, queue: &Queue) -> bool {
        let kind = match &entry.wanted {
            Wanted::Accelerator => queue.mode == Mode::Accelerator,
            Wanted::Ep11 { mkvp, serialnr, .. } => {
                queue.mode == Mode::Ep11
                    && queue.master_key == MasterKey::Valid(*mkvp)
                    && (serialnr.is_none() || *serialnr == queue.serialnr)
            }
        };
        kind && entry.mingen.is_none_or(|mingen| mingen <= queue.generation)
            && !self.excluded.contains(&Excluded::Queue(queue.apqn))
    }

    /// The index with which an EP11 queue would serve an entry.
    pub(crate) fn index(&self, entry: &Entry, queue: &Queue) -> Option<u16> {
        let Wanted::Ep11 { secret: id, .. } = &entry.wanted else { return None };
        let indices = self.secrets.iter().filter(|secret| secret.id == *id).map(|secret| secret.index);
        match queue.state {
            State::Associated(index) if indices.clone().any(|known| known == index) => Some(index),
            _ => indices.filter(|index| !self.excluded.contains(&Excluded::Secret(queue.apqn, *index))).min(),
        }
    }

    pub(crate) fn keeps(&self, entry: &Entry, queue: &Queue) -> bool {
        match entry.wanted {
            Wanted::Accelerator => queue.state == State::Bound,
            Wanted::Ep11 { .. } => {
                self.index(entry, queue).is_some_and(|index| queue.state == State::Associated(index))
            }
        }
    }

    /// Few entries and queues, much in common.
    pub(crate) fn small() -> impl Strategy<Value = Self> {
        Self::of_size(1..=4, 0..=6, 4)
    }

    /// Few cards, and master keys and secrets in all combinations: what no matching alone can solve.
    pub(crate) fn crossed() -> impl Strategy<Value = Self> {
        let entry = (1..=3_u8, 1..=3_u8).prop_map(|(key, secret)| ep11(key, secret, None));
        let entries = prop::collection::vec(entry, 4..=6);
        let has = prop::collection::vec((any::<bool>(), 0..6_u16), 9);
        (entries, has, 2..=12_usize).prop_map(|(entries, has, limit)| {
            let queue = |(place, (_, state)): (u8, (bool, u16))| Queue {
                apqn: Apqn { card: place / 3, domain: u16::from(place % 3) },
                generation: Generation(if place / 3 == 1 { 7 } else { 8 }),
                mode: Mode::Ep11,
                state: state.checked_sub(3).map_or(State::Unbound, State::Associated),
                master_key: MasterKey::Valid(mkvp(place % 3 + 1)),
                serialnr: None,
            };
            let queues = (0..).zip(has).filter(|(_, (has, _))| *has).map(queue).collect();
            let secrets = (1..=3).map(|number| (secret_id(number), u16::from(number) - 1));
            let secrets = secrets.map(|(id, index)| AssociationSecret { id, index }).collect();
            Self { entries, queues, secrets, limit, excluded: Vec::new() }
        })
    }

    pub(crate) fn of_size(
        entries: std::ops::RangeInclusive<usize>,
        queues: std::ops::RangeInclusive<usize>,
        cards: u8,
    ) -> impl Strategy<Value = Self> {
        let entry = prop_oneof![
            4 => (1..=3_u8, 1..=3_u8, proptest::option::weighted(0.2, 1..=cards))
                .prop_map(|(key, secret, card)| ep11(key, secret, card)),
            1 => proptest::option::of(4..=8_u8).prop_map(accelerator),
        ];
        let state = prop_oneof![
            8 => Just(State::Unbound),
            3 => Just(State::Bound),
            6 => (0..5_u16).prop_map(State::Associated),
            1 => prop::sample::select(vec![State::Pending, State::Illicit, State::Gone, State::Offline, State::Broken]),
        ];
        let master_key = prop_oneof![
            1 => prop::sample::select(vec![MasterKey::Unknown, MasterKey::None]),
            9 => (1..=3_u8).prop_map(|number| MasterKey::Valid(mkvp(number))),
        ];
        let named = proptest::bool::weighted(0.9);
        let queue =
            (1..=cards, 0..8_u16, state, master_key, named).prop_map(|(card, domain, state, master_key, named)| {
                // What a card can do and how new it is follows from its number: all its queues agree.
                let mode = if card == 4 { Mode::Accelerator } else { Mode::Ep11 };
                let master_key = if mode == Mode::Ep11 { master_key } else { MasterKey::None };
                let generation = Generation(if card % 3 == 2 { 7 } else { 8 });
                Queue {
                    apqn: Apqn { card, domain },
                    generation,
                    mode,
                    state,
                    master_key,
                    serialnr: named.then(|| serialnr(card)),
                }
            });
        let excluded = (1..=cards, 0..8_u16, proptest::option::of(0..5_u16)).prop_map(|(card, domain, index)| {
            let queue = Apqn { card, domain };
            index.map_or(Excluded::Queue(queue), |index| Excluded::Secret(queue, index))
        });
        let secrets = prop::collection::vec(1..=3_u8, 0..=5);
        let limit = prop_oneof![3 => Just(12_usize), 1 => 0..4_usize];
        let entries = prop::collection::vec(entry, entries);
        let queues = prop::collection::vec(queue, queues);
        (entries, queues, secrets, limit, prop::collection::vec(excluded, 0..3)).prop_map(
            |(entries, mut queues, secrets, limit, excluded)| {
                let mut names = HashSet::new();
                queues.retain(|queue| names.insert(queue.apqn));
                let secrets = (0..).zip(secrets);
                let secrets = secrets.map(|(index, id)| AssociationSecret { id: secret_id(id), index }).collect();
                Self { entries, queues, secrets, limit, excluded }
            },
        )
    }
}

impl Value {
    pub(crate) fn of(world: &World, chosen: &[Option<usize>]) -> Self {
        let pairs = world.entries.iter().zip(chosen).enumerate();
        let pairs = pairs.filter_map(|(number, (entry, queue))| Some((number, entry, &world.queues[(*queue)?])));
        let pairs: Vec<_> = pairs.collect();
        Self {
            satisfied: pairs.len(),
            kept: pairs.iter().filter(|(_, entry, queue)| world.keeps(entry, queue)).count(),
            generations: pairs.iter().map(|(_, _, queue)| u32::from(queue.generation.0)).sum(),
            entries: Reverse(pairs.iter().map(|(number, _, _)| *number).collect()),
            queues: Reverse(pairs.iter().map(|(_, _, queue)| queue.apqn).collect()),
        }
    }
}

/// What rules an assignment of the first entries breaks.
pub(crate) fn violations(world: &World, chosen: &[Option<usize>]) -> Vec<String> {
    let mut found = Vec::new();
    let (mut queues, mut secrets, mut keys) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (entry, queue) in world.entries.iter().zip(chosen) {
        let Some(queue) = queue.map(|queue| &world.queues[queue]) else { continue };
        if !world.fits(entry, queue) {
            found.push(format!("{} does not fit {entry:?}", queue.apqn));
        }
        if !queues.insert(queue.apqn) {
            found.push(format!("{} serves two entries", queue.apqn));
        }
        if let Wanted::Ep11 { mkvp, secret, .. } = entry.wanted {
            if !secrets.insert((queue.apqn.card, secret)) {
                found.push(format!("{}: secret used twice on its card", queue.apqn));
            }
            if !keys.insert((queue.apqn.card, mkvp)) {
                found.push(format!("{}: master key used twice on its card", queue.apqn));
            }
        }
    }
    if queues.len() > world.limit {
        found.push(format!("{} queues, but no more than {} may be bound", queues.len(), world.limit));
    }
    found
}
