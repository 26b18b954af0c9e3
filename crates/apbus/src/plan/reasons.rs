//! Why an entry has no queue, and a queue no entry.

use super::Assignment;
use super::fit::{Instance, Requirement, RequirementKey, requirement_key};
use crate::{Apqn, Entry, Generation, MasterKey, Mkvp, Mode, Queue, SerialNumber, State, Wanted};
use std::collections::{HashMap, HashSet};
use std::fmt;
use uvtypes::SecretId;

/// How many queues a reason names at most.
const MOST_NAMED: usize = 8;

/// Reason why an entry has no queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryUnserved {
    /// The ultravisor has no association secret with the id.
    NoSecret,
    /// There is no queue of the kind.
    NoQueue(Mode),
    /// There are EP11 queues, but none has the master key.
    NoMasterKey {
        /// The EP11 queues that exist, or the first few, with their master keys.
        seen: Vec<(Apqn, MasterKey)>,
        /// Number of further queues that are not listed.
        more: usize,
    },
    /// There are such queues, but none can be had.
    Obstacles {
        /// Mode that the entry asks for.
        mode: Mode,
        /// Those there are, or the first of them, with what is in the way. Those that would fit come first.
        queues: Vec<(Apqn, UnusableReason)>,
        /// Number of further queues that are not listed.
        more: usize,
    },
    /// A queue that fits is free, but as many as may be bound, this many, are in use.
    Limit(usize),
}

/// Reason why a queue does not serve an entry that asks for its kind and master key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnusableReason {
    /// The hypervisor does not let this guest use the queue.
    Illicit,
    /// The host has taken the queue away.
    Gone,
    /// The queue is offline.
    Offline,
    /// The queue could not be bound.
    NotBindable,
    /// The queue could not be associated with the secret.
    NotAssociable,
    /// The queue is on another card than the one wanted: on the one with this serial number, if that is known.
    OtherCard(Option<SerialNumber>),
    /// The card is only of this generation.
    TooOld(Generation),
    /// The ultravisor does not have the secret.
    NoSecret,
    /// The queue serves the entry of this index, counted from 0.
    Serves(usize),
    /// Another queue of the same card, given here, uses the master key.
    MasterKeyUsed(Apqn),
    /// Another queue of the same card, given here, uses the secret.
    SecretUsed(Apqn),
    /// As many queues as may be bound, this many, are in use.
    Limit(usize),
    /// Nothing that the planner knows: it could not look at all possibilities.
    NotFound,
}

/// Reason why a queue serves no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueUnused {
    /// CCA queues cannot be used with Secure Execution.
    Cca,
    /// The hypervisor does not let this guest use the queue.
    Illicit,
    /// The host has taken the queue away.
    Gone,
    /// The queue is offline.
    Offline,
    /// The queue could not be bound.
    NotBindable,
    /// The master key is not known: it was not needed, or could not be read.
    MasterKeyUnknown,
    /// The queue has no master key.
    NoMasterKey,
    /// No entry asks for an accelerator.
    NoAcceleratorAsked,
    /// No entry asks for this master key, the queue's.
    MasterKeyNotAsked(Mkvp),
    /// The entry of this index asks for it and has another queue.
    Served(usize, Apqn),
    /// The entry of this index asks for it, has none, and cannot have this one.
    Unfit(usize, UnusableReason),
}

/// What is in use.
struct Use {
    limit: usize,
    count: usize,
    entry_of: HashMap<Apqn, usize>,
    secrets: HashMap<(u8, SecretId), Apqn>,
    master_keys: HashMap<(u8, Mkvp), Apqn>,
}

type Explained = (Vec<Result<Assignment, EntryUnserved>>, Vec<(Apqn, QueueUnused)>);

