//! From messages of the kernel to calls of the machine.
//!
//! The kernel does not know which memory an ioctl of ours means, so a call takes several rounds. Each answer but
//! the last says which areas the next round has to bring or have room for:
//!
//! | round | the kernel brings | we answer |
//! |---|---|---|
//! | 1 | the number and the address | bring the control block |
//! | 2 | control block | bring the argument too, when the command reads it |
//! | 3 | control block, argument | bring the attestation request too, for attest |
//! | 4 | everything | the machine carries the call out: have room for what it wrote |
//! | 5 | the room | what it wrote |

use crate::protocol::{
    Area, CUSE_UNRESTRICTED_IOCTL, CuseInitIn, CuseInitOut, Cut, IOCTL_RETRY, InHeader, IoctlIn, IoctlOut, OpenOut,
    opcode, refusal, reply, take,
};
use nix::libc::{EFAULT, EIO, ENOSYS};
use pvsim::device::{IoctlAnswer, IoctlCall};
use pvsim::{Error, Machine};
use std::collections::HashMap;
use uvdevice::abi::{Command, ControlBlock};
use zerocopy::{FromBytes, IntoBytes};

const BLOCK: usize = size_of::<ControlBlock>();

/// Who is in a call: an open file and a thread, which can be in one call at a time.
type Caller = (u64, u32);

/// What a device node's server knows.
#[derive(Debug)]
pub(crate) struct Session {
    machine: Machine,
    opened: u64,
    /// What calls that were carried out have to write, until the kernel has room for it.
    carried_out: HashMap<Caller, Vec<u8>>,
}

/// A reply, and what went wrong in the simulator, which the caller only sees as an I/O error.
pub(crate) type Answer = (Option<Vec<u8>>, Option<Error>);

impl Session {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, opened: 0, carried_out: HashMap::new() }
    }

    /// Answers one message.
    ///
    /// # Errors
    /// The message is no message.
    pub(crate) fn answer(&mut self, message: &[u8]) -> Result<Answer, Cut> {
        let (header, body): (InHeader, _) = take(message, "header")?;
        let unique = header.unique;
        let reply = match header.opcode {
            opcode::CUSE_INIT => init(unique, take(body, "cuse_init_in")?.0),
            opcode::OPEN => return Ok(self.open(unique)),
            opcode::RELEASE => {
                let (closed, _): (u64, _) = take(body, "fuse_release_in")?;
                self.carried_out.retain(|(file, _), _| *file != closed);
                reply(unique, &[])
            }
            opcode::IOCTL => {
                let (call, data): (IoctlIn, _) = take(body, "fuse_ioctl_in")?;
                let data = data.get(..call.in_size as usize).ok_or(Cut("data of an ioctl"))?;
                return Ok(self.ioctl(&header, &call, data));
            }
            // About another message, which is answered as if nothing had happened: calls are short.
            opcode::INTERRUPT => return Ok((None, None)),
            _ => refusal(unique, ENOSYS),
        };
        Ok((Some(reply), None))
    }

    fn open(&mut self, unique: u64) -> Answer {
        match self.machine.open_device() {
            Ok(None) => {
                self.opened += 1;
                let opened = OpenOut { fh: self.opened, open_flags: 0, padding: 0 };
                (Some(reply(unique, &[opened.as_bytes()])), None)
            }
            Ok(Some(errno)) => (Some(refusal(unique, errno)), None),
            Err(error) => (Some(refusal(unique, EIO)), Some(error)),
        }
    }

    fn ioctl(&mut self, header: &InHeader, call: &IoctlIn, data: &[u8]) -> Answer {
        let (unique, caller) = (header.unique, (call.fh, header.pid));
        // A call that brings no room is a new one, whatever became of the caller's last.
        if let Some(bytes) = self.carried_out.remove(&caller).filter(|bytes| bytes.len() == call.out_size as usize) {
            let done = IoctlOut { result: 0, flags: 0, in_iovs: 0, out_iovs: 0 };
            return (Some(reply(unique, &[done.as_bytes(), &bytes])), None);
        }
        let complete = match gather(call, data) {
            Ok(complete) => complete,
            Err(areas) => return (Some(retry(unique, &areas, &[])), None),
        };
        let block = complete.control_block.and_then(|block| ControlBlock::read_from_bytes(&block).ok());
        match self.machine.ioctl(&complete) {
            Ok(IoctlAnswer::Errno(errno)) => (Some(refusal(unique, errno)), None),
            Ok(IoctlAnswer::Done { rc, rrc, writes }) => {
                // A call without a control block does not get this far.
                let Some(block) = block else { return (Some(refusal(unique, EFAULT)), None) };
                let mut bytes = ControlBlock { uv_rc: rc, uv_rrc: rrc, ..block }.as_bytes().to_vec();
                let mut areas = vec![Area { base: call.arg, len: BLOCK as u64 }];
                for write in &writes {
                    areas.push(Area { base: write.address, len: write.bytes.len() as u64 });
                    bytes.extend_from_slice(&write.bytes);
                }
                self.carried_out.insert(caller, bytes);
                // The control block is brought once more, and ignored: Linux, which forgets between rounds that
                // there is nothing to bring, would send the areas in the place of its own structure.
                (Some(retry(unique, areas.get(..1).unwrap_or_default(), &areas)), None)
            }
            Err(error) => (Some(refusal(unique, EIO)), Some(error)),
        }
    }
}

/// The whole call, or the areas of memory that it takes.
fn gather(call: &IoctlIn, data: &[u8]) -> Result<IoctlCall, Vec<Area>> {
    let mut gathered = IoctlCall { request: call.cmd, control_block: None, argument: None, arcb: None };
    if Command::from_request(call.cmd).is_none() {
        // Refused for its number: its argument may be no address at all.
        return Ok(gathered);
    }
    let mut areas = vec![Area { base: call.arg, len: BLOCK as u64 }];
    let Some((block, data)) = data.split_first_chunk::<BLOCK>() else { return Err(areas) };
    gathered.control_block = Some(*block);

    let wanted = IoctlCall::wanted_argument(call.cmd, block);
    let address = ControlBlock::read_from_bytes(block).map_or(0, |block| block.argument_addr);
    areas.push(Area { base: address, len: wanted as u64 });
    let Some((argument, data)) = data.split_at_checked(wanted) else { return Err(areas) };
    gathered.argument = Some(argument.to_vec());

    let (address, wanted) = IoctlCall::wanted_arcb(call.cmd, argument).unwrap_or((0, 0));
    areas.push(Area { base: address, len: wanted as u64 });
    let Some((arcb, _)) = data.split_at_checked(wanted) else { return Err(areas) };
    gathered.arcb = Some(arcb.to_vec());
    Ok(gathered)
}

fn init(unique: u64, kernel: CuseInitIn) -> Vec<u8> {
    let ours = CuseInitOut {
        major: kernel.major,
        minor: kernel.minor,
        unused: 0,
        flags: CUSE_UNRESTRICTED_IOCTL,
        max_read: 4096,
        max_write: 4096,
        dev_major: 0,
        dev_minor: 0,
        spare: [0; 10],
    };
    reply(unique, &[ours.as_bytes(), b"DEVNAME=uv\0"])
}

fn retry(unique: u64, bring: &[Area], room: &[Area]) -> Vec<u8> {
    let out = IoctlOut { result: 0, flags: IOCTL_RETRY, in_iovs: bring.len() as u32, out_iovs: room.len() as u32 };
    reply(unique, &[out.as_bytes(), bring.as_bytes(), room.as_bytes()])
}

#[cfg(test)]
mod tests;
