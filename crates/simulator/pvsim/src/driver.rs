//! The kernel's driver of `/dev/uv`: what it checks itself before the ultravisor sees anything.
//!
//! Source: Linux `drivers/s390/char/uvdevice.c`.

use crate::device::{IoctlAnswer, IoctlCall, Write};
use crate::ultravisor::{Failure, Ultravisor};
use crate::{Error, Kernel};
use nix::libc::{EFAULT, EINVAL, ENOTTY};
use uvdevice::abi::{
    ADD_SECRET_MAX, ADDITIONAL_MAX, ARCB_MAX, AttestArgument, Command, ControlBlock, InfoArgument, LIST_PAGE,
    MEASUREMENT_MAX, RETRIEVE_MAX, RETRIEVE_MIN,
};
use zerocopy::{FromBytes, IntoBytes};

const SUCCESS: (u16, u16) = (0x0001, 0);
const MORE_DATA: (u16, u16) = (0x0100, 0);

/// A call that the driver lets through, with what it read for it.
pub(crate) struct Accepted {
    pub(crate) command: Command,
    block: ControlBlock,
    input: Vec<u8>,
    arcb: Vec<u8>,
}

/// Why the driver does not let a call through.
pub(crate) struct Errno(pub(crate) i32);

impl Accepted {
    /// The driver's checks, in its order.
    pub(crate) fn check(call: &IoctlCall, kernel: Kernel) -> Result<Self, Errno> {
        let command = Command::from_request(call.request)
            .filter(|command| kernel.commands() & command.bit() != 0)
            .ok_or(Errno(ENOTTY))?;
        let block = call.control_block.ok_or(Errno(EFAULT))?;
        let block = ControlBlock::read_from_bytes(&block).map_err(|_| Errno(EFAULT))?;
        require(block.flags == 0 && block.reserved14 == [0; 44])?;
        let length = block.argument_len as usize;
        let mut accepted = Self { command, block, input: Vec::new(), arcb: Vec::new() };
        match command {
            Command::Info => require(length >= size_of::<InfoArgument>())?,
            Command::Attest => {
                require(length == size_of::<AttestArgument>())?;
                accepted.input = call.argument.clone().ok_or(Errno(EFAULT))?;
                let attest = accepted.attest_argument()?;
                require((1..=ARCB_MAX).contains(&(attest.arcb_len as usize)))?;
                require((1..=MEASUREMENT_MAX).contains(&(attest.meas_len as usize)))?;
                require(attest.add_data_len as usize <= ADDITIONAL_MAX && attest.reserved136 == 0)?;
                accepted.arcb = call.arcb.clone().ok_or(Errno(EFAULT))?;
            }
            Command::AddSecret => {
                require((1..=ADD_SECRET_MAX).contains(&length))?;
                accepted.input = call.argument.clone().ok_or(Errno(EFAULT))?;
            }
            Command::ListSecrets if kernel.has_long_list() => require(length > 0 && length % LIST_PAGE == 0)?,
            Command::ListSecrets => require(length == LIST_PAGE)?,
            Command::LockSecrets => require(length == 0 && block.argument_addr == 0)?,
            Command::RetrieveSecret => {
                require((RETRIEVE_MIN..=RETRIEVE_MAX).contains(&length))?;
                accepted.input = call.argument.clone().ok_or(Errno(EFAULT))?;
            }
        }
        Ok(accepted)
    }

    fn attest_argument(&self) -> Result<AttestArgument, Errno> {
        AttestArgument::read_from_bytes(&self.input).map_err(|_| Errno(EFAULT))
    }

    /// Passes the call on to the ultravisor.
    pub(crate) fn carry_out(self, uv: &mut Ultravisor<'_>) -> Result<IoctlAnswer, Error> {
        let room = self.block.argument_len as usize;
        let ((rc, rrc), writes) = match self.command {
            Command::Info => {
                let commands = uv.platform.settings.kernel.commands();
                // The info command is the driver's own.
                let supported = commands & !Command::Info.bit();
                let info = InfoArgument { supp_uvio_cmds: commands, supp_uv_cmds: supported };
                (SUCCESS, vec![self.write(info.as_bytes().to_vec())])
            }
            Command::Attest => return self.attest(uv),
            Command::AddSecret => (code(uv.add_secret(&self.input))?.0, vec![]),
            Command::ListSecrets => {
                let (list, more) = uv.list_secrets(room);
                (if more { MORE_DATA } else { SUCCESS }, vec![self.write(list)])
            }
            Command::LockSecrets => (code(uv.lock_secrets())?.0, vec![]),
            Command::RetrieveSecret => {
                let index = self.input.iter().take(2).fold(0, |index, byte| index << 8 | u16::from(*byte));
                let (code, secret) = code(uv.retrieve_secret(index, room))?;
                // The buffer goes back whole, also when the ultravisor refused.
                let mut buffer = secret.unwrap_or_default();
                buffer.resize(room, 0);
                (code, vec![self.write(buffer)])
            }
        };
        Ok(IoctlAnswer::Done { rc, rrc, writes })
    }

    fn attest(self, uv: &Ultravisor<'_>) -> Result<IoctlAnswer, Error> {
        let Ok(mut argument) = self.attest_argument() else { return Ok(IoctlAnswer::Errno(EFAULT)) };
        let (measurement_room, additional_room) = (argument.meas_len as usize, argument.add_data_len as usize);
        // A length beyond the field is for the ultravisor to refuse.
        let mut user_data = argument.user_data.to_vec();
        user_data.resize(argument.user_data_len.into(), 0);
        let result = uv.attest(&self.arcb, &user_data, measurement_room, additional_room);
        let ((rc, rrc), attestation) = code(result)?;
        let Some(attestation) = attestation else {
            return Ok(IoctlAnswer::Done { rc, rrc, writes: vec![] });
        };
        let mut measurement = attestation.measurement;
        measurement.resize(measurement_room, 0);
        argument.config_uid = uv.guest.cuid.0;
        argument.add_data_len = attestation.additional.len() as u32;
        let mut writes = vec![Write { address: argument.meas_addr, bytes: measurement }];
        if !attestation.additional.is_empty() {
            writes.push(Write { address: argument.add_data_addr, bytes: attestation.additional });
        }
        writes.push(self.write(argument.as_bytes().to_vec()));
        Ok(IoctlAnswer::Done { rc, rrc, writes })
    }

    /// Bytes for the argument.
    fn write(&self, bytes: Vec<u8>) -> Write {
        Write { address: self.block.argument_addr, bytes }
    }
}

fn require(condition: bool) -> Result<(), Errno> {
    if condition { Ok(()) } else { Err(Errno(EINVAL)) }
}

/// The return codes of a command, and what it gave.
fn code<T>(result: Result<T, Failure>) -> Result<((u16, u16), Option<T>), Error> {
    match result {
        Ok(value) => Ok((SUCCESS, Some(value))),
        Err(Failure::Refused(refusal)) => Ok((refusal.code(), None)),
        Err(Failure::Broken(error)) => Err(error),
    }
}
