//! Whether a queue fits an entry, whatever the others get.

use super::{Barred, Obstacle, Problem};
use crate::{Apqn, Entry, Generation, MasterKey, Mkvp, Mode, Queue, SecretId, State, Wanted};
use std::collections::{HashMap, HashSet};

/// A problem, with what is looked up often.
pub(super) struct Ground<'a> {
    pub(super) entries: &'a [Entry],
    /// In the order of their names.
    queues: Vec<&'a Queue>,
    limit: usize,
    /// The indices of each secret, lowest first.
    indices: HashMap<SecretId, Vec<u16>>,
    barred_queues: HashSet<Apqn>,
    barred_secrets: HashSet<(Apqn, u16)>,
    with_master_key: HashMap<Mkvp, Vec<usize>>,
    accelerators: Vec<usize>,
}

/// How a queue would serve an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub(super) secret: Option<u16>,
    pub(super) kept: bool,
}

/// What makes entries equal, for a planner.
pub(super) type Demand<'a> = (&'a Wanted, Option<Generation>);

pub(super) fn demand(entry: &Entry) -> Demand<'_> {
    (&entry.wanted, entry.mingen)
}

impl<'a> Ground<'a> {
    pub(super) fn new(problem: &Problem<'a>) -> Self {
        let mut queues: Vec<_> = problem.queues.iter().collect();
        queues.sort_by_key(|queue| queue.apqn);
        queues.dedup_by_key(|queue| queue.apqn);
        let mut indices: HashMap<SecretId, Vec<u16>> = HashMap::new();
        for secret in problem.secrets {
            indices.entry(secret.id).or_default().push(secret.index);
        }
        indices.values_mut().for_each(|indices| indices.sort_unstable());
        let (mut barred_queues, mut barred_secrets) = (HashSet::new(), HashSet::new());
        for barred in problem.barred {
            match *barred {
                Barred::Queue(queue) => barred_queues.insert(queue),
                Barred::Secret(queue, index) => barred_secrets.insert((queue, index)),
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
        // More than there are entries cannot be used.
        let limit = problem.limit.min(problem.entries.len());
        let entries = problem.entries;
        Self { entries, queues, limit, indices, barred_queues, barred_secrets, with_master_key, accelerators }
    }

    /// How many queues may be used.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// All queues, in the order of their names, which is also the order of their numbers.
    pub(super) fn queues(&self) -> &[&'a Queue] {
        &self.queues
    }

    pub(super) fn queue(&self, number: usize) -> &'a Queue {
        self.queues[number]
    }

    /// The numbers of the queues of the kind, and with the master key, that is wanted.
    pub(super) fn candidates(&self, wanted: &Wanted) -> &[usize] {
        match wanted {
            Wanted::Accelerator => &self.accelerators,
            Wanted::Ep11 { mkvp, .. } => self.with_master_key.get(mkvp).map_or(&[], Vec::as_slice),
        }
    }

    /// The indices of a secret, lowest first.
    pub(super) fn indices(&self, secret: &SecretId) -> &[u16] {
        self.indices.get(secret).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_barred(&self, queue: Apqn) -> bool {
        self.barred_queues.contains(&queue)
    }

    /// How one of the [`Self::candidates`] would serve the entry.
    pub(super) fn fit(&self, entry: &Entry, queue: &Queue) -> Result<Fit, Obstacle> {
        match queue.state {
            State::Illicit => return Err(Obstacle::Illicit),
            State::Gone => return Err(Obstacle::Gone),
            State::Offline => return Err(Obstacle::Offline),
            State::Unbound | State::Bound | State::Pending | State::Associated(_) | State::Broken => {}
        }
        if let Wanted::Ep11 { serialnr: Some(serialnr), .. } = &entry.wanted {
            if queue.serialnr.as_ref() != Some(serialnr) {
                return Err(Obstacle::OtherCard(queue.serialnr.clone()));
            }
        }
        if entry.mingen.is_some_and(|mingen| queue.generation < mingen) {
            return Err(Obstacle::TooOld(queue.generation));
        }
        if self.is_barred(queue.apqn) {
            return Err(Obstacle::NotBindable);
        }
        let Wanted::Ep11 { secret, .. } = &entry.wanted else {
            return Ok(Fit { secret: None, kept: queue.state == State::Bound });
        };
        let indices = self.indices(secret);
        if let State::Associated(index) = queue.state {
            if indices.contains(&index) {
                return Ok(Fit { secret: Some(index), kept: true });
            }
        }
        let index = indices.iter().find(|index| !self.barred_secrets.contains(&(queue.apqn, **index)));
        index.map(|index| Fit { secret: Some(*index), kept: false }).ok_or(Obstacle::NotAssociable)
    }
}
