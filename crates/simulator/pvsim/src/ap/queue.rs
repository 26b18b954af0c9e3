//! One queue: what the hardware and the kernel's driver know of it, and how that changes.
//!
//! ```text
//!   accelerator     unbound ──bind──> usable                   bind state (BS): 0 usable, 1 bound,
//!   EP11            unbound ──bind──> bound ──associate──> usable               2 unbound, 3 illicit
//!   both            any but illicit ──unbind, reset by the host, taken away──> unbound
//! ```
//!
//! Nothing here reads a clock: every call is told the time, and [`Queue::advance`] lets what is due by then happen.
//! Sources: the Linux AP bus driver (`drivers/s390/crypto/ap_queue.c`) for the driver's half and all errnos; the IBM
//! documents for the firmware's. Where neither says it, the comment says "assumed".

mod changes;

use super::terms::{BindState, End, Millis, Mode, Presence, Situation, Start, Times};
use crate::Hex;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// What the hardware is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Work {
    Nothing,
    Binding { until: Millis },
    Resetting { until: Millis, unbinds: bool },
    Associating { index: u16, until: Option<Millis>, end: End },
}

/// The driver's state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Driver {
    /// After a reset it is busy until then.
    Idle { from: Millis },
    /// It waits for the end of an association.
    Associating,
    /// It gave the queue up, until the next bus scan.
    Broken { until: Millis },
    /// A real kernel has the queue: of its driver nothing is known here.
    Elsewhere,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// What it can do.
    pub mode: Mode,
    /// How long things take.
    pub times: Times,
    /// How its associations end.
    pub end: End,
    /// The EP11 wrapping key's verification pattern, if one is set.
    pub master_key: Option<Hex<32>>,
    /// Whether a driver of the kernel has it.
    pub has_driver: bool,
    /// Set by whoever works with the guest.
    pub online: bool,
    /// Set by the machine.
    pub configured: bool,
    /// Set by the machine.
    pub check_stopped: bool,
    /// Requests that the driver sent to the card.
    pub requests: u64,
    presence: Presence,
    bind_state: BindState,
    /// The secret that the hardware has associated.
    index: Option<u16>,
    work: Work,
    /// An asynchronous error waits to be told.
    failed: bool,
    driver: Driver,
    /// The secret that the driver asked for. The hardware never tells which one it has.
    asked: Option<u16>,
}

impl Queue {
    /// A queue of this kind in the given state when the bus comes up.
    pub fn new(mode: Mode, times: Times, end: End, start: Start) -> Self {
        let mut queue = Self {
            mode,
            times,
            end,
            master_key: None,
            has_driver: true,
            online: true,
            configured: true,
            check_stopped: false,
            requests: 0,
            presence: Presence::Here,
            bind_state: BindState::Unbound,
            index: None,
            work: Work::Nothing,
            failed: false,
            driver: Driver::Idle { from: 0 },
            asked: None,
        };
        match start {
            Start::Unbound => {}
            Start::Bound => queue.bind_state = queue.bound_state(),
            Start::Associated(index) => queue.associated(index, 0),
            Start::Pending(index, left) => {
                queue.bind_state = BindState::Bound;
                queue.begin_association(0, index, end, left.unwrap_or(times.association));
            }
            Start::Illicit => queue.bind_state = BindState::Illicit,
            Start::Ghost(index) => {
                queue.asked = index;
                queue.presence = Presence::Ghost { until: times.rescan };
            }
        }
        queue
    }

    /// Whether the guest has, or may still think that it has, this queue.
    pub fn is_listed(&self) -> bool {
        matches!(self.presence, Presence::Here | Presence::Ghost { .. })
    }

    /// Whether the host has not taken it.
    pub fn is_here(&self) -> bool {
        self.presence == Presence::Here
    }

    /// The BS bits. Those of a queue that is not there any more are 0.
    pub fn bind_state(&self) -> BindState {
        if self.is_here() { self.bind_state } else { BindState::Usable }
    }

    /// Whether it counts for the firmware's limit of bound queues.
    pub fn takes_a_place(&self) -> bool {
        let bound = matches!(self.bind_state, BindState::Usable | BindState::Bound);
        self.is_here() && (bound || matches!(self.work, Work::Binding { .. }))
    }

