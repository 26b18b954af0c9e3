//! Time, which only the program has.

use std::time::Duration;

/// A clock that never goes back, and a way to wait. Several queues are worked on at the same time, so both are called
/// from several threads.
pub trait Clock: Sync {
    /// Time since any fixed moment.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration);
}

/// How long each operation may take: longer than any the documents promise.
pub mod timeout {
    use std::time::Duration;

    /// Of a bind.
    pub const BIND: Duration = Duration::from_secs(10);
    /// Of an unbind, which resets the queue.
    pub const UNBIND: Duration = Duration::from_secs(30);
    /// Of an association: "up to 30 seconds" in *Introducing IBM Secure Execution for Linux*.
    pub const ASSOCIATION: Duration = Duration::from_secs(30);
    /// Of a write to an attribute, which only starts what these name. It cannot be taken back.
    pub const WRITE: Duration = Duration::from_secs(60);
    /// Of an answer of a card to what an attribute asks it for. Healthy ones take milliseconds.
    pub const ANSWER: Duration = Duration::from_secs(10);
    /// How long a queue that was left alone may be in a reset that somebody else began.
    pub const RESET_BY_OTHERS: Duration = Duration::from_secs(1);
}

/// Waits that begin short and grow, up to a deadline. No attribute of the AP bus wakes poll(2) up.
pub(crate) struct Patience<'a> {
    clock: &'a dyn Clock,
    began: Duration,
    limit: Duration,
    next: Duration,
}

impl<'a> Patience<'a> {
    const FIRST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(100);

    pub(crate) fn new(clock: &'a dyn Clock, limit: Duration) -> Self {
        Self { clock, began: clock.elapsed(), limit, next: Self::FIRST }
    }

    /// Since the wait began.
    pub(crate) fn waited(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.began)
    }

    /// Whether there is time left for another try.
    pub(crate) fn is_left(&self) -> bool {
        self.waited() < self.limit
    }

    /// Waits for the next try. The last wait ends at the deadline.
    pub(crate) fn wait(&mut self) {
        self.clock.sleep(self.next.min(self.limit.saturating_sub(self.waited())));
        self.next = (self.next * 2).min(Self::LONGEST);
    }
}
