//! What was done, and what came of it.

use crate::inventory::Note;
use crate::plan::Plan;
use crate::{Apqn, Error, Mode, Queue, State, Waiting};

/// Something that happens now.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something about a queue.
    Note(&'a Note),
    /// A step is taken, or would be.
    Step(Step),
    /// A step that was taken did not work.
    Failed(&'a Failure),
    /// Time passes.
    Waiting(Waiting),
}

/// What is done to a queue. Entries are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It serves an entry already and is left alone.
    Keep {
        /// The queue.
        apqn: Apqn,
        /// What it is.
        mode: Mode,
        /// The entry.
        entry: usize,
    },
    /// It is bound, so that its master key can be read.
    Probe(Apqn),
    /// It is unbound, since no entry wants it as it is.
    Release(Apqn),
    /// It is unbound again, which was bound to be read.
    Restore(Apqn),
    /// It is bound for an entry.
    Bind {
        /// The queue.
        apqn: Apqn,
        /// The entry.
        entry: usize,
    },
    /// It is associated for an entry.
    Associate {
        /// The queue.
        apqn: Apqn,
        /// The index of the secret.
        index: u16,
        /// The entry.
        entry: usize,
    },
}

impl Step {
    /// What it makes of the queues.
    pub(super) fn take_effect(self, queues: &mut [Queue]) {
        let (apqn, state) = match self {
            Self::Keep { .. } => return,
            Self::Release(apqn) | Self::Restore(apqn) => (apqn, State::Unbound),
            Self::Probe(apqn) | Self::Bind { apqn, .. } => (apqn, State::Bound),
            Self::Associate { apqn, index, .. } => (apqn, State::Associated(index)),
        };
        if let Some(queue) = queues.iter_mut().find(|queue| queue.apqn == apqn) {
            queue.state = state;
        }
    }
}

/// A step that did not work.
#[derive(Debug)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// Why.
    pub error: Error,
    /// Why the queue could not be unbound after that, if so.
    pub not_undone: Option<Error>,
}

/// How it ended.
#[derive(Debug)]
pub struct Report {
    /// The plan for the queues as they are now.
    pub plan: Plan,
    /// The queues as they are now.
    pub queues: Vec<Queue>,
    /// All that did not work.
    pub failures: Vec<Failure>,
    /// Whether all this was only to find out what would be done.
    pub rehearsal: bool,
    /// Queues that a rehearsal could not look at, while a run could: it may find more than the plan has.
    pub unseen: usize,
    /// Cards and queues that could not be read.
    pub unreadable: usize,
}

impl Report {
    /// Whether this entry has its queue, or would get it.
    pub fn is_satisfied(&self, entry: usize) -> bool {
        let assignment = self.plan.assignments.get(entry).and_then(|assignment| assignment.as_ref().ok());
        assignment.is_some_and(|assignment| assignment.kept || self.rehearsal)
    }

    /// How many entries have their queue.
    pub fn satisfied(&self) -> usize {
        (0..self.plan.assignments.len()).filter(|&entry| self.is_satisfied(entry)).count()
    }

    /// The failures that nothing has made up for: of a step for an entry that has no queue now, or one after which a
    /// queue is bound that nobody wants.
    pub fn lasting_failures(&self) -> impl Iterator<Item = &Failure> {
        let all = self.satisfied() == self.plan.assignments.len();
        self.failures.iter().filter(move |failure| {
            failure.not_undone.is_some()
                || match failure.step {
                    Step::Release(_) | Step::Restore(_) => true,
                    Step::Keep { .. } => false,
                    // It may have been just the queue that is missing.
                    Step::Probe(_) => !all,
                    Step::Bind { entry, .. } | Step::Associate { entry, .. } => !self.is_satisfied(entry),
                }
        })
    }
}