/// Adds the reasons.
pub(super) fn explain(instance: &Instance<'_>, assignments: &[Option<Assignment>]) -> Explained {
    let in_use = Use::new(instance, assignments);
    let mut of_requirement: HashMap<RequirementKey<'_>, EntryUnserved> = HashMap::new();
    let explained = instance.entries.iter().zip(assignments).map(|(entry, assignment)| {
        assignment.ok_or_else(|| {
            let known = of_requirement.entry(requirement_key(entry));
            known.or_insert_with(|| entry_unserved(instance, &in_use, entry)).clone()
        })
    });
    let explained = explained.collect();
    let applicants = Applicants::new(instance, assignments);
    let is_unused = |(_, queue): &(usize, &&Queue)| !in_use.entry_of.contains_key(&queue.apqn);
    let unused = instance.queues().iter().enumerate().filter(is_unused);
    let reasons = unused.map(|(number, queue)| (queue.apqn, queue_unused(instance, &in_use, &applicants, number)));
    (explained, reasons.collect())
}

fn entry_unserved(instance: &Instance<'_>, in_use: &Use, entry: &Entry) -> EntryUnserved {
    let mode = match &entry.wanted {
        Wanted::Accelerator => Mode::Accelerator,
        Wanted::Ep11 { secret, .. } if instance.indices(secret).is_empty() => return EntryUnserved::NoSecret,
        Wanted::Ep11 { .. } => Mode::Ep11,
    };
    let same_kind = instance.of_kind(&entry.wanted);
    if same_kind.is_empty() {
        let of_mode = || instance.queues().iter().filter(|queue| queue.mode == mode);
        return match of_mode().count() {
            0 => EntryUnserved::NoQueue(mode),
            count => EntryUnserved::NoMasterKey {
                seen: of_mode().take(MOST_NAMED).map(|queue| (queue.apqn, queue.master_key)).collect(),
                more: count.saturating_sub(MOST_NAMED),
            },
        };
    }
    let (mut fitting, mut others) = (Vec::new(), Vec::new());
    let requirement = instance.requirement(entry);
    for number in same_kind {
        let queue = instance.queue(*number);
        match instance.fit(&requirement, *number) {
            Ok(_) => match in_use.obstacle(entry, queue) {
                UnusableReason::Limit(limit) => return EntryUnserved::Limit(limit),
                obstacle if fitting.len() < MOST_NAMED => fitting.push((queue.apqn, obstacle)),
                _ => {}
            },
            Err(misfit) if others.len() < MOST_NAMED => others.push((queue.apqn, misfit.obstacle(queue))),
            Err(_) => {}
        }
    }
    fitting.extend(others);
    fitting.truncate(MOST_NAMED);
    let more = same_kind.len() - fitting.len();
    EntryUnserved::Obstacles { mode, queues: fitting, more }
}

#[expect(clippy::indexing_slicing, reason = "applicants are entries of the instance")]
fn queue_unused(instance: &Instance<'_>, in_use: &Use, applicants: &Applicants<'_>, number: usize) -> QueueUnused {
    let queue = instance.queue(number);
    match (queue.mode, queue.state) {
        (Mode::Cca, _) => return QueueUnused::Cca,
        (_, State::Illicit) => return QueueUnused::Illicit,
        (_, State::Gone) => return QueueUnused::Gone,
        (_, State::Offline) => return QueueUnused::Offline,
        _ if instance.is_excluded(queue.apqn) => return QueueUnused::NotBindable,
        _ => {}
    }
    let (entries, nobody) = match (queue.mode, queue.master_key) {
        (Mode::Accelerator, _) => (Some(&applicants.accelerator), QueueUnused::NoAcceleratorAsked),
        (_, MasterKey::Unknown) => return QueueUnused::MasterKeyUnknown,
        (_, MasterKey::None) => return QueueUnused::NoMasterKey,
        (_, MasterKey::Valid(mkvp)) => (applicants.master_key.get(&mkvp), QueueUnused::MasterKeyNotAsked(mkvp)),
    };
    let mut reason = nobody;
    for Applicant { entry, requirement, assigned } in entries.into_iter().flatten() {
        match (instance.fit(requirement, number), assigned) {
            (Ok(_), None) => return QueueUnused::Unfit(*entry, in_use.obstacle(&instance.entries[*entry], queue)),
            (Ok(_), Some(other)) if !matches!(reason, QueueUnused::Served(..)) => {
                reason = QueueUnused::Served(*entry, *other);
            }
            (Err(misfit), _)
                if matches!(reason, QueueUnused::NoAcceleratorAsked | QueueUnused::MasterKeyNotAsked(_)) =>
            {
                reason = QueueUnused::Unfit(*entry, misfit.obstacle(queue));
            }
            _ => {}
        }
    }
    reason
}

