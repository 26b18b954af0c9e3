//! Program checks of the kernel that are ours.
//!
//! What the emulator lacks (UVC, PQAP, NQAP, DQAP) is an operation exception to the guest. The new PSW for program
//! checks is led to twenty bytes of our own in the padding of the CPU's two pages (lowcore). They compare the code of
//! the program check with 1 (operation) and reach a breakpoint if it is; all others go to the kernel's own handler, and
//! never stop the machine.
//!
//! | lowcore | what |
//! |---|---|
//! | 0x08d, 0x08e | length of the instruction, code of the program check |
//! | 0x150 | old PSW: its address is that behind the instruction |
//! | 0x1d0 | new PSW |
//! | 0xff0 | ours: the kernel's own new PSW |
//! | 0x1000 | ours: the code |
//!
//! A kernel sets the new PSW three times: its decompressor has one from the beginning; the kernel itself has one for
//! the time until it has made its own lowcore; and a last one in that lowcore, which it then puts in use by SPX. Nothing
//! of ours happens in the second time. So the first is led away when the decompressor asks for the facilities, the last
//! when the kernel is about to carry out SPX.

use crate::cpu::{Cpu, REAL};
use crate::firmware::Firmware;
use crate::{Error, GuestMemory, ap, uvc};

const OLD_PSW: u64 = 0x150;
const NEW_PSW: u64 = 0x1d0;
const KERNELS_PSW: u64 = 0xff0;
const CODE: u64 = 0x1000;
/// Where the machine stops, in real addresses.
pub(crate) const POINT: u64 = CODE + 0x10;
/// Operation exception.
const OPERATION: u16 = 1;

/// ```text
/// 1000  e555 008e 0001  clhhsi 0x8e,1      operation exception?
/// 1006  a784 0005       je     0x1010
/// 100a  b2b2 0ff0       lpswe  0xff0       the kernel's own handler
/// 100e  0700            nopr
/// 1010  b2b2 0ff0       lpswe  0xff0       breakpoint
/// ```
const HANDLER: [u8; 20] =
    [0xe5, 0x55, 0, 0x8e, 0, 1, 0xa7, 0x84, 0, 5, 0xb2, 0xb2, 0x0f, 0xf0, 7, 0, 0xb2, 0xb2, 0x0f, 0xf0];

/// What goes into a lowcore whose new PSW is the kernel's own; nothing if it is ours already, or none.
fn led_away(new_psw: &[u8; 16]) -> Option<[(u64, Vec<u8>); 3]> {
    let address = u64::from_be_bytes(new_psw.last_chunk().copied().unwrap_or_default());
    if address == 0 || address == CODE {
        return None;
    }
    let ours = [REAL.to_be_bytes(), CODE.to_be_bytes()].concat();
    Some([(CODE, HANDLER.to_vec()), (KERNELS_PSW, new_psw.to_vec()), (NEW_PSW, ours)])
}

/// Leads program checks of the lowcore away that the CPU has now.
pub(crate) fn lead_away(cpu: &mut Cpu<'_>) -> Result<(), Error> {
    let new_psw = cpu.read_real(NEW_PSW)?;
    for (at, bytes) in led_away(&new_psw).into_iter().flatten() {
        cpu.write_real(at, &bytes)?;
    }
    Ok(())
}

/// Leads program checks of a lowcore away that is not in use yet, by its absolute address. Gives whether it is one.
pub(crate) fn lead_away_in(memory: &GuestMemory, lowcore: u64) -> Result<bool, Error> {
    let new_psw = memory.read(lowcore + NEW_PSW, 16)?.and_then(|bytes| bytes.try_into().ok());
    let Some(writes) = new_psw.and_then(|new_psw| led_away(&new_psw)) else { return Ok(false) };
    for (at, bytes) in writes {
        memory.write(lowcore + at, &bytes)?;
    }
    Ok(true)
}

/// Does what the kernel asks for by the instruction that made it stop, or lets its own handler have it. Gives the
/// first half of the instruction if it was ours. The lowcore, by its absolute address, is read in the mapped memory: a
/// packet to the emulator and its answer take longer than all else here.
pub(crate) fn stopped(
    cpu: &mut Cpu<'_>,
    memory: &GuestMemory,
    lowcore: u64,
    firmware: &mut impl Firmware,
) -> Result<Option<u16>, Error> {
    let [_, length, code_high, code_low]: [u8; 4] = read(memory, lowcore + 0x8c)?;
    let old: [u8; 16] = read(memory, lowcore + OLD_PSW)?;
    let word = |at: usize| old[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    // From here on memory is that of whoever was interrupted.
    cpu.set_psw(word(0), word(8));
    if u16::from_be_bytes([code_high, code_low]) == OPERATION && length & 6 == 4 && !cpu.is_a_program() {
        if let Some([first, operation, _, registers]) = cpu.read(cpu.address().wrapping_sub(4), 4)?.as_deref() {
            let (first, operation, registers) = (*first, *operation, *registers);
            let condition = match (first, operation) {
                (0xb9, 0xa4) => uvc::carry_out(cpu, firmware, cpu.general(registers & 15))?,
                (0xb2, ap::NQAP | ap::DQAP | ap::PQAP) if firmware.has_ap() => {
                    Some(ap::carry_out(cpu, firmware, operation, registers)?)
                }
                _ => None,
            };
            if let Some(condition) = condition {
                cpu.set_condition_code(condition);
                return Ok(Some(u16::from_be_bytes([first, operation])));
            }
        }
    }
    let kernels: [u8; 16] = read(memory, lowcore + KERNELS_PSW)?;
    let word = |at: usize| kernels[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    cpu.set_psw(word(0), word(8));
    Ok(None)
}

fn read<const N: usize>(memory: &GuestMemory, address: u64) -> Result<[u8; N], Error> {
    let bytes = memory.read(address, N)?.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(Error::Image("the kernel's lowcore is not in memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lowcore_is_led_away_once() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(0x8000).unwrap();
        let memory = GuestMemory::new(file);
        assert!(!lead_away_in(&memory, 0x2000).unwrap(), "there is no handler yet");
        let kernels = [[0x04, 4, 0, 1, 0x80, 0, 0, 0], [0, 3, 0xff, 0xe0, 0, 0x12, 0x34, 0x56]].concat();
        memory.write(0x2000 + NEW_PSW, &kernels).unwrap();
        assert!(lead_away_in(&memory, 0x2000).unwrap());
        assert!(!lead_away_in(&memory, 0x2000).unwrap(), "the kernel's own PSW must not be lost");
        assert_eq!(memory.read(0x2000 + KERNELS_PSW, 16).unwrap().unwrap(), kernels);
        assert_eq!(memory.read(0x3000, 20).unwrap().unwrap(), HANDLER);
        assert_eq!(memory.read(0x2000 + NEW_PSW, 16).unwrap().unwrap()[8..], CODE.to_be_bytes());
        assert!(!lead_away_in(&memory, u64::MAX - 0x2000).unwrap());
    }
}
