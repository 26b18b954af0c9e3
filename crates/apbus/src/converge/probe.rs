//! Finding out what unbound queues do not tell.

use super::{Event, Executor, Step, Task};
use crate::plan::{Barred, doubled_master_keys};
use crate::{Apqn, Error, MasterKey, Mode, Queue, State, Wanted};

impl Executor<'_> {
    /// Reads all queues, and what it takes some time to know of them.
    pub(super) fn look_closely(&mut self, task: Task<'_>, rehearsal: bool) -> Result<Vec<Queue>, Error> {
        let mut queues = self.look()?;
        if self.settle(task, &queues) {
            queues = self.look()?;
        }
        loop {
            if let Some(&(first, second, mkvp)) = doubled_master_keys(&queues).first() {
                return Err(Error::DoubledMasterKey { first, second, mkvp });
            }
            if !self.probe(task, &queues, rehearsal) {
                return Ok(queues);
            }
            queues = self.look()?;
        }
    }

    /// Waits for associations that somebody began and that may turn out to be what an entry wants. Gives whether there were
    /// any.
    fn settle(&mut self, task: Task<'_>, queues: &[Queue]) -> bool {
        let is_wanted = |queue: &&Queue| {
            let wanted = |wanted: &Wanted| match wanted {
                Wanted::Ep11 { mkvp, .. } => queue.master_key == MasterKey::Valid(*mkvp),
                Wanted::Accelerator => false,
            };
            queue.state == State::Pending && task.entries.iter().any(|entry| wanted(&entry.wanted))
        };
        let pending: Vec<_> = queues.iter().filter(is_wanted).map(|queue| queue.apqn).collect();
        let any = !pending.is_empty();
        // An error shows in the next look.
        self.in_parallel(pending, |operator, apqn| drop(operator.settle(apqn)));
        any
    }

    /// Binds queues whose master key may be the one that an entry still wants. Gives whether anything was done.
    fn probe(&mut self, task: Task<'_>, queues: &[Queue], rehearsal: bool) -> bool {
        let plan = self.plan(task, queues);
        let open =
            |(entry, planned): (&crate::Entry, &Result<_, crate::plan::Unsatisfied>)| match (&entry.wanted, planned) {
                (Wanted::Ep11 { secret, .. }, Err(_)) if task.secrets.iter().any(|known| known.id == *secret) => {
                    Some(entry.mingen)
                }
                _ => None,
            };
        let open: Vec<_> = task.entries.iter().zip(&plan.assignments).filter_map(open).collect();
        let may_serve = |queue: &&Queue| {
            queue.mode == Mode::Ep11
                && queue.state == State::Unbound
                && queue.master_key == MasterKey::Unknown
                && !self.barred.contains(&Barred::Queue(queue.apqn))
                && open.iter().any(|mingen| mingen.is_none_or(|mingen| mingen <= queue.generation))
        };
        let unknown: Vec<_> = queues.iter().filter(may_serve).map(|queue| queue.apqn).collect();
        if unknown.is_empty() {
            return false;
        }
        let bound: Vec<_> = queues.iter().filter(|queue| queue.state.is_bound()).collect();
        let places = self.limit.saturating_sub(bound.len());
        if places > 0 {
            self.look_into(unknown.into_iter().take(places).collect());
            return true;
        }
        // No place is free. What this run has bound may go; what others have bound only for a plan that is worth it.
        let is_used = |apqn| plan.assignments.iter().flatten().any(|assignment| assignment.queue == apqn);
        let any_satisfied = plan.assignments.iter().any(Result::is_ok);
        let may_go = |queue: &&&Queue| {
            let own = self.probed.contains(&queue.apqn);
            !is_used(queue.apqn) && (own || any_satisfied && !rehearsal)
        };
        let unused: Vec<_> = bound.iter().filter(may_go).map(|queue| (queue.apqn, queue.mode)).collect();
        self.release(&unused, Some(Step::Release));
        !unused.is_empty()
    }

    fn look_into(&mut self, apqns: Vec<Apqn>) {
        for &apqn in &apqns {
            (self.watch)(Event::Step(Step::Probe(apqn)));
        }
        self.probed.extend(&apqns);
        let read = self.in_parallel(apqns.clone(), |operator, apqn| {
            operator.bind(apqn, Mode::Ep11)?;
            operator.bus().master_key(apqn)
        });
        for (apqn, read) in apqns.into_iter().zip(read) {
            match read {
                Ok(MasterKey::Valid(_) | MasterKey::None) => {}
                // It told nothing, and will not tell more the next time.
                Ok(MasterKey::Unknown) => self.barred.push(Barred::Queue(apqn)),
                Err(error) => {
                    let not_undone = self.undo(apqn);
                    self.fail(Step::Probe(apqn), error, not_undone);
                    self.barred.push(Barred::Queue(apqn));
                }
            }
        }
    }
}