/// The entries by what they ask for: of those that want the same and are in the same case only the first.
struct Applicants<'a> {
    accelerator: Vec<Applicant<'a>>,
    master_key: HashMap<Mkvp, Vec<Applicant<'a>>>,
}

struct Applicant<'a> {
    entry: usize,
    requirement: Requirement<'a>,
    /// The queue that it has.
    assigned: Option<Apqn>,
}

impl<'a> Applicants<'a> {
    fn new(instance: &'a Instance<'_>, assignments: &[Option<Assignment>]) -> Self {
        let mut applicants = Self { accelerator: Vec::new(), master_key: HashMap::new() };
        let mut known = HashSet::new();
        for (number, (entry, assignment)) in instance.entries.iter().zip(assignments).enumerate() {
            if !known.insert((requirement_key(entry), assignment.is_some())) {
                continue;
            }
            let assigned = assignment.map(|assignment| assignment.queue);
            let applicant = Applicant { entry: number, requirement: instance.requirement(entry), assigned };
            match entry.wanted {
                Wanted::Accelerator => applicants.accelerator.push(applicant),
                Wanted::Ep11 { mkvp, .. } => applicants.master_key.entry(mkvp).or_default().push(applicant),
            }
        }
        applicants
    }
}

impl Use {
    fn new(instance: &Instance<'_>, assignments: &[Option<Assignment>]) -> Self {
        let mut in_use = Self {
            limit: instance.limit(),
            count: 0,
            entry_of: HashMap::new(),
            secrets: HashMap::new(),
            master_keys: HashMap::new(),
        };
        for (number, (entry, assignment)) in instance.entries.iter().zip(assignments).enumerate() {
            let Some(Assignment { queue, .. }) = assignment else { continue };
            in_use.count += 1;
            in_use.entry_of.insert(*queue, number);
            if let Wanted::Ep11 { mkvp, secret, .. } = &entry.wanted {
                in_use.secrets.insert((queue.card, *secret), *queue);
                in_use.master_keys.insert((queue.card, *mkvp), *queue);
            }
        }
        in_use
    }

    /// Why an entry does not have a queue that fits.
    fn obstacle(&self, entry: &Entry, queue: &Queue) -> UnusableReason {
        if let Some(entry) = self.entry_of.get(&queue.apqn) {
            return UnusableReason::Serves(*entry);
        }
        if let Wanted::Ep11 { mkvp, secret, .. } = &entry.wanted {
            if let Some(other) = self.master_keys.get(&(queue.apqn.card, *mkvp)) {
                return UnusableReason::MasterKeyUsed(*other);
            }
            if let Some(other) = self.secrets.get(&(queue.apqn.card, *secret)) {
                return UnusableReason::SecretUsed(*other);
            }
        }
        match self.count >= self.limit {
            true => UnusableReason::Limit(self.limit),
            false => UnusableReason::NotFound,
        }
    }
}

