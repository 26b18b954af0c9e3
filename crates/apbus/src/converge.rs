//! From what is there to what is wanted: look, plan, act, and look again, until nothing is left to do.
//!
//! ```text
//! inventory ─ settle ─ probe ─┬─ plan ─ unbind what nobody wants ─ bind and associate ─┐
//!                             └──────────────── look again ←───────────────────────────┘
//! ```
//!
//! Nothing is remembered between two runs, so a run that was killed is simply done again. What did not work in this
//! run is excluded, and the planner looks for something else.

mod parallel;
mod probe;
mod report;
mod serve;

pub use report::{Event, Failure, Report};

use crate::inventory::Note;
use crate::plan::{Excluded, Plan, Problem, Step, plan, unbind_all};
use crate::{
    Apqn, AssociationSecret, Bus, Clock, Entry, Error, MAX_QUEUES, MasterKey, Mode, Queue, SerialNumber, State, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};

/// A plan is carried out at once; another one is needed only when something failed or changed meanwhile.
const MOST_ROUNDS: usize = 16;

/// Task of an [`Executor`]: the entries to serve, and the secrets to serve them with.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The entries of the configuration file.
    pub entries: &'a [Entry],
    /// The association secrets that the ultravisor has.
    pub secrets: &'a [AssociationSecret],
}

/// Carries out tasks. Tells `watch`, on the thread of the caller, what it does.
pub struct Executor<'a> {
    bus: &'a Bus,
    clock: &'a dyn Clock,
    watch: &'a mut dyn FnMut(Event<'_>),
    /// What bound queues told before they were unbound again.
    known: BTreeMap<Apqn, (MasterKey, Option<SerialNumber>)>,
    /// Bound by this run to be looked at.
    probed: BTreeSet<Apqn>,
    /// Unbound by this run: their drivers may not be ready yet.
    released: BTreeSet<Apqn>,
    excluded: Vec<Excluded>,
    failures: Vec<Failure>,
    noted: BTreeSet<String>,
    limit: usize,
    /// Queues of which a dry run cannot tell what a run would see.
    unseen: BTreeSet<Apqn>,
    /// Cards and queues that could not be read at the last look.
    unreadable: usize,
    /// Bound, but offline at the last look.
    offline: Vec<(Apqn, Mode)>,
}

