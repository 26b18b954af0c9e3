//! Which queue serves which entry.
//!
//! The reference takes entries one after another and the first queue that fits, and so misses assignments that exist.
//! This planner finds the best one that keeps the rules of *Introducing IBM Secure Execution for Linux* (SC34-7721):
//!
//! - an entry takes one queue, and a queue serves one entry,
//! - an association secret is used at most once on a card,
//! - a master key is used at most once on a card,
//! - a guest has at most [`Problem::limit`] queues bound.
//!
//! The best one is, in this order, the one
//!
//! 1. with the most entries satisfied,
//! 2. with the most entries that are satisfied already, so that their queues are left alone,
//! 3. with the largest sum of the generations of the cards,
//! 4. that satisfies the earlier entries of the file: of two that differ, the one with the first entry that only one has,
//! 5. whose queues, in the order of the entries, have the lower names: so that two runs agree.
//!
//! The work is bounded for any input. See [`Plan::exact`] for what that means.

mod candidates;
mod fit;
mod matching;
mod places;
mod reasons;
mod search;
mod steps;

pub use reasons::{EntryUnserved, QueueUnused, UnusableReason};
pub use steps::{Step, unbind_all};

use crate::{Apqn, AssociationSecret, Entry, MasterKey, Mkvp, Mode, Queue};
use candidates::Candidate;
use fit::Instance;
use std::collections::HashMap;

/// Input of the planner: what is wanted, and what is there.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// Entries to serve.
    pub entries: &'a [Entry],
    /// Queues that there are, in any order, each once.
    pub queues: &'a [Queue],
    /// The association secrets of the ultravisor.
    pub secrets: &'a [AssociationSecret],
    /// Number of queues that may be bound in the end: usually [`crate::MAX_QUEUES`], less those bound that are not among
    /// [`Self::queues`].
    pub limit: usize,
    /// Attempts that failed, not to be planned again.
    pub excluded: &'a [Excluded],
}

/// Attempt that failed, not to be planned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Excluded {
    /// Binding this queue: no entry gets it.
    Queue(Apqn),
    /// Associating this queue with the secret of this index. Another index with the same id may do.
    Secret(Apqn, u16),
}

/// An assignment of queues to entries, the reasons for what has none, and the steps to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One item for each entry, in the order of the file: its queue, or the reason why it has none.
    pub assignments: Vec<Result<Assignment, EntryUnserved>>,
    /// Every queue that no entry got, with the reason, in the order of their names.
    pub unused: Vec<(Apqn, QueueUnused)>,
    /// Steps to take, in this order. None at all if no entry can be satisfied: a typing error in the
    /// configuration file must not take away the queues that are in use.
    pub steps: Vec<Step>,
    /// `true` if no better plan exists.
    ///
    /// Usually the planner knows. If secrets are used with several master keys *and* master keys with several secrets
    /// (both against the documents' advice), finding the best plan is as hard as colouring the edges of a graph with
    /// given colours; then the search ends after a fixed number of steps with the best plan that it has found, which
    /// keeps all rules.
    pub exact: bool,
}

impl Plan {
    /// The index of the entry that has this queue.
    pub fn entry_of(&self, queue: Apqn) -> Option<usize> {
        self.assignments.iter().position(|planned| planned.as_ref().is_ok_and(|assignment| assignment.queue == queue))
    }
}

/// The queue of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Queue that serves the entry.
    pub queue: Apqn,
    /// The index of the secret it is, or is to be, associated with. `None` for an accelerator.
    pub secret: Option<u16>,
    /// Whether the queue is already bound, and associated if the entry needs that.
    pub kept: bool,
}

/// Finds the best assignment.
pub fn plan(problem: &Problem<'_>) -> Plan {
    let instance = Instance::new(problem);
    let found = search::best(&candidates::rows(&instance), instance.limit(), problem.entries.len());
    let assign = |candidate: &Candidate| Assignment {
        queue: instance.queue(candidate.queue).apqn,
        secret: candidate.secret,
        kept: candidate.kept,
    };
    let assignments: Vec<_> = found.chosen.iter().map(|candidate| candidate.as_ref().map(assign)).collect();
    let steps = steps::steps(&instance, &assignments);
    let (assignments, unused) = reasons::explain(&instance, &assignments);
    Plan { assignments, unused, steps, exact: found.exact }
}

/// EP11 queues of one card with the same master key, which the documents forbid: for each such key of each card its
/// first queue with each of the others.
pub fn doubled_master_keys(queues: &[Queue]) -> Vec<(Apqn, Apqn, Mkvp)> {
    let mut sorted: Vec<_> = queues.iter().filter(|queue| queue.mode == Mode::Ep11).collect();
    // Sorts with a cached key share their code if the keys are alike: a guest's program has room for few.
    sorted.sort_by_cached_key(|queue| queue.apqn);
    let mut first = HashMap::new();
    let mut doubled = Vec::new();
    for queue in sorted {
        let MasterKey::Valid(mkvp) = queue.master_key else { continue };
        let first = *first.entry((queue.apqn.card, mkvp)).or_insert(queue.apqn);
        if first != queue.apqn {
            doubled.push((first, queue.apqn, mkvp));
        }
    }
    doubled
}
