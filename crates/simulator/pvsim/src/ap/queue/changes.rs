//! How a queue changes: by what is written to it, by what the host does, and by time.

use super::{Driver, Queue, Work};
use crate::ap::terms::{BindState, End, Millis, Mode, Presence};
use nix::errno::Errno;

impl Queue {
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
            self.set_driver(Driver::Broken { until: now + self.times.rescan });
            self.asked = None;
        }
        self.fall_back();
    }

    /// The host takes it away.
    pub fn take(&mut self, now: Millis) {
        match self.presence {
            Presence::Here => {
                self.fall_back();
                self.presence = match self.driver {
                    Driver::Elsewhere => Presence::Gone,
                    _ => Presence::Ghost { until: now + self.times.rescan },
                };
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
            Presence::Gone if self.driver == Driver::Elsewhere => self.presence = Presence::Here,
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

    /// A real kernel takes the queue: only the hardware is simulated from now on, until the guest starts again.
    pub fn hand_over(&mut self) {
        self.driver = Driver::Elsewhere;
        self.presence = match self.presence {
            Presence::Here | Presence::Back { .. } => Presence::Here,
            Presence::Ghost { .. } | Presence::Gone => Presence::Gone,
        };
    }

    /// It is as after power-on, and a real kernel has it. What is illicit stays so.
    pub fn restart(&mut self) {
        self.presence = Presence::Here;
        self.fall_back();
        self.hand_over();
    }

    /// The real kernel is gone.
    pub fn take_back(&mut self) {
        self.driver = Driver::Idle { from: 0 };
    }

    fn set_driver(&mut self, driver: Driver) {
        if self.driver != Driver::Elsewhere {
            self.driver = driver;
        }
    }

    /// Whether something is to happen by `now`.
    pub fn is_due(&self, now: Millis) -> bool {
        self.next_due().is_some_and(|due| due <= now)
    }

    /// Lets everything happen that is due by `now`.
    pub fn advance(&mut self, now: Millis) {
        // Each step ends what made it due, so this ends.
        while let Some(due) = self.next_due().filter(|due| *due <= now) {
            self.step(due);
        }
    }

    /// The hardware's answer to the test that comes before each instruction.
    fn test(&self) -> Result<(), Errno> {
        let at_work = matches!(self.work, Work::Binding { .. } | Work::Resetting { .. });
        if self.is_here() && self.works() && !self.failed && !at_work { Ok(()) } else { Err(Errno::EIO) }
    }

    pub(super) fn bound_state(&self) -> BindState {
        if self.mode == Mode::Accelerator { BindState::Usable } else { BindState::Bound }
    }

    pub(super) fn begin_association(&mut self, now: Millis, index: u16, end: End, takes: Millis) {
        let until = if end == End::Never { None } else { Some(now + takes) };
        self.work = Work::Associating { index, until, end };
        self.asked = Some(index);
        self.set_driver(Driver::Associating);
    }

    pub(super) fn associated(&mut self, index: u16, driver_idle: Millis) {
        self.bind_state = BindState::Usable;
        self.index = Some(index);
        self.asked = Some(index);
        self.set_driver(Driver::Idle { from: driver_idle });
    }

    fn reset(&mut self, now: Millis, unbinds: bool) {
        // A bind that is under way is cut short.
        let until = now + self.times.reset;
        self.work = Work::Resetting { until, unbinds };
        self.failed = false;
        self.asked = None;
        self.set_driver(Driver::Idle { from: until + self.times.driver });
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
        self.set_driver(Driver::Idle { from: now + self.times.driver });
    }

    /// When the hardware is done with what it is at.
    pub(super) fn work_due(&self) -> Option<Millis> {
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
    pub(super) fn step(&mut self, at: Millis) {
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
                self.set_driver(Driver::Broken { until: at + self.times.rescan });
            }
            End::Dropped => {
                self.asked = None;
                self.set_driver(Driver::Idle { from: idle });
            }
            End::Reset => self.reset_by_host(at),
        }
    }
}
