//! A real kernel on a machine, from the start of the emulator to its end.

use crate::{Below, Machine};
use pvsim_machine::{Agent, Counts, End, Error, Hardware};
use std::io::Write;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

/// How a boot went.
#[derive(Debug)]
pub struct Booted<R> {
    /// Why the machine does not run any more.
    pub end: End,
    /// What happened below the guest.
    pub counts: Counts,
    /// What came of the work.
    pub result: R,
}

/// Starts the emulator and plays the firmware of `machine` until the guest is off, or `limit` is over. Meanwhile `work` has
/// the line to the guest, in another thread: the emulator ends with the thread that has started it. What comes from the
/// console goes to `console`.
///
/// # Errors
/// What is wrong with the emulator, or the simulated firmware failed.
pub fn boot<R: Send>(
    machine: Machine,
    hardware: &Hardware,
    console: impl Write + Send + 'static,
    limit: Duration,
    work: impl FnOnce(Option<Agent>) -> R + Send,
) -> Result<Booted<R>, Error> {
    let mut below = Below::new(machine);
    let mut running = pvsim_machine::Machine::start(hardware, console)?;
    let until = Instant::now() + limit;
    let agent = running.agent();
    thread::scope(|scope| {
        // Without its line the guest's agent switches off: whatever goes wrong there, the machine ends.
        let working = scope.spawn(move || work(agent));
        let end = running.run(&mut below, until);
        let counts = running.counts().clone();
        // The line ends with the emulator, and with that the work.
        drop(running);
        let result = working.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(Booted { end: end?, counts, result })
    })
}
