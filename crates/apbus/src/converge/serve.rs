//! Carrying out a plan.

use super::{Event, Executor, Failure, Step, Task, with_mode};
use crate::error::Change;
use crate::plan::{Assignment, Barred, Plan};
use crate::{Apqn, Entry, Error, MasterKey, Mode, Operator, Queue, State, Wanted};

/// What a queue shall do.
struct Job<'a> {
    entry: usize,
    wanted: &'a Wanted,
    assignment: &'a Assignment,
    mode: Mode,
    needs_bind: bool,
    /// Its driver may not be ready yet.
    just_unbound: bool,
}

impl Executor<'_> {
    /// First unbinds everything that is in the way (a place, or a secret on its card, may be needed by others), then
    /// binds and associates.
    pub(super) fn act(&mut self, task: Task<'_>, plan: &Plan, queues: &[Queue], steps: &[Step]) {
        let mode = |apqn| with_mode(apqn, queues).1;
        let is_release = |step: &&Step| matches!(step, Step::Release(_) | Step::Restore(_));
        steps.iter().filter(is_release).for_each(|step| (self.watch)(Event::Step(*step)));
        let unwanted = steps.iter().filter_map(|step| match step {
            Step::Release(apqn) | Step::Restore(apqn) => Some(with_mode(*apqn, queues)),
            _ => None,
        });
        self.release(&unwanted.collect::<Vec<_>>(), None);

        let open = plan.assignments.iter().zip(task.entries).enumerate();
        let open = open.filter_map(|(number, (planned, entry))| Some((number, entry, planned.as_ref().ok()?)));
        let jobs: Vec<_> = open
            .filter(|(_, _, assignment)| !assignment.kept && !self.barred.contains(&Barred::Queue(assignment.queue)))
            .map(|(entry, Entry { wanted, .. }, assignment)| Job {
                entry,
                wanted,
                assignment,
                mode: mode(assignment.queue),
                needs_bind: steps
                    .iter()
                    .any(|step| matches!(step, Step::Bind { apqn, .. } if *apqn == assignment.queue)),
                just_unbound: self.released.contains(&assignment.queue),
            })
            .collect();
        for step in steps.iter().filter(|step| matches!(step, Step::Bind { .. } | Step::Associate { .. })) {
            (self.watch)(Event::Step(*step));
        }
        let served: Vec<_> = jobs.iter().map(|job| (job.entry, job.assignment)).collect();
        let ends = self.in_parallel(jobs, |operator, job| serve(operator, &job));
        for ((entry, assignment), end) in served.into_iter().zip(ends) {
            self.probed.remove(&assignment.queue);
            self.released.remove(&assignment.queue);
            if let Some(end) = end {
                self.give_up(entry, assignment, end);
            }
        }
    }

    fn give_up(&mut self, entry: usize, assignment: &Assignment, end: Refused) {
        let apqn = assignment.queue;
        self.released.insert(apqn);
        let (step, barred) = match (end.associating, assignment.secret) {
            (true, Some(index)) => (Step::Associate { apqn, index, entry }, Barred::Secret(apqn, index)),
            _ => (Step::Bind { apqn, entry }, Barred::Queue(apqn)),
        };
        self.barred.push(barred);
        if end.not_undone.is_some() {
            self.barred.push(Barred::Queue(apqn));
        }
        self.fail(step, end.error, end.not_undone);
    }

    /// Unbinds queues, and says so if it has a name for that.
    pub(super) fn release(&mut self, queues: &[(Apqn, Mode)], step: Option<fn(Apqn) -> Step>) {
        for &(apqn, _) in queues {
            if let Some(step) = step {
                (self.watch)(Event::Step(step(apqn)));
            }
            self.probed.remove(&apqn);
            self.released.insert(apqn);
        }
        let ends = self.in_parallel(queues.to_vec(), |operator, (apqn, mode)| operator.unbind(apqn, mode).map(drop));
        for (&(apqn, _), end) in queues.iter().zip(ends) {
            if let Err(error) = end {
                self.barred.push(Barred::Queue(apqn));
                self.fail(step.unwrap_or(Step::Release)(apqn), error, None);
            }
        }
    }

    /// Unbinds a queue that could not be bound properly.
    pub(super) fn undo(&mut self, apqn: Apqn) -> Option<Error> {
        self.probed.remove(&apqn);
        self.released.insert(apqn);
        self.in_parallel(vec![apqn], |operator, apqn| undo(operator, apqn, Mode::Ep11)).pop().flatten()
    }

    pub(super) fn fail(&mut self, step: Step, error: Error, not_undone: Option<Error>) {
        let failure = Failure { step, error, not_undone };
        (self.watch)(Event::Failed(&failure));
        self.failures.push(failure);
    }
}

/// How far it came.
struct Refused {
    error: Error,
    associating: bool,
    not_undone: Option<Error>,
}

/// Makes a queue what its entry wants, or unbinds it and says why.
fn serve(operator: &Operator<'_>, job: &Job<'_>) -> Option<Refused> {
    let apqn = job.assignment.queue;
    let mut associating = false;
    let result = prepare(operator, job).and_then(|()| match job.assignment.secret {
        Some(index) => {
            associating = true;
            operator.associate(apqn, index)
        }
        None => Ok(()),
    });
    result.err().map(|error| Refused { error, associating, not_undone: undo(operator, apqn, job.mode) })
}

/// Binds a queue. While it was not bound it may have become another one, so it is asked again.
fn prepare(operator: &Operator<'_>, job: &Job<'_>) -> Result<(), Error> {
    let apqn = job.assignment.queue;
    if !job.needs_bind {
        return Ok(());
    }
    if job.just_unbound {
        operator.rebind(apqn, job.mode)?;
    } else {
        operator.bind(apqn, job.mode)?;
    }
    let Wanted::Ep11 { mkvp, serialnr, .. } = job.wanted else { return Ok(()) };
    let changed = |what| Err(Error::Changed { apqn, what });
    if operator.bus().master_key(apqn)? != MasterKey::Valid(*mkvp) {
        return changed(Change::MasterKey { planned: *mkvp });
    }
    match serialnr {
        Some(planned) if operator.bus().serial_number(apqn.card)?.as_ref() != Some(planned) => {
            changed(Change::SerialNumber { planned: planned.clone() })
        }
        _ => Ok(()),
    }
}

/// Unbinds a queue after a failure, if it is bound. Gives why that did not work.
fn undo(operator: &Operator<'_>, apqn: Apqn, mode: Mode) -> Option<Error> {
    match operator.bus().state(apqn, mode) {
        Ok(State::Unbound | State::Gone | State::Illicit | State::Offline) => None,
        Err(error) if error.is_gone() => None,
        Ok(_) | Err(_) => operator.unbind(apqn, mode).err(),
    }
}
