//! Carrying out steps.

use super::{Event, Executor, Failure, Task, mode_of};
use crate::error::Change;
use crate::plan::{Excluded, Step};
use crate::{Apqn, Entry, Error, MasterKey, Mode, Operator, Queue, State, Wanted};

/// The steps of one queue for its entry.
struct Job<'a> {
    apqn: Apqn,
    entry: usize,
    wanted: &'a Wanted,
    mode: Mode,
    is_bind: bool,
    /// The index of the secret it is associated with.
    associate: Option<u16>,
    /// Its driver may not be ready yet.
    just_unbound: bool,
}

impl Executor<'_> {
    /// First unbinds everything that is in the way (a place, or a secret on its card, may be needed by others), then
    /// binds and associates. What could not be unbound gets no further steps.
    pub(super) fn act(&mut self, task: Task<'_>, queues: &[Queue], steps: &[Step]) {
        let unbind = steps.iter().filter(|step| step.is_unbind()).map(|step| (*step, mode_of(step.queue(), queues)));
        let unbind: Vec<_> = unbind.collect();
        self.announce(unbind.iter().map(|(step, _)| *step));
        self.unbind(&unbind);

        let is_next = |step: &&Step| !step.is_unbind() && !self.excluded.contains(&Excluded::Queue(step.queue()));
        let steps: Vec<_> = steps.iter().filter(is_next).copied().collect();
        let jobs = self.jobs(task, queues, &steps);
        self.announce(steps);
        let served: Vec<_> = jobs.iter().map(|job| (job.apqn, job.entry)).collect();
        let ends = self.in_parallel(jobs, |operator, job| serve(operator, &job));
        for ((apqn, entry), end) in served.into_iter().zip(ends) {
            self.probed.remove(&apqn);
            self.released.remove(&apqn);
            if let Some(end) = end {
                self.give_up(apqn, entry, end);
            }
        }
    }

    /// The steps by queue; those of a queue follow each other.
    fn jobs<'a>(&self, task: Task<'a>, queues: &[Queue], steps: &[Step]) -> Vec<Job<'a>> {
        let mut jobs: Vec<Job<'a>> = Vec::new();
        for step in steps {
            let (apqn, entry, associate) = match *step {
                Step::Bind { apqn, entry } => (apqn, entry, None),
                Step::Associate { apqn, index, entry } => (apqn, entry, Some(index)),
                Step::Keep { .. } | Step::Probe(_) | Step::Unbind(_) | Step::Restore(_) => continue,
            };
            let Some(Entry { wanted, .. }) = task.entries.get(entry) else { continue };
            match jobs.last_mut().filter(|job| job.apqn == apqn) {
                Some(job) => job.associate = associate,
                None => jobs.push(Job {
                    apqn,
                    entry,
                    wanted,
                    mode: mode_of(apqn, queues),
                    is_bind: associate.is_none(),
                    associate,
                    just_unbound: self.released.contains(&apqn),
                }),
            }
        }
        jobs
    }

    fn give_up(&mut self, apqn: Apqn, entry: usize, end: Refused) {
        self.released.insert(apqn);
        let (step, excluded) = match end.associating {
            Some(index) => (Step::Associate { apqn, index, entry }, Excluded::Secret(apqn, index)),
            None => (Step::Bind { apqn, entry }, Excluded::Queue(apqn)),
        };
        self.excluded.push(excluded);
        if end.not_undone.is_some() {
            self.excluded.push(Excluded::Queue(apqn));
        }
        self.fail(step, end.error, end.not_undone);
    }

    /// Unbinds queues.
    pub(super) fn unbind(&mut self, steps: &[(Step, Mode)]) {
        for (step, _) in steps {
            self.probed.remove(&step.queue());
            self.released.insert(step.queue());
        }
        let ends = self.in_parallel(steps.to_vec(), |operator, (step, mode)| operator.unbind(step.queue(), mode));
        for (&(step, _), end) in steps.iter().zip(ends) {
            if let Err(error) = end {
                self.excluded.push(Excluded::Queue(step.queue()));
                self.fail(step, error, None);
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
    /// The index of the secret, if it is the association that did not work.
    associating: Option<u16>,
    not_undone: Option<Error>,
}

/// Makes a queue what its entry wants, or unbinds it and says why.
fn serve(operator: &Operator<'_>, job: &Job<'_>) -> Option<Refused> {
    let mut associating = None;
    let result = prepare(operator, job).and_then(|()| {
        associating = job.associate;
        job.associate.map_or(Ok(()), |index| operator.associate(job.apqn, index))
    });
    result.err().map(|error| Refused { error, associating, not_undone: undo(operator, job.apqn, job.mode) })
}

/// Binds a queue. While it was not bound it may have become another one, so it is asked again.
fn prepare(operator: &Operator<'_>, job: &Job<'_>) -> Result<(), Error> {
    let apqn = job.apqn;
    if !job.is_bind {
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
