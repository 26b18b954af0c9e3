//! Whether a queue fits an entry, whatever the others get.

use super::{Excluded, Problem, UnusableReason};
use crate::{Apqn, Entry, Generation, MasterKey, Mkvp, Mode, Queue, SerialNumber, State, Wanted};
use std::collections::{HashMap, HashSet};
use uvtypes::SecretId;

/// A problem, with what is looked up often.
pub(super) struct Instance<'a> {
    pub(super) entries: &'a [Entry],
    /// In the order of their names.
    queues: Vec<&'a Queue>,
    limit: usize,
    /// The indices of each secret, lowest first.
    indices: HashMap<SecretId, Vec<u16>>,
    excluded_queues: HashSet<Apqn>,
    excluded_secrets: HashSet<(Apqn, u16)>,
    with_master_key: HashMap<Mkvp, Vec<usize>>,
    accelerators: Vec<usize>,
    /// A number for each serial number, as numbers are compared faster.
    serial_numbers: HashMap<&'a SerialNumber, usize>,
    /// The one of each queue.
    serial_number_of: Vec<Option<usize>>,
}

/// What an entry needs, looked up once.
#[derive(Clone, Copy)]
pub(super) struct Requirement<'a> {
    is_ep11: bool,
    mingen: Option<Generation>,
    /// If it names a card, the number of that card's serial number, if any queue is on it.
    card: Option<Option<usize>>,
    /// The indices of its secret, lowest first. None for an accelerator.
    indices: &'a [u16],
}

/// How a queue would serve an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) secret: Option<u16>,
    pub(super) kept: bool,
}

/// Why a queue does not fit an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    Illicit,
    Gone,
    Offline,
    OtherCard,
    TooOld,
    NotBindable,
    NoSecret,
    NotAssociable,
}

/// What makes entries equal, for a planner.
pub(super) type RequirementKey<'a> = (&'a Wanted, Option<Generation>);

pub(super) fn requirement_key(entry: &Entry) -> RequirementKey<'_> {
    (&entry.wanted, entry.mingen)
}

impl<'a> Instance<'a> {
    pub(super) fn new(problem: &Problem<'a>) -> Self {
        let mut queues: Vec<_> = problem.queues.iter().collect();
        queues.sort_by_cached_key(|queue| queue.apqn);
        queues.dedup_by_key(|queue| queue.apqn);
        let mut indices: HashMap<SecretId, Vec<u16>> = HashMap::new();
        for secret in problem.secrets {
            indices.entry(secret.id).or_default().push(secret.index);
        }
        indices.values_mut().for_each(|indices| indices.sort_unstable());
        let (mut excluded_queues, mut excluded_secrets) = (HashSet::new(), HashSet::new());
        for excluded in problem.excluded {
            match *excluded {
                Excluded::Queue(queue) => excluded_queues.insert(queue),
                Excluded::Secret(queue, index) => excluded_secrets.insert((queue, index)),
            };
        }
        let mut with_master_key: HashMap<Mkvp, Vec<usize>> = HashMap::new();
        let mut accelerators = Vec::new();
        for (number, queue) in queues.iter().enumerate() {
            match (queue.mode, queue.master_key) {
                (Mode::Accelerator, _) => accelerators.push(number),
                (Mode::Ep11, MasterKey::Valid(mkvp)) => with_master_key.entry(mkvp).or_default().push(number),
                _ => {}
            }
        }
        let mut serial_numbers = HashMap::new();
        let serial_number_of = queues.iter().map(|queue| {
            let next = serial_numbers.len();
            queue.serialnr.as_ref().map(|serialnr| *serial_numbers.entry(serialnr).or_insert(next))
        });
        let serial_number_of = serial_number_of.collect();
        // More than there are entries cannot be used.
        let limit = problem.limit.min(problem.entries.len());
        let entries = problem.entries;
        Self {
            entries,
            queues,
            limit,
            indices,
            excluded_queues,
            excluded_secrets,
            with_master_key,
            accelerators,
            serial_numbers,
            serial_number_of,
        }
    }

