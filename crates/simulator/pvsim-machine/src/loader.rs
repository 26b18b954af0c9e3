//! The way into secure mode: the loader in front of the image asks for it.
//!
//! It asks whether the machine has the facility for it (STFLE, bit 161), then tells where header and components are
//! (DIAGNOSE 0x308 subcode 8) and asks to be replaced by what they hold (subcode 10). The emulator knows neither, so
//! these instructions of the loader have breakpoints.

use crate::cpu::Cpu;
use crate::firmware::{Firmware, Refused};
use crate::{Error, GuestMemory, Ipib};
use std::collections::BTreeSet;

/// Where a loader's code may be in an image: from the entry of a kernel to the SE header.
const CODE: std::ops::Range<usize> = 0x1_0000..0x1_4000;
/// The facility of unpacking.
const UNPACK_FACILITY: u64 = 161;
/// The block is good.
const GOOD: u64 = 1;
/// Of the answer to subcode 10.
const REFUSED: u64 = 0x0a02;

/// The loader's instructions that are ours.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    stfle: BTreeSet<u64>,
    diagnose: BTreeSet<u64>,
    block: Option<Ipib>,
}

/// How far the loader is after a stop.
#[derive(Debug)]
pub(crate) enum Step {
    /// It goes on.
    Loading,
    /// Secure mode was refused: the loader will say so.
    Refused(Refused),
    /// The guest starts; what was to be unpacked is.
    Started(Ipib),
}

impl Loader {
    /// The loader of an image.
    ///
    /// # Errors
    /// [`Error::Image`] when it never asks for secure mode.
    pub(crate) fn of(image: &[u8]) -> Result<Self, Error> {
        let mut loader = Self::default();
        let end = CODE.end.min(image.len());
        for at in (CODE.start..end.saturating_sub(3)).step_by(2) {
            match image[at..at + 4] {
                [0xb2, 0xb0, ..] => drop(loader.stfle.insert(at as u64)),
                [0x83, _, 0x03, 0x08] => drop(loader.diagnose.insert(at as u64)),
                _ => {}
            }
        }
        if loader.diagnose.is_empty() {
            return Err(Error::Image("no loader in it asks for secure mode: it is no Secure Execution image"));
        }
        Ok(loader)
    }

    pub(crate) fn points(&self) -> impl Iterator<Item = u64> {
        self.stfle.iter().chain(&self.diagnose).copied()
    }

    /// Does what the instruction asks for at which the CPU stands.
    pub(crate) fn stopped(
        &mut self,
        cpu: &mut Cpu<'_>,
        memory: &GuestMemory,
        firmware: &mut impl Firmware,
    ) -> Result<Step, Error> {
        let at = cpu.address();
        if self.stfle.contains(&at) {
            add_facilities(cpu, &[UNPACK_FACILITY])?;
            return Ok(Step::Loading);
        }
        if !self.diagnose.contains(&at) {
            return Err(Error::Stopped(at));
        }
        let registers = cpu.read(at, 2)?.map_or(0, |bytes| bytes[1]);
        let (r1, r3) = (registers >> 4, registers & 15);
        match cpu.general(r3) {
            8 => {
                let block = memory.read(cpu.general(r1), 0x1000)?.map(|block| Ipib::parse(&block)).transpose();
                // A block that is none is the loader's mistake: it hears of it.
                self.block = block.unwrap_or_default();
                cpu.set_general(r1 | 1, if self.block.is_some() { GOOD } else { 0x0402 });
                advance(cpu, at + 4);
                Ok(Step::Loading)
            }
            10 => {
                let Some(block) = &self.block else {
                    cpu.set_general(r1 | 1, REFUSED);
                    advance(cpu, at + 4);
                    return Ok(Step::Loading);
                };
                match firmware.start_secure(block, memory).map_err(Error::Firmware)? {
                    Ok((mask, address)) => {
                        (0..16).for_each(|number| cpu.set_general(number, 0));
                        cpu.set_psw(mask, address);
                        Ok(Step::Started(block.clone()))
                    }
                    Err(refused) => {
                        let Refused { command, rc, rrc } = refused;
                        let answer = u64::from(command) << 48 | u64::from(rrc) << 32 | u64::from(rc) << 16 | REFUSED;
                        cpu.set_general(r1 | 1, answer);
                        advance(cpu, at + 4);
                        Ok(Step::Refused(refused))
                    }
                }
            }
            // Others the emulator knows.
            _ => {
                cpu.step_over_breakpoint()?;
                Ok(Step::Loading)
            }
        }
    }
}

/// Goes on at `address`, all else as it is.
fn advance(cpu: &mut Cpu<'_>, address: u64) {
    cpu.set_psw(cpu.psw_mask(), address);
}

/// Carries out the STFLE at which the CPU stands, and sets bits in the list that it stores, as far as it is that long.
pub(crate) fn add_facilities(cpu: &mut Cpu<'_>, bits: &[u64]) -> Result<(), Error> {
    let instruction = cpu.read(cpu.address(), 4)?.unwrap_or_default();
    let [_, _, high, low] = instruction[..] else { return Err(Error::Stopped(cpu.address())) };
    let list = cpu.operand(u16::from_be_bytes([high, low]));
    let room = ((cpu.general(0) & 0xff) + 1) * 64;
    cpu.step_over_breakpoint()?;
    for bit in bits.iter().filter(|bit| **bit < room) {
        let at = list.wrapping_add(bit / 8);
        if let Some([byte]) = cpu.read(at, 1)?.as_deref() {
            let set = [byte | 0x80 >> (bit % 8)];
            cpu.write(at, &set)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_loader_asks() {
        let mut image = vec![0; 0x14000];
        image[0x11000..0x11004].copy_from_slice(&[0xb2, 0xb0, 0x20, 0x00]);
        image[0x11010..0x11014].copy_from_slice(&[0x83, 0x24, 0x03, 0x08]);
        // Not at an even address: no instruction.
        image[0x11021..0x11025].copy_from_slice(&[0x83, 0x24, 0x03, 0x08]);
        let loader = Loader::of(&image).unwrap();
        assert_eq!(loader.points().collect::<Vec<_>>(), [0x11000, 0x11010]);
        assert!(Loader::of(&[0; 0x20000]).is_err());
        assert!(Loader::of(b"short").is_err());
    }
}
