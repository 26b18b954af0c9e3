//! Work on several queues at the same time. Each has its state machine of its own in kernel and firmware, and the bus
//! has no lock that user space would see.

use super::{Event, Executor};
use crate::{Operator, Waiting};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// More threads than queues can be bound at a time help nobody.
const MOST_THREADS: usize = 16;

impl Executor<'_> {
    /// Does `work` for each of `jobs`, and gives the results in their order.
    pub(super) fn in_parallel<J: Send, T: Send>(
        &mut self,
        jobs: Vec<J>,
        work: impl Fn(&Operator<'_>, J) -> T + Sync,
    ) -> Vec<T> {
        let threads = jobs.len().min(MOST_THREADS);
        let jobs = Mutex::new(jobs.into_iter().enumerate());
        let (sender, receiver) = mpsc::channel::<Waiting>();
        let watch = move |waiting| {
            // The receiver outlives the threads.
            let _ = sender.send(waiting);
        };
        let mut results = thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (watch, jobs, work, bus, clock) = (watch.clone(), &jobs, &work, self.bus, self.clock);
                    scope.spawn(move || {
                        let operator = Operator::new(bus, clock, &watch);
                        let mut done = Vec::new();
                        loop {
                            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                            let Some((number, job)) = next else { return done };
                            done.push((number, work(&operator, job)));
                        }
                    })
                })
                .collect();
            drop(watch);
            for waiting in receiver {
                (self.watch)(Event::Waiting(waiting));
            }
            let joined = workers.into_iter().map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.flatten().collect::<Vec<_>>()
        });
        results.sort_by_cached_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }
}