    /// How many queues may be used.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// All queues, in the order of their names, which is also the order of their numbers.
    pub(super) fn queues(&self) -> &[&'a Queue] {
        &self.queues
    }

    #[expect(clippy::indexing_slicing, reason = "numbers are given out by this instance alone")]
    pub(super) fn queue(&self, number: usize) -> &'a Queue {
        self.queues[number]
    }

    /// The numbers of the queues of the kind, and with the master key, that is wanted.
    pub(super) fn of_kind(&self, wanted: &Wanted) -> &[usize] {
        match wanted {
            Wanted::Accelerator => &self.accelerators,
            Wanted::Ep11 { mkvp, .. } => self.with_master_key.get(mkvp).map_or(&[], Vec::as_slice),
        }
    }

    /// The indices of a secret, lowest first.
    pub(super) fn indices(&self, secret: &SecretId) -> &[u16] {
        self.indices.get(secret).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_excluded(&self, queue: Apqn) -> bool {
        self.excluded_queues.contains(&queue)
    }

    pub(super) fn requirement<'b>(&'b self, entry: &'b Entry) -> Requirement<'b> {
        let mingen = entry.mingen;
        match &entry.wanted {
            Wanted::Accelerator => Requirement { is_ep11: false, mingen, card: None, indices: &[] },
            Wanted::Ep11 { serialnr, secret, .. } => {
                let card = serialnr.as_ref().map(|serialnr| self.serial_numbers.get(serialnr).copied());
                Requirement { is_ep11: true, mingen, card, indices: self.indices(secret) }
            }
        }
    }

    /// How the queue of this number, one [of the kind](Self::of_kind), would serve the entry.
    #[expect(clippy::indexing_slicing, reason = "numbers are given out by this instance alone")]
    pub(super) fn fit(&self, requirement: &Requirement<'_>, number: usize) -> Result<Fit, Misfit> {
        let queue = self.queue(number);
        match queue.state {
            State::Illicit => return Err(Misfit::Illicit),
            State::Gone => return Err(Misfit::Gone),
            State::Offline => return Err(Misfit::Offline),
            State::Unbound | State::Bound | State::Pending | State::Associated(_) | State::Broken => {}
        }
        if requirement.card.is_some_and(|card| card.is_none() || card != self.serial_number_of[number]) {
            return Err(Misfit::OtherCard);
        }
        if requirement.mingen.is_some_and(|mingen| queue.generation < mingen) {
            return Err(Misfit::TooOld);
        }
        if self.is_excluded(queue.apqn) {
            return Err(Misfit::NotBindable);
        }
        if !requirement.is_ep11 {
            return Ok(Fit { secret: None, kept: queue.state == State::Bound });
        }
        if requirement.indices.is_empty() {
            return Err(Misfit::NoSecret);
        }
        if let State::Associated(index) = queue.state {
            if requirement.indices.contains(&index) {
                return Ok(Fit { secret: Some(index), kept: true });
            }
        }
        let index = requirement.indices.iter().find(|index| !self.excluded_secrets.contains(&(queue.apqn, **index)));
        index.map(|index| Fit { secret: Some(*index), kept: false }).ok_or(Misfit::NotAssociable)
    }
}

impl Misfit {
    /// In words for people who know the queue.
    pub(super) fn obstacle(self, queue: &Queue) -> UnusableReason {
        match self {
            Self::Illicit => UnusableReason::Illicit,
            Self::Gone => UnusableReason::Gone,
            Self::Offline => UnusableReason::Offline,
            Self::OtherCard => UnusableReason::OtherCard(queue.serialnr.clone()),
            Self::TooOld => UnusableReason::TooOld(queue.generation),
            Self::NotBindable => UnusableReason::NotBindable,
            Self::NoSecret => UnusableReason::NoSecret,
            Self::NotAssociable => UnusableReason::NotAssociable,
        }
    }
}
