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

    /// Whether it is being reset.
    pub fn is_resetting(&self) -> bool {
        matches!(self.work, Work::Resetting { .. })
    }

    /// Whether the driver is ready for requests, with its interrupts on.
    pub fn is_driver_idle(&self, now: Millis) -> bool {
        matches!(self.driver, Driver::Idle { from } if from <= now)
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

    /// Why it cannot be bound, in the order in which the kernel looks.
    ///
    /// # Errors
    /// `EINVAL`, `EIO`, `EBUSY`.
    pub fn may_bind(&self, now: Millis) -> Result<(), Errno> {
        if self.mode == Mode::Cca {
            return Err(Errno::EINVAL);
        }
        self.test()?;
        if self.bind_state != BindState::Unbound {
            return Err(Errno::EINVAL);
        }
        // One that the driver gave up is not in the middle of a reset.
        if self.is_settling(now) { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// Begins a bind, which must be allowed. Gives how long it takes.
    pub fn bind(&mut self, now: Millis) -> Millis {
        self.work = Work::Binding { until: now + self.times.bind };
        self.advance(now);
        self.times.bind
    }

    /// What the write of a bind gives when its time is over.
    ///
    /// # Errors
    /// `EIO` when something came between.
    pub fn is_bound(&self) -> Result<(), Errno> {
        self.test()?;
        match self.bind_state {
            BindState::Usable | BindState::Bound => Ok(()),
            BindState::Unbound | BindState::Illicit => Err(Errno::EIO),
        }
    }

    /// Unbinds: always accepted, and done later.
    ///
    /// # Errors
    /// `EINVAL` for what never can be bound.
    pub fn unbind(&mut self, now: Millis) -> Result<(), Errno> {
        if self.mode == Mode::Cca {
            return Err(Errno::EINVAL);
        }
        if self.is_here() && self.works() {
            self.reset(now, true);
        }
        Ok(())
    }

    /// Why it cannot be associated, in the order in which the kernel looks. The firmware has a word to say after that.
    ///
    /// # Errors
    /// `EINVAL`, `EIO`, `EBUSY`.
    pub fn may_associate(&self, now: Millis) -> Result<(), Errno> {
        if self.mode != Mode::Ep11 {
            return Err(Errno::EINVAL);
        }
        self.test()?;
        if self.bind_state != BindState::Bound {
            return Err(Errno::EINVAL);
        }
        if self.is_driver_idle(now) { Ok(()) } else { Err(Errno::EBUSY) }
    }

    /// Begins an association, which must be allowed.
    pub fn associate(&mut self, now: Millis, index: u16, end: End) {
        self.begin_association(now, index, end, self.times.association);
        self.advance(now);
    }

    /// The attribute `reset`, and the repair by a bus scan: the binding stays, an association does not (assumed).
    pub fn reset_here(&mut self, now: Millis) {
        if self.is_here() && self.works() {
            self.reset(now, false);
        }
    }

    /// The host resets it; the driver hears of that only if it waits for an association.
    pub fn reset_by_host(&mut self, now: Millis) {
        if !self.is_here() {
            return;
        }
        if self.driver == Driver::Associating {
            self.driver = Driver::Broken { until: now + self.times.rescan };
            self.asked = None;
        }
        self.fall_back();
    }

    /// The host takes it away.
    pub fn take(&mut self, now: Millis) {
        match self.presence {
            Presence::Here => {
                self.fall_back();
                self.presence = Presence::Ghost { until: now + self.times.rescan };
            }
            Presence::Back { .. } => self.presence = Presence::Gone,
            Presence::Ghost { .. } | Presence::Gone => {}
        }
    }

    /// The host gives it back, unbound.
    pub fn give(&mut self, now: Millis) {
        match self.presence {
            // The driver never noticed.
            Presence::Ghost { .. } => self.presence = Presence::Here,
            Presence::Gone => self.presence = Presence::Back { at: now + self.times.rescan },
            Presence::Here | Presence::Back { .. } => return,
        }
        self.bind_state = BindState::Unbound;
    }

    /// The host decides that it is not for this guest.
    pub fn forbid(&mut self) {
        self.fall_back();
        self.bind_state = BindState::Illicit;
    }

    /// The driver loses its memory, as when the card was deconfigured and its devices were made anew.
    pub fn forget(&mut self) {
        self.asked = None;
    }

    /// A bus scan: what went is noticed, what is broken repaired, what came listed.
    pub fn scan(&mut self, now: Millis) {
        match self.presence {
            Presence::Ghost { .. } => self.presence = Presence::Gone,
            Presence::Back { .. } => self.appear(now),
            Presence::Here => {
                if matches!(self.driver, Driver::Broken { .. }) {
                    self.reset_here(now);
                }
            }
            Presence::Gone => {}
        }
    }

    /// The guest starts again: all bindings end.
    pub fn reboot(&mut self) {
        match self.presence {
            Presence::Ghost { .. } => self.presence = Presence::Gone,
            Presence::Back { .. } => self.presence = Presence::Here,
            Presence::Here | Presence::Gone => {}
        }
        self.fall_back();
        self.online = true;
        self.requests = 0;
        self.asked = None;
        self.driver = Driver::Idle { from: 0 };
    }

    /// Lets everything happen that is due by `now`.
    pub fn advance(&mut self, now: Millis) {
        // Each step ends what made it due, so this ends.
        while let Some(due) = self.next_due().filter(|due| *due <= now) {
            self.step(due);
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

    /// The hardware's answer to the test that comes before each instruction.
    fn test(&self) -> Result<(), Errno> {
        let at_work = matches!(self.work, Work::Binding { .. } | Work::Resetting { .. });
        if self.is_here() && self.works() && !self.failed && !at_work { Ok(()) } else { Err(Errno::EIO) }
    }

    fn bound_state(&self) -> BindState {
        if self.mode == Mode::Accelerator { BindState::Usable } else { BindState::Bound }
    }

    fn begin_association(&mut self, now: Millis, index: u16, end: End, takes: Millis) {
        let until = if end == End::Never { None } else { Some(now + takes) };
        self.work = Work::Associating { index, until, end };
        self.asked = Some(index);
        self.driver = Driver::Associating;
    }

    fn associated(&mut self, index: u16, driver_idle: Millis) {
        self.bind_state = BindState::Usable;
        self.index = Some(index);
        self.asked = Some(index);
        self.driver = Driver::Idle { from: driver_idle };
    }

    fn reset(&mut self, now: Millis, unbinds: bool) {
        // A bind that is under way is cut short.
        let until = now + self.times.reset;
        self.work = Work::Resetting { until, unbinds };
        self.failed = false;
        self.asked = None;
        self.driver = Driver::Idle { from: until + self.times.driver };
        self.advance(now);
    }

    /// The hardware is as after power-on.
    fn fall_back(&mut self) {
        self.work = Work::Nothing;
        self.failed = false;
        self.index = None;
        if self.bind_state != BindState::Illicit {
            self.bind_state = BindState::Unbound;
        }
    }

    fn appear(&mut self, now: Millis) {
        self.presence = Presence::Here;
        self.asked = None;
        self.requests = 0;
        self.online = true;
        self.driver = Driver::Idle { from: now + self.times.driver };
    }

    /// When the hardware is done with what it is at.
    fn work_due(&self) -> Option<Millis> {
        match self.work {
            Work::Binding { until } | Work::Resetting { until, .. } => Some(until),
            Work::Associating { until, .. } => until,
            Work::Nothing => None,
        }
    }

    fn scan_due(&self) -> Option<Millis> {
        match (self.presence, self.driver) {
            (Presence::Ghost { until: at } | Presence::Back { at }, _) => Some(at),
            (Presence::Here, Driver::Broken { until }) if self.works() => Some(until),
            _ => None,
        }
    }

    fn next_due(&self) -> Option<Millis> {
        [self.work_due(), self.scan_due()].into_iter().flatten().min()
    }

    /// Does what is due at `at`.
    fn step(&mut self, at: Millis) {
        if self.work_due() != Some(at) {
            return self.scan(at);
        }
        match std::mem::replace(&mut self.work, Work::Nothing) {
            Work::Nothing => {}
            Work::Binding { .. } => {
                self.bind_state = self.bound_state();
                self.asked = None;
            }
            Work::Resetting { unbinds, .. } => {
                self.index = None;
                match (unbinds, self.bind_state, self.mode) {
                    (_, BindState::Illicit, _) => {}
                    (true, ..) => self.bind_state = BindState::Unbound,
                    (false, BindState::Usable, Mode::Ep11) => self.bind_state = BindState::Bound,
                    (false, ..) => {}
                }
            }
            Work::Associating { index, end, .. } => self.end_association(at, index, end),
        }
    }

    fn end_association(&mut self, at: Millis, index: u16, end: End) {
        let idle = at + self.times.driver;
        match end {
            End::Never => {}
            End::Ok => self.associated(index, idle),
            End::Other(other) => self.associated(other, idle),
            End::Asynchronous => {
                self.failed = true;
                self.asked = None;
                self.driver = Driver::Broken { until: at + self.times.rescan };
            }
            End::Dropped => {
                self.asked = None;
                self.driver = Driver::Idle { from: idle };
            }
            End::Reset => self.reset_by_host(at),
        }
    }
}
