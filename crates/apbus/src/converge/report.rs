//! What was done, and what came of it.

use crate::inventory::Note;
use crate::plan::{Plan, Step};
use crate::{Error, Queue, State, Waiting};

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
    /// A queue is waited for.
    Waiting(Waiting),
}

/// What a step makes of the queues.
pub(super) fn take_effect(step: Step, queues: &mut [Queue]) {
    let state = match step {
        Step::Keep { .. } => return,
        Step::Unbind(_) | Step::Restore(_) => State::Unbound,
        Step::Probe(_) | Step::Bind { .. } => State::Bound,
        Step::Associate { index, .. } => State::Associated(index),
    };
    if let Some(queue) = queues.iter_mut().find(|queue| queue.apqn == step.queue()) {
        queue.state = state;
    }
}

/// A step that did not work.
#[derive(Debug)]
pub struct Failure {
    /// Step that failed.
    pub step: Step,
    /// Error that ended the step.
    pub error: Error,
    /// Error of the unbind that should have undone the step; `None` if that worked.
    pub not_undone: Option<Error>,
}

/// Outcome of a run: the last plan, and what went wrong on the way.
#[derive(Debug)]
pub struct Report {
    /// The plan for the queues as they are now.
    pub plan: Plan,
    /// The queues as they are now.
    pub queues: Vec<Queue>,
    /// Steps that did not work.
    pub failures: Vec<Failure>,
    /// Whether the run changed nothing, and only tells what a run would do.
    pub dry_run: bool,
    /// Queues that a dry run could not look at, while a run could: it may find more than the plan has.
    pub unseen: usize,
    /// Cards and queues that could not be read.
    pub unreadable: usize,
}

impl Report {
    /// Whether the entry with this number, counted from 0, has its queue, or in a dry run would get it.
    pub fn is_satisfied(&self, entry: usize) -> bool {
        let assignment = self.plan.assignments.get(entry).and_then(|assignment| assignment.as_ref().ok());
        assignment.is_some_and(|assignment| assignment.kept || self.dry_run)
    }

    /// Number of entries that have their queue, or would get it.
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
                    Step::Unbind(_) | Step::Restore(_) => true,
                    Step::Keep { .. } => false,
                    // It may have been just the queue that is missing.
                    Step::Probe(_) => !all,
                    Step::Bind { entry, .. } | Step::Associate { entry, .. } => !self.is_satisfied(entry),
                }
        })
    }
}
