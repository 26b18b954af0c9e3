//! The kernel on its way from its first instruction to its own lowcore: see [`crate::trap`] for why that matters.

use crate::cpu::Cpu;
use crate::{Error, GuestMemory, Ipib, loader, trap};
use std::collections::BTreeSet;

/// Where the decompressor's code is, in the guest's memory and in the kernel's file alike.
const DECOMPRESSOR: std::ops::Range<u64> = 0x1_0000..0x5_0000;
/// The kernel itself, and so where the decompressor jumps to, is never below.
const KERNEL_FROM: u64 = 0x10_0000;
/// How much memory behind the kernel's entry is looked at for SPX.
const KERNEL_SIZE: usize = 48 << 20;
const PAGE: usize = 0x1000;
/// The ultravisor's calls.
const UV_CALLS: u64 = 158;
/// The AP instructions' query and test.
const AP: [u64; 2] = [12, 15];
/// Bits of a prefix.
const PREFIX: u32 = 0x7fff_e000;

/// A kernel that is not yet on its own.
#[derive(Debug)]
pub(crate) struct Kernel {
    stfle: BTreeSet<u64>,
    /// Where the decompressor may jump to the kernel.
    lpswe: BTreeSet<u64>,
    /// Where the kernel may put its lowcore in use.
    spx: BTreeSet<u64>,
    /// Where the kernel was entered.
    entry: u64,
}

/// How far the kernel is after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The decompressor goes on.
    Decompressing,
    /// The kernel has begun.
    Entered,
    /// The kernel is on its own, with its lowcore at this absolute address.
    Ready(u64),
}

impl Kernel {
    /// The kernel that was unpacked: the first component.
    pub(crate) fn of(unpacked: &Ipib, memory: &GuestMemory) -> Result<Self, Error> {
        let mut kernel = Self { stfle: BTreeSet::new(), lpswe: BTreeSet::new(), spx: BTreeSet::new(), entry: 0 };
        let Some(component) = unpacked.components.first() else { return Ok(kernel) };
        let length = DECOMPRESSOR.end.min(component.length) as usize;
        let code = memory.read(component.address, length)?.unwrap_or_default();
        for at in DECOMPRESSOR.step_by(2).take_while(|at| (*at as usize) + 4 <= code.len()) {
            match code[at as usize..][..2] {
                [0xb2, 0xb0] => drop(kernel.stfle.insert(at)),
                [0xb2, 0xb2] => drop(kernel.lpswe.insert(at)),
                _ => {}
            }
        }
        Ok(kernel)
    }

    /// All places where it has to stop.
    pub(crate) fn points(&self) -> impl Iterator<Item = u64> {
        self.stfle.iter().chain(&self.lpswe).chain(&self.spx).copied()
    }

    pub(crate) fn stopped(&mut self, cpu: &mut Cpu<'_>, memory: &GuestMemory, ap: bool) -> Result<Step, Error> {
        let at = cpu.address();
        if self.stfle.contains(&at) {
            let all = [UV_CALLS, AP[0], AP[1]];
            loader::add_facilities(cpu, if ap { &all } else { &all[..1] })?;
            trap::lead_away(cpu)?;
            return Ok(Step::Decompressing);
        }
        if self.lpswe.contains(&at) {
            cpu.step_over_breakpoint()?;
            if cpu.address() < KERNEL_FROM {
                return Ok(Step::Decompressing);
            }
            self.entry = cpu.address();
            self.stfle.clear();
            self.lpswe.clear();
            self.spx = find_spx(cpu, memory)?;
            return Ok(Step::Entered);
        }
        if self.spx.contains(&at) {
            let instruction = cpu.read(at, 4)?.unwrap_or_default();
            if let [_, _, high, low] = instruction[..] {
                let operand = cpu.operand(u16::from_be_bytes([high, low]));
                let prefix = cpu.read(operand, 4)?.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
                let lowcore = u64::from(prefix.unwrap_or(0) & PREFIX);
                if trap::lead_away_in(memory, lowcore)? {
                    self.spx.clear();
                    return Ok(Step::Ready(lowcore));
                }
            }
            cpu.step_over_breakpoint()?;
            return Ok(Step::Entered);
        }
        Err(Error::Stopped(at))
    }
}

/// Where in the kernel an SPX may be, for a CPU that is at the kernel's entry. The kernel may be anywhere in real memory;
/// its page with the entry tells where.
fn find_spx(cpu: &mut Cpu<'_>, memory: &GuestMemory) -> Result<BTreeSet<u64>, Error> {
    let entry = cpu.address() & !(PAGE as u64 - 1);
    let page = cpu.read(entry, PAGE)?.unwrap_or_default();
    let mut at = KERNEL_FROM;
    let real = loop {
        match memory.read(at, PAGE)? {
            None => return Err(Error::Image("the kernel was entered at a place that is not in memory")),
            Some(other) if other == page => break at,
            Some(_) => at += PAGE as u64,
        }
    };
    let mut length = KERNEL_SIZE;
    let code = loop {
        match memory.read(real, length)? {
            Some(code) => break code,
            None => length = (length / 2) & !(PAGE - 1),
        }
    };
    let halfwords = code.chunks_exact(2).enumerate();
    // S format: what is compiled has its operand on the stack or behind a register, never at an absolute address.
    let found = halfwords.filter(|(number, halfword)| {
        *halfword == [0xb2, 0x10] && code.get(2 * number + 2).is_some_and(|base| base >> 4 != 0)
    });
    Ok(found.map(|(number, _)| entry + 2 * number as u64).collect())
}
