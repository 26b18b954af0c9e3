//! The machine as it runs.

use crate::cpu::Cpu;
use crate::firmware::{Firmware, Refused};
use crate::gdb::Stop;
use crate::kernel::{self, Kernel};
use crate::loader::{self, Loader};
use crate::qemu::Qemu;
use crate::{Agent, Error, Hardware, trap};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::time::Instant;

/// A machine with a guest that stands still or runs.
#[derive(Debug)]
pub struct Machine {
    qemu: Qemu,
    stage: Stage,
    counts: Counts,
}

#[derive(Debug)]
enum Stage {
    Loading(Loader),
    Starting(Kernel),
    /// With the kernel's lowcore at this absolute address.
    Running(u64),
}

/// Why a machine does not run any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest switched it off.
    Off,
    /// The time is over.
    Time,
}

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often the machine stood still for us.
    pub stops: u64,
    /// How often each instruction was carried out, by its first two bytes.
    pub instructions: BTreeMap<u16, u64>,
    /// Operation exceptions that were not ours.
    pub others: u64,
    /// Whether the guest came into secure mode.
    pub secure: bool,
    /// Whether it was refused.
    pub refused: Option<Refused>,
    /// Whether the kernel's own lowcore was seen.
    pub kernel: bool,
}

impl Machine {
    /// Starts a machine. What comes from its console goes to `console`, from a thread of its own.
    ///
    /// The thread that calls this has to live as long as the machine: when it ends, the emulator does.
    ///
    /// # Errors
    /// [`Error::NoQemu`], [`Error::Qemu`], [`Error::Image`], [`Error::File`].
    pub fn start(hardware: &Hardware, console: impl Write + Send + 'static) -> Result<Self, Error> {
        let image = fs::read(&hardware.image)
            .map_err(|error| Error::File { path: hardware.image.clone(), reason: error.to_string() })?;
        let loader = Loader::of(&image)?;
        let mut qemu = Qemu::start(hardware, console)?;
        loader.points().try_for_each(|point| qemu.gdb.insert_breakpoint(point))?;
        Ok(Self { qemu, stage: Stage::Loading(loader), counts: Counts::default() })
    }

    /// The line to the guest's agent, if the machine has one. There is only one.
    pub fn agent(&mut self) -> Option<Agent> {
        self.qemu.agent.take().map(Agent::new)
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Lets the guest run, with this firmware below it, until it is off or the time is over.
    ///
    /// # Errors
    /// What is wrong with the emulator, or [`Error::Firmware`].
    pub fn run(&mut self, firmware: &mut impl Firmware, until: Instant) -> Result<End, Error> {
        match self.run_on(firmware, until) {
            Err(Error::Off) => Ok(End::Off),
            other => other,
        }
    }

    fn run_on(&mut self, firmware: &mut impl Firmware, until: Instant) -> Result<End, Error> {
        loop {
            self.qemu.gdb.go()?;
            match self.qemu.gdb.wait(until)? {
                None => return Ok(End::Time),
                Some(Stop::Off) => return Ok(End::Off),
                Some(Stop::Trap) => self.stopped(firmware)?,
            }
        }
    }

    fn stopped(&mut self, firmware: &mut impl Firmware) -> Result<(), Error> {
        self.counts.stops += 1;
        let Qemu { gdb, memory, .. } = &mut self.qemu;
        let mut cpu = Cpu::new(gdb)?;
        // Until a kernel has its own lowcore, that at 0 is in use.
        let lowcore = match self.stage {
            Stage::Loading(_) => None,
            Stage::Starting(_) => Some(0),
            Stage::Running(lowcore) => Some(lowcore),
        };
        if let (trap::POINT, Some(lowcore)) = (cpu.address(), lowcore) {
            match trap::stopped(&mut cpu, memory, lowcore, firmware)? {
                Some(instruction) => *self.counts.instructions.entry(instruction).or_default() += 1,
                None => self.counts.others += 1,
            }
            return cpu.write_back();
        }
        let before: Vec<u64> = match &self.stage {
            Stage::Loading(loader) => loader.points().collect(),
            Stage::Starting(kernel) => kernel.points().collect(),
            Stage::Running(_) => vec![],
        };
        let after: Vec<u64> = match &mut self.stage {
            Stage::Running(_) => return Err(Error::Stopped(cpu.address())),
            Stage::Loading(loader) => match loader.stopped(&mut cpu, memory, firmware)? {
                loader::Step::Loading => return cpu.write_back(),
                loader::Step::Refused(refused) => {
                    self.counts.refused = Some(refused);
                    return cpu.write_back();
                }
                loader::Step::Started(unpacked) => {
                    self.counts.secure = true;
                    let kernel = Kernel::of(&unpacked, memory)?;
                    let points = kernel.points().chain([trap::POINT]).collect();
                    self.stage = Stage::Starting(kernel);
                    points
                }
            },
            Stage::Starting(kernel) => match kernel.stopped(&mut cpu, memory, firmware.has_ap())? {
                kernel::Step::Decompressing => return cpu.write_back(),
                kernel::Step::Entered => kernel.points().collect(),
                kernel::Step::Ready(lowcore) => {
                    self.counts.kernel = true;
                    // The instruction itself is still to be carried out, with no breakpoint at it any more.
                    self.stage = Stage::Running(lowcore);
                    vec![]
                }
            },
        };
        cpu.write_back()?;
        let gdb = cpu.gdb();
        before.iter().filter(|point| !after.contains(point)).try_for_each(|point| gdb.remove_breakpoint(*point))?;
        after.iter().filter(|point| !before.contains(point)).try_for_each(|point| gdb.insert_breakpoint(*point))
    }
}
