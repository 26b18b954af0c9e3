//! Time, which only the program has.

use std::fmt;
use std::time::Duration;

/// A clock that never goes back, and a way to wait. Several queues are worked on at the same time, so both are called
/// from several threads.
pub trait Clock: Sync {
    /// Time since any fixed moment.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration);
}

/// Time limits of the operations on queues: each longer than what the documents promise.
pub mod timeout {
    use std::time::Duration;

    /// Time limit of a bind.
    pub const BIND: Duration = Duration::from_secs(10);
    /// Time limit of an unbind, which resets the queue.
    pub const UNBIND: Duration = Duration::from_secs(30);
    /// Time limit of an association: "up to 30 seconds" in *Introducing IBM Secure Execution for Linux*.
    pub const ASSOCIATION: Duration = Duration::from_secs(30);
    /// Time limit of a write to an attribute, which only starts an operation. A write cannot be taken back.
    pub const WRITE: Duration = Duration::from_secs(60);
    /// Time limit of the answer of a card to what an attribute asks it for. Healthy ones take milliseconds.
    pub const ANSWER: Duration = Duration::from_secs(10);
    /// Time that a queue may spend in a reset that somebody else began, before that counts as an error.
    pub const RESET_BY_OTHERS: Duration = Duration::from_secs(1);
}

/// Waits that begin with a millisecond and double up to a tenth of a second, until a deadline. No attribute of the AP bus
/// wakes poll(2) up.
pub struct Backoff<'a> {
    clock: &'a dyn Clock,
    began: Duration,
    limit: Duration,
    next: Duration,
}

impl<'a> Backoff<'a> {
    const FIRST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(100);

    /// Begins now; the deadline is `limit` from now.
    pub fn new(clock: &'a dyn Clock, limit: Duration) -> Self {
        Self { clock, began: clock.elapsed(), limit, next: Self::FIRST }
    }

    /// Time since the wait began.
    pub fn waited(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.began)
    }

    /// Whether there is time left for another try.
    pub fn is_left(&self) -> bool {
        self.waited() < self.limit
    }

    /// Waits for the next try. The last wait ends at the deadline.
    pub fn wait(&mut self) {
        self.clock.sleep(self.next.min(self.limit.saturating_sub(self.waited())));
        self.next = (self.next * 2).min(Self::LONGEST);
    }
}

impl fmt::Debug for Backoff<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backoff({:?} of {:?})", self.waited(), self.limit)
    }
}
