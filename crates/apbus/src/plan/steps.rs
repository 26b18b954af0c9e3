//! What is to be done.

use super::Assignment;
use super::fit::Instance;
use crate::{Apqn, Mode, Queue, State};
use std::collections::HashMap;
use std::fmt;

/// Something done to a queue: planned, announced, carried out and reported in the same words. Entries are counted from 0.
///
/// The planner gives [`Step::Unbind`], [`Step::Bind`] and [`Step::Associate`]; the executor adds the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The queue serves an entry already and is left alone.
    Keep {
        /// Queue that the step is about.
        apqn: Apqn,
        /// Mode of the queue.
        mode: Mode,
        /// Number of the entry that is served, counted from 0.
        entry: usize,
    },
    /// The queue is bound, so that its master key can be read.
    Probe(Apqn),
    /// The queue is unbound, since no entry wants it as it is.
    Unbind(Apqn),
    /// The queue, which was bound to be read, is unbound again.
    Restore(Apqn),
    /// The queue is bound for an entry.
    Bind {
        /// Queue that the step is about.
        apqn: Apqn,
        /// Number of the entry that is served, counted from 0.
        entry: usize,
    },
    /// The queue, which is bound, is associated for an entry.
    Associate {
        /// Queue that the step is about.
        apqn: Apqn,
        /// The index of the secret.
        index: u16,
        /// Number of the entry that is served, counted from 0.
        entry: usize,
    },
}

impl Step {
    /// The queue that it is about.
    pub fn queue(self) -> Apqn {
        match self {
            Self::Probe(apqn) | Self::Unbind(apqn) | Self::Restore(apqn) => apqn,
            Self::Keep { apqn, .. } | Self::Bind { apqn, .. } | Self::Associate { apqn, .. } => apqn,
        }
    }

    /// Whether the step unbinds a queue.
    pub fn is_unbind(self) -> bool {
        matches!(self, Self::Unbind(_) | Self::Restore(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep { apqn, .. } => write!(f, "keep {apqn}"),
            Self::Probe(apqn) => write!(f, "bind {apqn} to read it"),
            Self::Unbind(apqn) | Self::Restore(apqn) => write!(f, "unbind {apqn}"),
            Self::Bind { apqn, .. } => write!(f, "bind {apqn}"),
            Self::Associate { apqn, index, .. } => write!(f, "associate {apqn} with secret {index}"),
        }
    }
}

/// Unbinds every queue that this guest has: nothing for those that are unbound already, or that it may not touch.
pub fn unbind_all(queues: &[Queue]) -> Vec<Step> {
    let mut bound: Vec<_> = queues.iter().filter(|queue| is_bound(queue)).map(|queue| queue.apqn).collect();
    bound.sort_unstable();
    bound.into_iter().map(Step::Unbind).collect()
}

/// First what has to go, as the number of bound queues is limited and a secret is for one queue of a card; then, in the
/// order of the entries, what has to come.
pub(super) fn steps(instance: &Instance<'_>, assignments: &[Option<Assignment>]) -> Vec<Step> {
    let used: HashMap<_, _> = assignments.iter().flatten().map(|assignment| (assignment.queue, assignment)).collect();
    if used.is_empty() {
        return Vec::new();
    }
    let is_of_use = |queue: &Queue| match used.get(&queue.apqn) {
        Some(assignment) => assignment.kept || queue.state == State::Bound,
        None => false,
    };
    let states: HashMap<_, _> = instance.queues().iter().map(|queue| (queue.apqn, queue.state)).collect();
    let gone = instance.queues().iter().filter(|queue| is_bound(queue) && !is_of_use(queue));
    let mut steps: Vec<_> = gone.map(|queue| Step::Unbind(queue.apqn)).collect();
    for (entry, assignment) in assignments.iter().enumerate() {
        let Some(Assignment { queue: apqn, secret, kept: false }) = *assignment else { continue };
        if states.get(&apqn) != Some(&State::Bound) {
            steps.push(Step::Bind { apqn, entry });
        }
        steps.extend(secret.map(|index| Step::Associate { apqn, index, entry }));
    }
    steps
}

fn is_bound(queue: &Queue) -> bool {
    queue.mode != Mode::Cca
        && match queue.state {
            State::Bound | State::Pending | State::Associated(_) | State::Broken => true,
            State::Unbound | State::Illicit | State::Gone | State::Offline => false,
        }
}