    /// The secret that it is associated with or will be.
    pub fn secret(&self) -> Option<u16> {
        match (self.is_here(), self.work) {
            (false, _) => None,
            (true, Work::Associating { index, .. }) => Some(index),
            (true, _) => self.index,
        }
    }

    /// Whether an asynchronous error waits. Questions for the bind state fail as long as it does (assumed).
    pub fn has_failed(&self) -> bool {
        self.is_here() && self.failed
    }

    /// Whether the driver may send requests to the card by this queue.
    pub fn answers_requests(&self) -> bool {
        let bound = matches!(self.bind_state, BindState::Usable | BindState::Bound);
        let at_work = matches!(self.work, Work::Binding { .. } | Work::Resetting { .. });
        self.has_driver && self.is_here() && self.online && self.works() && bound && !at_work && !self.failed
    }

    /// Whether the machine lets it work.
    pub fn works(&self) -> bool {
        self.configured && !self.check_stopped
    }

    /// What the hardware says to a test: a response code of AP instructions, 0 for normal.
    pub fn response(&self) -> u8 {
        match self.work {
            _ if !self.is_here() => 0x01,
            _ if !self.configured => 0x03,
            _ if self.check_stopped => 0x04,
            Work::Resetting { .. } => 0x02,
            _ if self.failed => 0x36,
            Work::Binding { .. } => 0x05,
            Work::Associating { .. } | Work::Nothing => 0x00,
        }
    }

    /// Whether it is being reset.
    pub fn is_resetting(&self) -> bool {
        matches!(self.work, Work::Resetting { .. })
    }

    /// Whether the driver is ready for requests, with its interrupts on.
    pub fn is_driver_idle(&self, now: Millis) -> bool {
        match self.driver {
            Driver::Idle { from } => from <= now,
            Driver::Elsewhere => true,
            Driver::Associating | Driver::Broken { .. } => false,
        }
    }

    /// Whether the driver has still to get ready after a reset.
    pub fn is_settling(&self, now: Millis) -> bool {
        matches!(self.driver, Driver::Idle { from } if from > now)
    }

    /// What `se_bind` reads.
    ///
    /// # Errors
    /// `EIO` when the hardware reports an error.
    pub fn se_bind(&self) -> Result<&'static str, Errno> {
        if self.has_failed() {
            return Err(Errno::EIO);
        }
        Ok(match self.bind_state() {
            BindState::Usable | BindState::Bound => "bound",
            BindState::Unbound | BindState::Illicit => "unbound",
        })
    }

    /// What `se_associate` of an EP11 queue reads.
    ///
    /// # Errors
    /// `EIO` when the hardware reports an error, or an association that the driver did not ask for.
    pub fn se_associate(&self) -> Result<String, Errno> {
        if self.has_failed() {
            return Err(Errno::EIO);
        }
        match (self.bind_state(), self.asked) {
            (BindState::Usable, Some(index)) => Ok(format!("associated {index}")),
            (BindState::Usable, None) => Err(Errno::EIO),
            (BindState::Bound, Some(_)) => Ok("association pending".into()),
            _ => Ok("unassociated".into()),
        }
    }

    /// What it is at.
    pub fn situation(&self) -> Situation {
        match self.presence {
            Presence::Ghost { .. } => return Situation::Ghost,
            Presence::Gone | Presence::Back { .. } => return Situation::Gone,
            Presence::Here => {}
        }
        if self.failed {
            return Situation::Error;
        }
        match (self.work, self.bind_state) {
            (_, BindState::Illicit) => Situation::Illicit,
            (Work::Binding { .. }, _) => Situation::Binding,
            (Work::Resetting { unbinds: true, .. }, _) => Situation::Unbinding,
            (Work::Resetting { unbinds: false, .. }, _) => Situation::Resetting,
            (Work::Associating { index, .. }, _) => Situation::Pending(index),
            (Work::Nothing, BindState::Unbound) => Situation::Unbound,
            (Work::Nothing, _) => self.index.map_or(Situation::Bound, Situation::Associated),
        }
    }

    /// What it will be at when all that is under way has ended, and the bus scan has noticed what went. A broken queue
    /// is not repaired.
    pub fn settled(&self) -> Situation {
        let mut queue = self.clone();
        while let Some(due) = queue.work_due() {
            queue.step(due);
        }
        match queue.situation() {
            Situation::Ghost => Situation::Gone,
            situation => situation,
        }
    }
}

#[cfg(test)]
mod tests;
