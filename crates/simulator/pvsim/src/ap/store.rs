//! The bus on disk: its state, the clock, and the log of writes.
//!
//! Whoever works with the bus holds the machine's lock. A line goes into the log before the state is saved, and the
//! state says how long the log is: so what a killed process leaves is the state before its call, or the one after it
//! with its line.

use super::bus::Bus;
use super::events::{Event, Target};
use super::log::{self, LoggedWrite};
use super::queue::Queue;
use super::terms::Millis;
use crate::machine::MachineLock;
use crate::{Error, Machine};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

const FILE: &str = "ap.json";

/// What lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Milliseconds from 1970 to when the bus came up.
    began: Millis,
    /// How far its clock was put forward.
    ahead: Millis,
    /// How many bytes of the log belong to this.
    log: u64,
    /// The bus.
    pub(crate) bus: Bus,
}

/// The bus of a machine, for one process.
#[derive(Debug)]
pub(crate) struct Store {
    machine: Machine,
    cached: Mutex<Cached>,
}

/// What this process knows of the file.
#[derive(Debug, Default)]
struct Cached {
    lock_file: Option<File>,
    /// The content, and the number of changes up to it. That number is the lock file's note; it goes up before the file
    /// is replaced, so a process that is killed between the two only makes the others read it again.
    saved: Option<(u64, Saved)>,
}

/// The bus for as long as the lock is held.
pub(crate) struct BusGuard<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) lock: &'a MachineLock<'a>,
    pub(crate) now: Millis,
    pub(crate) bus: &'a mut Bus,
    written: Option<LoggedWrite>,
}

impl BusGuard<'_> {
    /// Notes a write, to be saved with all else.
    pub(crate) fn log(&mut self, path: &str, text: &[u8], result: Result<(), nix::errno::Errno>) {
        let result = result.map_or_else(|errno| format!("{errno:?}"), |()| "ok".into());
        let text = String::from_utf8_lossy(text).into_owned();
        self.written = Some(LoggedWrite { ms: self.now, path: path.into(), text, result });
        self.bus.count_write(self.now);
    }
}

impl Store {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, cached: Mutex::default() }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Does something with the bus as it is now, alone among all processes.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut BusGuard<'_>) -> Result<R, Error>) -> Result<R, Error> {
        self.alone(|lock, cached| {
            let before = &cached.1;
            let mut after = before.clone();
            let now = after.now();
            after.bus.advance(now);
            let mut held = BusGuard { machine: &self.machine, lock, now, bus: &mut after.bus, written: None };
            let result = work(&mut held)?;
            if let Some(line) = held.written {
                after.log = log::append(self.machine.folder(), after.log, &line)?;
            }
            if after != *before {
                after.save(lock)?;
                *cached = (cached.0 + 1, after);
            }
            Ok(result)
        })
    }

    /// Looks at the bus as it is now.
    pub(crate) fn look<R>(&self, work: impl FnOnce(&Bus, Millis) -> R) -> Result<R, Error> {
        self.alone(|_, (_, saved)| {
            let now = saved.now();
            if !saved.bus.is_due(now) {
                return Ok(work(&saved.bus, now));
            }
            // Nothing is lost when this is not saved: it comes out the same the next time.
            let mut bus = saved.bus.clone();
            bus.advance(now);
            Ok(work(&bus, now))
        })
    }

    /// Does something with the file's content, alone among all processes.
    fn alone<R>(&self, work: impl FnOnce(&MachineLock<'_>, &mut (u64, Saved)) -> Result<R, Error>) -> Result<R, Error> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let Cached { lock_file, saved } = &mut *cached;
        let file = match lock_file {
            Some(file) => file,
            None => lock_file.insert(self.machine.lock_file()?),
        };
        let file = file.try_clone().map_err(|source| Error::File { file: FILE, source })?;
        let lock = self.machine.lock_by(file)?;
        let changes = lock.note()?;
        let mut known = match saved.take() {
            Some(known) if known.0 == changes => known,
            _ => (changes, lock.load(FILE)?),
        };
        let result = work(&lock, &mut known);
        // After an error it is read again.
        *saved = result.is_ok().then_some(known);
        result
    }
}

impl Saved {
    fn now(&self) -> Millis {
        unix_time().saturating_sub(self.began) + self.ahead
    }

    fn save(&self, lock: &MachineLock<'_>) -> Result<(), Error> {
        lock.set_note(lock.note()? + 1)?;
        lock.save(FILE, self)
    }
}

impl Machine {
    /// Lets the host, or somebody else, do something on the AP bus.
    ///
    /// # Errors
    /// [`Error::Event`], [`Error::File`], [`Error::Content`].
    pub fn apply_event(&self, event: &Event, target: Target) -> Result<(), Error> {
        Store::new(self.clone()).with(|held| {
            held.bus.check(event, target).map_err(Error::Event)?;
            held.bus.apply_event(held.now, event, target);
            Ok(())
        })
    }

    /// Puts the clock of the AP bus forward.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn advance_clock(&self, time: Millis) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut saved: Saved = lock.load(FILE)?;
        saved.ahead += time;
        let now = saved.now();
        saved.bus.advance(now);
        saved.save(&lock)
    }

    /// All writes to attributes of the AP bus, in order.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn writes(&self) -> Result<Vec<LoggedWrite>, Error> {
        let lock = self.lock()?;
        log::read(self.folder(), lock.load::<Saved>(FILE)?.log)
    }

    /// The bus as it is now.
    pub(crate) fn bus(&self) -> Result<Bus, Error> {
        Store::new(self.clone()).look(|bus, _| bus.clone())
    }

    /// A real kernel takes the bus, of a guest that has just begun, or begins again.
    pub(crate) fn hand_bus_over(&self, lock: &MachineLock<'_>, again: bool) -> Result<(), Error> {
        let mut saved: Saved = lock.load(FILE)?;
        if again {
            saved.bus.reboot();
        }
        saved.bus.hand_over();
        saved.began = unix_time();
        saved.ahead = 0;
        saved.save(lock)
    }

    /// Puts another bus in the place of the one that a real kernel has.
    pub(crate) fn replace_bus(&self, lock: &MachineLock<'_>, bus: Bus) -> Result<(), Error> {
        let mut saved: Saved = lock.load(FILE)?;
        saved.bus = bus;
        saved.save(lock)
    }

    /// The bus begins, as [`Bus::begin`] says, with an empty log.
    pub(crate) fn begin_bus(&self, lock: &MachineLock<'_>, begins: &Bus) -> Result<(), Error> {
        let mut saved: Saved = lock.load(FILE)?;
        saved.began = unix_time();
        saved.ahead = 0;
        saved.log = 0;
        saved.bus.begin(begins, 0);
        saved.save(lock)
    }

    /// The real kernel is gone: its bus is simulated again.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn take_bus_back(&self) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut saved: Saved = lock.load(FILE)?;
        saved.bus.queues.values_mut().for_each(Queue::take_back);
        saved.save(&lock)
    }

    /// The guest starts again.
    pub(crate) fn reboot_bus(&self, lock: &MachineLock<'_>) -> Result<(), Error> {
        let mut saved: Saved = lock.load(FILE)?;
        saved.bus.reboot();
        // Whatever was timed is over, so the bus has its own time again.
        saved.began = unix_time();
        saved.ahead = 0;
        saved.save(lock)
    }
}

/// Writes the bus of a new machine.
pub(crate) fn begin(folder: &Path, bus: Bus) -> Result<(), Error> {
    crate::machine::store(folder, FILE, &Saved { began: unix_time(), ahead: 0, log: 0, bus })
}

fn unix_time() -> Millis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