impl fmt::Display for EntryUnserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret => f.write_str("no association secret with this id is in the ultravisor"),
            Self::NoQueue(mode) => write!(f, "there is no {} queue", kind(*mode)),
            Self::NoMasterKey { seen, more } => {
                f.write_str("no EP11 queue has this MKVP; queues seen: ")?;
                let name = |(queue, key): &(Apqn, MasterKey)| match key {
                    MasterKey::Unknown => format!("{queue} (not known)"),
                    MasterKey::None => format!("{queue} (no master key)"),
                    MasterKey::Valid(mkvp) => format!("{queue} ({mkvp})"),
                };
                list(f, ", ", seen.iter().map(name), *more)
            }
            Self::Obstacles { mode, queues, more } => {
                let one = match (queues.as_slice(), more) {
                    ([(queue, obstacle)], 0) => Some((queue, obstacle)),
                    _ => None,
                };
                match (mode, one) {
                    (Mode::Ep11, Some((queue, obstacle))) => {
                        return write!(f, "1 queue has this MKVP, {queue}, but it {obstacle}");
                    }
                    (_, Some((queue, obstacle))) => {
                        return write!(f, "there is 1 {} queue, {queue}, but it {obstacle}", kind(*mode));
                    }
                    (Mode::Ep11, None) => write!(f, "{} queues have this MKVP, but ", queues.len() + more)?,
                    (_, None) => write!(f, "there are {} {} queues, but ", queues.len() + more, kind(*mode))?,
                }
                list(f, "; ", queues.iter().map(|(queue, obstacle)| format!("{queue} {obstacle}")), *more)
            }
            Self::Limit(limit) => limit_reached(f, *limit),
        }
    }
}

impl fmt::Display for UnusableReason {
    /// What is said of the queue: `serves entry #1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Illicit => f.write_str("is illicit: this guest may not use it"),
            Self::Gone => f.write_str("has been taken away by the host"),
            Self::Offline => f.write_str("is offline"),
            Self::NotBindable => f.write_str("could not be bound"),
            Self::NotAssociable => f.write_str("could not be associated with the secret"),
            Self::OtherCard(Some(serialnr)) => write!(f, "is on the card with serial number {serialnr}"),
            Self::OtherCard(None) => f.write_str("is on a card whose serial number is not known"),
            Self::TooOld(generation) => write!(f, "is only a {generation}"),
            Self::NoSecret => f.write_str("needs a secret that is not in the ultravisor"),
            Self::Serves(entry) => write!(f, "serves entry #{}", entry + 1),
            Self::MasterKeyUsed(other) => {
                write!(f, "is on card {:02x}, where the master key is already used by {other}", other.card)
            }
            Self::SecretUsed(other) => {
                write!(f, "is on card {:02x}, where the secret is already used by {other}", other.card)
            }
            Self::Limit(limit) => {
                f.write_str("is not used, as ")?;
                limit_reached(f, *limit)
            }
            Self::NotFound => f.write_str("is not used, as not all possibilities could be looked at"),
        }
    }
}

impl fmt::Display for QueueUnused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cca => f.write_str("CCA queues cannot be used with Secure Execution"),
            Self::Illicit => f.write_str("illicit: this guest may not use it"),
            Self::Gone => f.write_str("taken away by the host"),
            Self::Offline => f.write_str("offline"),
            Self::NotBindable => f.write_str("could not be bound"),
            Self::MasterKeyUnknown => {
                f.write_str("its master key is not known: it can be read only while the queue is bound")
            }
            Self::NoMasterKey => f.write_str("it has no master key"),
            Self::NoAcceleratorAsked => f.write_str("no entry asks for an accelerator"),
            Self::MasterKeyNotAsked(mkvp) => write!(f, "no entry asks for its MKVP {mkvp}"),
            Self::Served(entry, other) => write!(f, "entry #{}, which it fits, has {other}", entry + 1),
            Self::Unfit(entry, obstacle) => write!(f, "not for entry #{}: it {obstacle}", entry + 1),
        }
    }
}

fn kind(mode: Mode) -> &'static str {
    match mode {
        Mode::Accelerator => "accelerator",
        Mode::Cca => "CCA",
        Mode::Ep11 => "EP11",
    }
}

fn limit_reached(f: &mut fmt::Formatter<'_>, limit: usize) -> fmt::Result {
    match limit {
        1 => f.write_str("1 queue is bound, and there may be no more"),
        _ => write!(f, "{limit} queues are bound, and there may be no more"),
    }
}

fn list(f: &mut fmt::Formatter<'_>, between: &str, items: impl Iterator<Item = String>, more: usize) -> fmt::Result {
    for (number, item) in items.enumerate() {
        if number > 0 {
            f.write_str(between)?;
        }
        f.write_str(&item)?;
    }
    match more {
        0 => Ok(()),
        _ => write!(f, "{between}and {more} more"),
    }
}