impl<'a> Executor<'a> {
    /// An executor on `bus`.
    pub fn new(bus: &'a Bus, clock: &'a dyn Clock, watch: &'a mut dyn FnMut(Event<'_>)) -> Self {
        Self {
            bus,
            clock,
            watch,
            known: BTreeMap::new(),
            probed: BTreeSet::new(),
            released: BTreeSet::new(),
            excluded: Vec::new(),
            failures: Vec::new(),
            noted: BTreeSet::new(),
            limit: MAX_QUEUES,
            unseen: BTreeSet::new(),
            unreadable: 0,
            offline: Vec::new(),
        }
    }

    /// Does what `task` needs. What fails is undone and reported; the rest goes on.
    ///
    /// # Errors
    /// [`Error::DoubledMasterKey`], [`Error::Read`] of the bus. Nothing but probing was done then, and that is undone.
    pub fn apply(mut self, task: Task<'_>) -> Result<Report, Error> {
        let queues = self.prepare(task, false)?;
        self.carry_out(task, queues)
    }

    /// Finds out what [`Executor::apply`] would do. Queues whose master key must be known are bound for that, and
    /// unbound again.
    ///
    /// # Errors
    /// As [`Executor::apply`].
    pub fn dry_run(mut self, task: Task<'_>) -> Result<Report, Error> {
        let mut queues = self.prepare(task, true)?;
        let plan = self.plan(task, &queues);
        self.announce_kept(&plan, &queues);
        let steps = self.steps(&plan);
        self.announce(steps);
        // A run that can do nothing for any entry undoes its looking, too.
        self.restore(&mut queues, plan.assignments.iter().all(Result::is_err));
        Ok(self.report(plan, queues, true))
    }

    /// Unbinds every bound queue; with `dry_run`, only says which.
    ///
    /// # Errors
    /// [`Error::Read`] of the bus.
    pub fn unbind_all(mut self, dry_run: bool) -> Result<Report, Error> {
        const NOTHING: Task<'_> = Task { entries: &[], secrets: &[] };
        let mut queues = self.look(NOTHING)?;
        let mut steps: Vec<_> =
            unbind_all(&queues).into_iter().map(|step| (step, mode_of(step.queue(), &queues))).collect();
        steps.extend(self.offline.iter().map(|(apqn, mode)| (Step::Unbind(*apqn), *mode)));
        self.announce(steps.iter().map(|(step, _)| *step));
        if !dry_run {
            self.unbind(&steps);
            queues = self.look(NOTHING)?;
        }
        let plan = self.plan(NOTHING, &queues);
        Ok(self.report(plan, queues, dry_run))
    }

    fn prepare(&mut self, task: Task<'_>, dry_run: bool) -> Result<Vec<Queue>, Error> {
        let prepared = self.look_closely(task, dry_run);
        if prepared.is_err() {
            self.restore(&mut [], true);
        }
        prepared
    }

    fn carry_out(mut self, task: Task<'_>, mut queues: Vec<Queue>) -> Result<Report, Error> {
        let mut plan = self.plan(task, &queues);
        self.announce_kept(&plan, &queues);
        for _ in 0..MOST_ROUNDS {
            let steps = self.steps(&plan);
            if steps.is_empty() {
                break;
            }
            let failures = self.failures.len();
            self.act(task, &queues, &steps);
            if self.failures.len() == failures {
                // Each step has seen that it came true.
                steps.iter().for_each(|step| report::take_effect(*step, &mut queues));
            } else {
                queues = self.look(task)?;
            }
            plan = self.plan(task, &queues);
        }
        self.restore(&mut queues, true);
        Ok(self.report(plan, queues, false))
    }

    /// Reads all queues, and adds what is known of those that do not tell it now.
    fn look(&mut self, task: Task<'_>) -> Result<Vec<Queue>, Error> {
        let inventory = self.bus.inventory()?;
        inventory.notes.iter().for_each(|note| self.note(note));
        self.limit = MAX_QUEUES.saturating_sub(inventory.out_of_reach());
        self.unreadable = inventory.unreadable;
        self.offline = inventory.offline;
        let mut queues = inventory.queues;
        for queue in &mut queues {
            if queue.state.is_bound() && queue.master_key != MasterKey::Unknown {
                self.known.insert(queue.apqn, (queue.master_key, queue.serialnr.clone()));
            } else if let Some((master_key, serialnr)) = self.known.get(&queue.apqn) {
                queue.master_key = *master_key;
                queue.serialnr = queue.serialnr.take().or_else(|| serialnr.clone());
            }
            trust(queue, task);
        }
        Ok(queues)
    }

    /// Tells it once.
    fn note(&mut self, note: &Note) {
        if self.noted.insert(note.to_string()) {
            (self.watch)(Event::Note(note));
        }
    }

    fn plan(&self, task: Task<'_>, queues: &[Queue]) -> Plan {
        let Task { entries, secrets } = task;
        plan(&Problem { entries, queues, secrets, limit: self.limit, excluded: &self.excluded })
    }

    /// What is to be done, in this order. What failed once is not done again.
    fn steps(&self, plan: &Plan) -> Vec<Step> {
        let step = |step| match step {
            Step::Unbind(apqn) if self.excluded.contains(&Excluded::Queue(apqn)) => None,
            Step::Unbind(apqn) if self.probed.contains(&apqn) => Some(Step::Restore(apqn)),
            step => Some(step),
        };
        plan.steps.iter().copied().filter_map(step).collect()
    }

    fn report(mut self, plan: Plan, queues: Vec<Queue>, dry_run: bool) -> Report {
        if !plan.exact {
            self.note(&Note::NotExact);
        }
        Report {
            plan,
            queues,
            failures: self.failures,
            dry_run,
            unseen: self.unseen.len(),
            unreadable: self.unreadable,
        }
    }

    fn announce_kept(&mut self, plan: &Plan, queues: &[Queue]) {
        for (entry, assignment) in plan.assignments.iter().enumerate() {
            let Some(kept) = assignment.as_ref().ok().filter(|assignment| assignment.kept) else { continue };
            let (apqn, mode) = (kept.queue, mode_of(kept.queue, queues));
            self.announce([Step::Keep { apqn, mode, entry }]);
        }
    }

    /// Unbinds again what this run has bound only to look at it, and has no use for.
    fn restore(&mut self, queues: &mut [Queue], announced: bool) {
        let probed = std::mem::take(&mut self.probed);
        let steps: Vec<_> = probed.into_iter().map(|apqn| (Step::Restore(apqn), Mode::Ep11)).collect();
        if announced {
            self.announce(steps.iter().map(|(step, _)| *step));
        }
        self.unbind(&steps);
        let undone = steps.iter().filter(|(step, _)| !self.excluded.contains(&Excluded::Queue(step.queue())));
        undone.for_each(|(step, _)| report::take_effect(*step, queues));
    }

    fn announce(&mut self, steps: impl IntoIterator<Item = Step>) {
        steps.into_iter().for_each(|step| (self.watch)(Event::Step(step)));
    }
}

/// What an associated queue does not tell now was right when it was associated: an error of a read must not take down
/// what works.
fn trust(queue: &mut Queue, task: Task<'_>) {
    let State::Associated(index) = queue.state else { return };
    let Some(known) = task.secrets.iter().find(|secret| secret.index == index) else { return };
    for entry in task.entries {
        let Wanted::Ep11 { mkvp, serialnr, secret } = &entry.wanted else { continue };
        let fits = queue.master_key == MasterKey::Unknown || queue.master_key == MasterKey::Valid(*mkvp);
        if *secret == known.id && fits {
            queue.master_key = MasterKey::Valid(*mkvp);
            queue.serialnr = queue.serialnr.take().or_else(|| serialnr.clone());
        }
    }
}

fn mode_of(apqn: Apqn, queues: &[Queue]) -> Mode {
    queues.iter().find(|queue| queue.apqn == apqn).map_or(Mode::Ep11, |queue| queue.mode)
}
