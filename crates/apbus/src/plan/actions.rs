//! What is to be done.

use super::Assignment;
use super::fit::Ground;
use crate::{Apqn, Mode, Queue, State};
use std::collections::HashMap;
use std::fmt;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Unbind this queue.
    Unbind(Apqn),
    /// Bind this queue.
    Bind(Apqn),
    /// Associate this queue, which is bound, with the secret of this index.
    Associate(Apqn, u16),
}

impl Action {
    /// The queue that it is about.
    pub fn queue(self) -> Apqn {
        match self {
            Self::Unbind(queue) | Self::Bind(queue) | Self::Associate(queue, _) => queue,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbind(queue) => write!(f, "unbind {queue}"),
            Self::Bind(queue) => write!(f, "bind {queue}"),
            Self::Associate(queue, index) => write!(f, "associate {queue} with secret {index}"),
        }
    }
}

/// Unbinds every queue that this guest has: nothing for those that are unbound already, or that it may not touch.
pub fn unbind_all(queues: &[Queue]) -> Vec<Action> {
    let mut bound: Vec<_> = queues.iter().filter(|queue| is_bound(queue)).map(|queue| queue.apqn).collect();
    bound.sort_unstable();
    bound.into_iter().map(Action::Unbind).collect()
}

/// First what has to go, as the number of bound queues is limited and a secret is for one queue of a card; then, in the
/// order of the entries, what has to come.
pub(super) fn actions(ground: &Ground<'_>, assignments: &[Option<Assignment>]) -> Vec<Action> {
    let used: HashMap<_, _> = assignments.iter().flatten().map(|assignment| (assignment.queue, assignment)).collect();
    if used.is_empty() {
        return Vec::new();
    }
    let is_of_use = |queue: &Queue| match used.get(&queue.apqn) {
        Some(assignment) => assignment.kept || queue.state == State::Bound,
        None => false,
    };
    let states: HashMap<_, _> = ground.queues().iter().map(|queue| (queue.apqn, queue.state)).collect();
    let gone = ground.queues().iter().filter(|queue| is_bound(queue) && !is_of_use(queue));
    let mut actions: Vec<_> = gone.map(|queue| Action::Unbind(queue.apqn)).collect();
    for assignment in assignments.iter().flatten().filter(|assignment| !assignment.kept) {
        if states.get(&assignment.queue) != Some(&State::Bound) {
            actions.push(Action::Bind(assignment.queue));
        }
        actions.extend(assignment.secret.map(|index| Action::Associate(assignment.queue, index)));
    }
    actions
}

fn is_bound(queue: &Queue) -> bool {
    queue.mode != Mode::Cca
        && match queue.state {
            State::Bound | State::Pending | State::Associated(_) | State::Broken => true,
            State::Unbound | State::Illicit | State::Gone | State::Offline => false,
        }
}
