//! From what is there to what is wanted: look, plan, act, and look again, until nothing is left to do.
//!
//! ```text
//! inventory ─ settle ─ probe ─┬─ plan ─ unbind what nobody wants ─ bind and associate ─┐
//!                             └──────────────── look again ←───────────────────────────┘
//! ```
//!
//! Nothing is remembered between two runs, so a run that was killed is simply done again. What did not work in this
//! run is barred, and the planner looks for something else.

mod parallel;
mod probe;
mod report;
mod serve;

pub use report::{Event, Failure, Report, Step};

use crate::inventory::Note;
use crate::plan::{Action, Barred, Plan, Problem, plan, unbind_all};
use crate::{
    Apqn, AssociationSecret, Bus, Clock, Entry, Error, MAX_QUEUES, MasterKey, Mode, Queue, SerialNumber, State, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};

/// A plan is carried out at once; another one is needed only when something failed or changed meanwhile.
const MOST_ROUNDS: usize = 16;

/// What is to be had.
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
    barred: Vec<Barred>,
    failures: Vec<Failure>,
    noted: BTreeSet<String>,
    limit: usize,
    /// Queues of which a rehearsal cannot tell what a run would see.
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
            barred: Vec::new(),
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
    pub fn rehearse(mut self, task: Task<'_>) -> Result<Report, Error> {
        let mut queues = self.prepare(task, true)?;
        let plan = self.plan(task, &queues);
        self.announce_kept(&plan, &queues);
        for step in self.steps(&plan) {
            (self.watch)(Event::Step(step));
        }
        // A run that can do nothing for any entry undoes its looking, too.
        self.restore(&mut queues, plan.assignments.iter().all(Result::is_err));
        Ok(self.report(plan, queues, true))
    }

    /// Unbinds every bound queue; with `rehearsal`, only says which.
    ///
    /// # Errors
    /// [`Error::Read`] of the bus.
    pub fn unbind_all(mut self, rehearsal: bool) -> Result<Report, Error> {
        const NOTHING: Task<'_> = Task { entries: &[], secrets: &[] };
        let mut queues = self.look(NOTHING)?;
        let mut bound: Vec<_> =
            unbind_all(&queues).into_iter().map(|action| with_mode(action.queue(), &queues)).collect();
        bound.extend(&self.offline);
        if rehearsal {
            bound.iter().for_each(|&(apqn, _)| (self.watch)(Event::Step(Step::Release(apqn))));
        } else {
            self.release(&bound, Some(Step::Release));
            queues = self.look(NOTHING)?;
        }
        let plan = self.plan(NOTHING, &queues);
        Ok(self.report(plan, queues, rehearsal))
    }

    fn prepare(&mut self, task: Task<'_>, rehearsal: bool) -> Result<Vec<Queue>, Error> {
        let prepared = self.look_closely(task, rehearsal);
        if prepared.is_err() {
            self.restore(&mut [], true);
        }
        prepared
    }

    fn carry_out(mut self, task: Task<'_>, mut queues: Vec<Queue>) -> Result<Report, Error> {
        let mut plan = self.plan(task, &queues);
        self.announce_kept(&plan, &queues);
        for _ in 0..MOST_ROUNDS {
            let actions = self.steps(&plan);
            if actions.is_empty() {
                break;
            }
            let failures = self.failures.len();
            self.act(task, &plan, &queues, &actions);
            if self.failures.len() == failures {
                // Each step has seen that it came true.
                actions.iter().for_each(|step| step.take_effect(&mut queues));
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
        plan(&Problem { entries, queues, secrets, limit: self.limit, barred: &self.barred })
    }

    /// What is to be done, in this order. What failed once is not done again.
    fn steps(&self, plan: &Plan) -> Vec<Step> {
        let of_entry = |apqn| plan.entry_of(apqn).unwrap_or_default();
        let step = |action| match action {
            Action::Unbind(apqn) if self.barred.contains(&Barred::Queue(apqn)) => None,
            Action::Unbind(apqn) if self.probed.contains(&apqn) => Some(Step::Restore(apqn)),
            Action::Unbind(apqn) => Some(Step::Release(apqn)),
            Action::Bind(apqn) => Some(Step::Bind { apqn, entry: of_entry(apqn) }),
            Action::Associate(apqn, index) => Some(Step::Associate { apqn, index, entry: of_entry(apqn) }),
        };
        plan.actions.iter().copied().filter_map(step).collect()
    }

    fn report(mut self, plan: Plan, queues: Vec<Queue>, rehearsal: bool) -> Report {
        if !plan.exact {
            self.note(&Note::NotExact);
        }
        Report {
            plan,
            queues,
            failures: self.failures,
            rehearsal,
            unseen: self.unseen.len(),
            unreadable: self.unreadable,
        }
    }

    fn announce_kept(&mut self, plan: &Plan, queues: &[Queue]) {
        for (entry, assignment) in plan.assignments.iter().enumerate() {
            let Some(kept) = assignment.as_ref().ok().filter(|assignment| assignment.kept) else { continue };
            let (apqn, mode) = with_mode(kept.queue, queues);
            (self.watch)(Event::Step(Step::Keep { apqn, mode, entry }));
        }
    }

    /// Unbinds again what this run has bound only to look at it, and has no use for.
    fn restore(&mut self, queues: &mut [Queue], announced: bool) {
        let probed: Vec<_> = std::mem::take(&mut self.probed).into_iter().map(|apqn| (apqn, Mode::Ep11)).collect();
        self.release(&probed, announced.then_some(Step::Restore));
        let undone = probed.iter().filter(|(apqn, _)| !self.barred.contains(&Barred::Queue(*apqn)));
        undone.for_each(|(apqn, _)| Step::Restore(*apqn).take_effect(queues));
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

fn with_mode(apqn: Apqn, queues: &[Queue]) -> (Apqn, Mode) {
    (apqn, queues.iter().find(|queue| queue.apqn == apqn).map_or(Mode::Ep11, |queue| queue.mode))
}
