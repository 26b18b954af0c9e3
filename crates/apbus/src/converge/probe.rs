//! Finding out what unbound queues do not tell.

use super::{Executor, Task};
use crate::inventory::Note;
use crate::plan::{Excluded, Step, doubled_master_keys};
use crate::{Apqn, Error, MasterKey, Mode, Queue, State, Wanted};

impl Executor<'_> {
    /// Reads all queues, and what it takes some time to know of them.
    pub(super) fn look_closely(&mut self, task: Task<'_>, dry_run: bool) -> Result<Vec<Queue>, Error> {
        let mut queues = self.look(task)?;
        if self.settle(task, &queues) {
            queues = self.look(task)?;
        }
        if self.mend(task, &queues, dry_run) {
            queues = self.look(task)?;
        }
        loop {
            if let Some(&(first, second, mkvp)) = doubled_master_keys(&queues).first() {
                return Err(Error::DoubledMasterKey { first, second, mkvp });
            }
            if !self.probe(task, &mut queues, dry_run)? {
                return Ok(queues);
            }
        }
    }

    /// Waits for associations that somebody began and that may turn out to be what an entry wants. Gives whether
    /// there were any.
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

    /// Unbinds queues in error, which ends that, if entries are open that they may serve. Gives whether there were any.
    fn mend(&mut self, task: Task<'_>, queues: &[Queue], dry_run: bool) -> bool {
        let plan = self.plan(task, queues);
        let is_open = |mode| {
            let mut open = task.entries.iter().zip(&plan.assignments).filter(|(_, planned)| planned.is_err());
            open.any(|(entry, _)| (entry.wanted == Wanted::Accelerator) == (mode == Mode::Accelerator))
        };
        let broken = queues.iter().filter(|queue| queue.state == State::Broken && is_open(queue.mode));
        let broken: Vec<_> = broken.map(|queue| (queue.apqn, queue.mode)).collect();
        if dry_run {
            for (apqn, _) in broken {
                self.note(&Note::NotMended(apqn));
                self.unseen.insert(apqn);
            }
            return false;
        }
        let steps: Vec<_> = broken.into_iter().map(|(apqn, mode)| (Step::Unbind(apqn), mode)).collect();
        self.announce(steps.iter().map(|(step, _)| *step));
        self.unbind(&steps);
        !steps.is_empty()
    }

    /// Binds queues whose master key may be one that an entry wants. Gives whether anything was done.
    ///
    /// Every candidate is probed before anything is changed, even when known queues suffice: otherwise the plan would
    /// depend on an earlier, killed run. If not all can be bound at a time, probing goes on only as long as entries are
    /// open.
    fn probe(&mut self, task: Task<'_>, queues: &mut Vec<Queue>, dry_run: bool) -> Result<bool, Error> {
        let plan = self.plan(task, queues);
        let is_first = self.probed.is_empty();
        let open = task.entries.iter().zip(&plan.assignments).filter(|(entry, planned)| {
            let has_secret = match &entry.wanted {
                Wanted::Ep11 { secret, .. } => task.secrets.iter().any(|known| known.id == *secret),
                Wanted::Accelerator => false,
            };
            has_secret && planned.as_ref().map_or(true, |assignment| is_first && !assignment.kept)
        });
        let open: Vec<_> = open.map(|(entry, _)| entry.mingen).collect();
        let may_serve = |queue: &&Queue| {
            queue.mode == Mode::Ep11
                && queue.state == State::Unbound
                && queue.master_key == MasterKey::Unknown
                && !self.excluded.contains(&Excluded::Queue(queue.apqn))
                && open.iter().any(|mingen| mingen.is_none_or(|mingen| mingen <= queue.generation))
        };
        let unknown: Vec<_> = queues.iter().filter(may_serve).map(|queue| queue.apqn).collect();
        if unknown.is_empty() {
            return Ok(false);
        }
        let takes_place = |queue: &&Queue| queue.state.is_bound() || queue.state == State::Broken;
        let bound: Vec<_> = queues.iter().filter(takes_place).collect();
        let places = self.limit.saturating_sub(bound.len());
        if places > 0 {
            self.look_into(task, unknown.into_iter().take(places).collect(), queues)?;
            return Ok(true);
        }
        // No place is free. What this run has bound may go; what others have bound only for a plan that is worth it.
        let is_used = |apqn| plan.assignments.iter().flatten().any(|assignment| assignment.queue == apqn);
        let any_satisfied = plan.assignments.iter().any(Result::is_ok);
        let may_go = |queue: &&&Queue| {
            let own = self.probed.contains(&queue.apqn);
            !is_used(queue.apqn) && (own || any_satisfied && !dry_run)
        };
        let unused: Vec<_> = bound.iter().filter(may_go).map(|queue| (queue.apqn, queue.mode)).collect();
        if unused.is_empty() {
            let later = dry_run && any_satisfied;
            if later {
                self.unseen.extend(&unknown);
            }
            self.note(&Note::NotLookedAt { queues: unknown, later });
            return Ok(false);
        }
        let step = |(apqn, mode)| match self.probed.contains(&apqn) {
            true => (Step::Restore(apqn), mode),
            false => (Step::Unbind(apqn), mode),
        };
        let mut steps: Vec<_> = unused.into_iter().map(step).collect();
        steps.sort_by_cached_key(|(step, _)| usize::from(!matches!(step, Step::Restore(_))));
        self.announce(steps.iter().map(|(step, _)| *step));
        self.unbind(&steps);
        *queues = self.look(task)?;
        Ok(true)
    }

    /// Binds queues and reads what they tell then.
    fn look_into(&mut self, task: Task<'_>, apqns: Vec<Apqn>, queues: &mut Vec<Queue>) -> Result<(), Error> {
        self.announce(apqns.iter().copied().map(Step::Probe));
        self.probed.extend(&apqns);
        let told = self.in_parallel(apqns.clone(), |operator, apqn| {
            operator.bind(apqn, Mode::Ep11)?;
            Ok((operator.bus().master_key(apqn)?, operator.bus().serial_number(apqn.card)?))
        });
        let mut is_plain = true;
        for (apqn, told) in apqns.into_iter().zip(told) {
            match told {
                Ok((master_key, serialnr)) => {
                    match master_key {
                        MasterKey::Valid(_) => {}
                        MasterKey::None => self.note(&Note::NoMasterKey(apqn)),
                        MasterKey::Unknown => {
                            self.note(&Note::NoInformation(apqn, None));
                            // It will not tell more the next time.
                            self.excluded.push(Excluded::Queue(apqn));
                        }
                    }
                    self.known.insert(apqn, (master_key, serialnr.clone()));
                    if let Some(queue) = queues.iter_mut().find(|queue| queue.apqn == apqn) {
                        (queue.state, queue.master_key, queue.serialnr) = (State::Bound, master_key, serialnr);
                    }
                }
                Err(error) => {
                    is_plain = false;
                    let not_undone = self.undo(apqn);
                    self.fail(Step::Probe(apqn), error, not_undone);
                    self.excluded.push(Excluded::Queue(apqn));
                }
            }
        }
        if !is_plain {
            *queues = self.look(task)?;
        }
        Ok(())
    }
}
