//! The AP instructions: PQAP, NQAP, DQAP.
//!
//! General register 0 holds function and queue, 1 gets the status. Source: Linux `arch/s390/include/asm/ap.h`.

use crate::Error;
use crate::cpu::Cpu;
use crate::firmware::{ApCall, ApData, Firmware};

/// Second bytes of the instructions; the first is `b2`.
pub(crate) const NQAP: u8 = 0xad;
pub(crate) const DQAP: u8 = 0xae;
pub(crate) const PQAP: u8 = 0xaf;

/// A message was invalid: its area cannot be read or written.
const INVALID_ADDRESS: u64 = 0x06 << 16;
/// More than any message has: the largest cards take 256 pages.
const MESSAGE_MAX: u64 = 1 << 20;
/// The F bit of a reset.
const UNBINDS: u64 = 1 << 22;

/// Carries out the instruction `b2OP00RR`. Gives the condition code.
pub(crate) fn carry_out(
    cpu: &mut Cpu<'_>,
    firmware: &mut impl Firmware,
    operation: u8,
    registers: u8,
) -> Result<u8, Error> {
    let (r1, r2) = (registers >> 4, registers & 15);
    let r0 = cpu.general(0);
    let apqn = r0 as u16;
    let call = match operation {
        NQAP => {
            let message_id = cpu.general(r1) << 32 | cpu.general(r1 + 1) & 0xffff_ffff;
            let (address, length) = (cpu.general(r2), cpu.general(r2 + 1));
            let message = if length <= MESSAGE_MAX { cpu.read(address, length as usize)? } else { None };
            let Some(message) = message else { return Ok(refuse(cpu)) };
            ApCall::Enqueue { apqn, message_id, message }
        }
        DQAP => ApCall::Dequeue { apqn, room: cpu.general(r2 + 1).min(MESSAGE_MAX) as usize },
        _ => function((r0 >> 24) as u8, apqn, r0 & UNBINDS != 0, cpu.general(2) as u16),
    };
    let answer = firmware.ap(call).map_err(Error::Firmware)?;
    match answer.data {
        ApData::Nothing => {}
        ApData::Register(value) => cpu.set_general(2, value),
        ApData::Configuration(block) => {
            if !cpu.write(cpu.general(2), block.as_slice())? {
                return Ok(refuse(cpu));
            }
        }
        ApData::Reply { message_id, message } => {
            let (address, room) = (cpu.general(r2), cpu.general(r2 + 1));
            if !cpu.write(address, &message)? {
                return Ok(refuse(cpu));
            }
            // The area moves on by what was written, and nothing is left over.
            cpu.set_general(r2, address.wrapping_add(message.len() as u64));
            cpu.set_general(r2 + 1, room.saturating_sub(message.len() as u64));
            cpu.set_general(r1, message_id >> 32);
            cpu.set_general(r1 + 1, message_id & 0xffff_ffff);
            cpu.set_general(2, 0);
        }
    }
    cpu.set_low(1, answer.status.word());
    Ok(if answer.status.response == 0 { 0 } else { 3 })
}

fn function(function: u8, apqn: u16, f_bit: bool, index: u16) -> ApCall {
    match function {
        0 => ApCall::Test { apqn },
        1 => ApCall::Reset { apqn, unbinds: f_bit },
        2 => ApCall::Zeroize { apqn },
        3 => ApCall::InterruptControl { apqn },
        4 => ApCall::Configuration,
        5 => ApCall::CompatibleType { apqn },
        7 => ApCall::Bind { apqn },
        8 => ApCall::Associate { apqn, index },
        function => ApCall::Unknown { function, apqn },
    }
}

fn refuse(cpu: &mut Cpu<'_>) -> u8 {
    cpu.set_low(1, INVALID_ADDRESS);
    3
}
