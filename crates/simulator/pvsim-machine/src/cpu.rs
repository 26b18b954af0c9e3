//! The CPU as it stands still: its registers, and the memory that it sees.

use crate::Error;
use crate::gdb::{Gdb, REGISTERS};

/// DAT off, 64-bit addressing: real addresses.
pub(crate) const REAL: u64 = 0x0000_0001_8000_0000;
/// The bit of the PSW mask that stands for problem state: a program, not the kernel.
const PROBLEM_STATE: u64 = 1 << 48;
/// Bits of the PSW mask that hold the condition code.
const CONDITION_CODE: u64 = 3 << 44;

/// A CPU that stands still. What is changed is written back with [`Cpu::write_back`].
#[derive(Debug)]
pub(crate) struct Cpu<'a> {
    gdb: &'a mut Gdb,
    registers: [u64; REGISTERS],
    machine: [u64; REGISTERS],
}

impl<'a> Cpu<'a> {
    pub(crate) fn new(gdb: &'a mut Gdb) -> Result<Self, Error> {
        let registers = gdb.registers()?;
        Ok(Self { gdb, registers, machine: registers })
    }

    /// Address of the next instruction.
    pub(crate) fn address(&self) -> u64 {
        self.registers[1]
    }

    pub(crate) fn psw_mask(&self) -> u64 {
        self.registers[0]
    }

    pub(crate) fn general(&self, number: u8) -> u64 {
        self.registers[2 + usize::from(number & 15)]
    }

    pub(crate) fn set_general(&mut self, number: u8, value: u64) {
        self.registers[2 + usize::from(number & 15)] = value;
    }

    /// Replaces the lower half of a register.
    pub(crate) fn set_low(&mut self, number: u8, value: u64) {
        self.set_general(number, self.general(number) & !0xffff_ffff | value & 0xffff_ffff);
    }

    pub(crate) fn set_psw(&mut self, mask: u64, address: u64) {
        self.registers[0] = mask;
        self.registers[1] = address;
    }

    pub(crate) fn set_condition_code(&mut self, code: u8) {
        self.registers[0] = self.registers[0] & !CONDITION_CODE | u64::from(code & 3) << 44;
    }

    pub(crate) fn is_a_program(&self) -> bool {
        self.registers[0] & PROBLEM_STATE != 0
    }

    /// The address that an operand with base and displacement (16 bits) has.
    pub(crate) fn operand(&self, base_and_displacement: u16) -> u64 {
        let base = (base_and_displacement >> 12) as u8;
        let start = if base == 0 { 0 } else { self.general(base) };
        start.wrapping_add(u64::from(base_and_displacement & 0xfff))
    }

    /// Memory in the address space that the PSW says; `None` if it cannot be read.
    pub(crate) fn read(&mut self, address: u64, length: usize) -> Result<Option<Vec<u8>>, Error> {
        self.use_psw()?;
        self.gdb.read(address, length)
    }

    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<bool, Error> {
        self.use_psw()?;
        self.gdb.write(address, bytes)
    }

    /// Memory by real address: what stands in the CPU's own first two pages is found there.
    pub(crate) fn read_real<const N: usize>(&mut self, address: u64) -> Result<[u8; N], Error> {
        self.put(0, REAL)?;
        let bytes = self.gdb.read(address, N)?.and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| Error::Debugger {
            expected: "the CPU's own page",
            found: format!("nothing at {address:#x}"),
        })
    }

    pub(crate) fn write_real(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        self.put(0, REAL)?;
        self.gdb.write(address, bytes).map(drop)
    }

    /// Carries out the instruction at which it stands, at which a breakpoint is.
    pub(crate) fn step_over_breakpoint(&mut self) -> Result<(), Error> {
        let at = self.address();
        self.write_back()?;
        self.gdb.remove_breakpoint(at)?;
        self.gdb.step()?;
        self.gdb.insert_breakpoint(at)?;
        self.registers = self.gdb.registers()?;
        self.machine = self.registers;
        Ok(())
    }

    pub(crate) fn gdb(&mut self) -> &mut Gdb {
        self.gdb
    }

    /// Makes the machine have these registers.
    pub(crate) fn write_back(&mut self) -> Result<(), Error> {
        (0..REGISTERS).try_for_each(|number| self.put(number, self.registers[number]))
    }

    fn use_psw(&mut self) -> Result<(), Error> {
        self.put(0, self.registers[0])
    }

    fn put(&mut self, number: usize, value: u64) -> Result<(), Error> {
        if self.machine[number] != value {
            self.gdb.set_register(number, value)?;
            self.machine[number] = value;
        }
        Ok(())
    }
}
