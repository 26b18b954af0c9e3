//! Binding, unbinding and associating a queue, each to its end.

use crate::clock::{Backoff, timeout};
use crate::error::errno;
use crate::{Apqn, Bus, Clock, Error, Mode, State, attribute};
use std::time::Duration;

/// Works on the queues of a bus.
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    bus: &'a Bus,
    clock: &'a dyn Clock,
    watch: &'a (dyn Fn(Waiting) + Sync),
}

/// Progress of a wait for a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Queue that is waited for.
    pub apqn: Apqn,
    /// State that the queue shall reach: `bound`, `unbound`, `associated`.
    pub operation: &'static str,
    /// Since the wait began.
    pub waited: Duration,
    /// Time after which the wait is given up.
    pub limit: Duration,
}

/// What an attempt came to.
enum Attempt {
    Done,
    /// Not now: worth another try.
    Again(Error),
}

impl<'a> Operator<'a> {
    /// An operator on `bus`, who tells `watch` at every look what it is waiting for.
    pub fn new(bus: &'a Bus, clock: &'a dyn Clock, watch: &'a (dyn Fn(Waiting) + Sync)) -> Self {
        Self { bus, clock, watch }
    }

    /// The bus that this operates on.
    pub fn bus(&self) -> &'a Bus {
        self.bus
    }

    /// Binds a queue. One that is bound already is a success.
    ///
    /// # Errors
    /// [`Error::Write`] when it is refused, [`Error::WrongState`] for a queue that cannot be bound,
    /// [`Error::TimeOut`].
    pub fn bind(&self, apqn: Apqn, mode: Mode) -> Result<(), Error> {
        self.bind_within(apqn, mode, timeout::RESET_BY_OTHERS)
    }

    /// Binds a queue that was unbound just now: its driver needs a while until it takes the next order, and answers
    /// with errors before.
    ///
    /// # Errors
    /// As [`Operator::bind`].
    pub fn rebind(&self, apqn: Apqn, mode: Mode) -> Result<(), Error> {
        self.bind_within(apqn, mode, timeout::BIND)
    }

    fn bind_within(&self, apqn: Apqn, mode: Mode, reset: Duration) -> Result<(), Error> {
        const BOUND: &str = "bound";
        let mut backoff = Backoff::new(self.clock, timeout::BIND);
        loop {
            match self.try_to_bind(apqn, mode)? {
                Attempt::Done => break,
                Attempt::Again(error) => {
                    // Busy passes; a refusal may be the end of a reset, or final.
                    let passes = error.errno() == Some(errno::EBUSY) || backoff.waited() < reset;
                    if !passes || !backoff.is_left() {
                        return Err(error);
                    }
                }
            }
            self.pause(&mut backoff, apqn, BOUND, timeout::BIND);
        }
        loop {
            // What it is associated with does not matter here, so it is asked as an accelerator would be.
            let state = self.bus.state(apqn, Mode::Accelerator)?;
            match state {
                State::Bound => return Ok(()),
                State::Unbound if backoff.is_left() => self.pause(&mut backoff, apqn, BOUND, timeout::BIND),
                State::Unbound => {
                    return Err(Error::TimeOut { apqn, operation: BOUND, state, waited: backoff.waited() });
                }
                _ => return Err(Error::WrongState { apqn, state, operation: BOUND }),
            }
        }
    }

    fn try_to_bind(&self, apqn: Apqn, mode: Mode) -> Result<Attempt, Error> {
        let Err(error) = self.write(apqn, "se_bind", "1") else { return Ok(Attempt::Done) };
        match error.errno() {
            Some(errno::EBUSY | errno::EIO) => Ok(Attempt::Again(error)),
            // Somebody else was quicker, or it was bound all the time.
            Some(errno::EINVAL) => match self.bus.state(apqn, mode)? {
                state if state.is_bound() => Ok(Attempt::Done),
                State::Unbound => Ok(Attempt::Again(error)),
                state => Err(Error::WrongState { apqn, state, operation: "bound" }),
            },
            _ => Err(error),
        }
    }

    /// Unbinds a queue, from any state, and waits until that shows. Gives the state it ended in: [`State::Unbound`], or
    /// [`State::Gone`] or [`State::Illicit`] for one that is not the guest's any more, which is no error either.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::TimeOut`].
    pub fn unbind(&self, apqn: Apqn, mode: Mode) -> Result<State, Error> {
        const UNBOUND: &str = "unbound";
        let mut backoff = Backoff::new(self.clock, timeout::UNBIND);
        loop {
            match self.write(apqn, "se_bind", "0") {
                Ok(()) => break,
                Err(error) if error.is_gone() && !self.bus.queue_folder(apqn).exists() => {
                    return Ok(State::Gone);
                }
                Err(error) if error.errno() == Some(errno::EBUSY) && backoff.is_left() => {}
                Err(_) if backoff.waited() < timeout::RESET_BY_OTHERS => {}
                Err(error) => return Err(error),
            }
            self.pause(&mut backoff, apqn, UNBOUND, timeout::UNBIND);
        }
        loop {
            let state = match self.bus.state(apqn, mode) {
                Ok(state @ (State::Unbound | State::Gone | State::Illicit)) => return Ok(state),
                Err(error) if error.is_gone() => return Ok(State::Gone),
                Ok(state) => state,
                Err(_) => State::Broken,
            };
            if !backoff.is_left() {
                return Err(Error::TimeOut { apqn, operation: UNBOUND, state, waited: backoff.waited() });
            }
            self.pause(&mut backoff, apqn, UNBOUND, timeout::UNBIND);
        }
    }

    /// Associates a bound EP11 queue with the secret at `index` and waits for the end. One that is so already is a
    /// success.
    ///
    /// # Errors
    /// [`Error::Write`] when it is refused, [`Error::AssociationFailed`], [`Error::OtherSecret`],
    /// [`Error::WrongState`] for a queue that is not bound, [`Error::TimeOut`].
    pub fn associate(&self, apqn: Apqn, index: u16) -> Result<(), Error> {
        let mut backoff = Backoff::new(self.clock, timeout::ASSOCIATION);
        while let Err(error) = self.write(apqn, "se_associate", &index.to_string()) {
            match error.errno() {
                Some(errno::EBUSY) if backoff.is_left() => {}
                Some(errno::EINVAL) => match self.bus.state(apqn, Mode::Ep11)? {
                    State::Pending | State::Associated(_) => break,
                    State::Bound => return Err(error),
                    state => return Err(Error::WrongState { apqn, state, operation: ASSOCIATED }),
                },
                _ => return Err(error),
            }
            self.pause(&mut backoff, apqn, ASSOCIATED, timeout::ASSOCIATION);
        }
        match self.end_of_association(apqn, backoff)? {
            (State::Associated(found), _) if found == index => Ok(()),
            (State::Associated(found), _) => Err(Error::OtherSecret { apqn, index, found }),
            (state @ State::Pending, waited) => Err(Error::TimeOut { apqn, operation: ASSOCIATED, state, waited }),
            (state, waited) => Err(Error::AssociationFailed { apqn, index, state, waited }),
        }
    }

    /// Waits for the end of an association that somebody else began, and gives the state after it: still
    /// [`State::Pending`] if it does not come.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn settle(&self, apqn: Apqn) -> Result<State, Error> {
        self.end_of_association(apqn, Backoff::new(self.clock, timeout::ASSOCIATION)).map(|(state, _)| state)
    }

    fn end_of_association(&self, apqn: Apqn, mut backoff: Backoff<'_>) -> Result<(State, Duration), Error> {
        loop {
            match self.bus.association(apqn)? {
                State::Pending if backoff.is_left() => {
                    self.pause(&mut backoff, apqn, ASSOCIATED, timeout::ASSOCIATION);
                }
                state => return Ok((state, backoff.waited())),
            }
        }
    }

    fn write(&self, apqn: Apqn, name: &str, value: &str) -> Result<(), Error> {
        attribute::write(&self.bus.queue_folder(apqn).join(name), value, self.clock)
    }

    fn pause(&self, backoff: &mut Backoff<'_>, apqn: Apqn, operation: &'static str, limit: Duration) {
        (self.watch)(Waiting { apqn, operation, waited: backoff.waited(), limit });
        backoff.wait();
    }
}

const ASSOCIATED: &str = "associated";
