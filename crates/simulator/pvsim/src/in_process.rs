//! A machine as the driver of [`uvdevice::UvDevice`], without a device: for tests inside one process. The calls go
//! the same way as those of other programs.

use crate::Machine;
use crate::device::{IoctlAnswer, IoctlCall, Write};
use std::io;
use uvdevice::abi::{AttestArgument, Command, ControlBlock};
use uvdevice::{AttestCall, Driver, ReturnCode};
use zerocopy::{FromBytes, IntoBytes};

/// Where the areas of a call are said to be. Nothing is there: the writes come back by these numbers.
const ARGUMENT: u64 = 0x1_0000_0000;
const REQUEST: u64 = 0x2_0000_0000;
const MEASUREMENT: u64 = 0x3_0000_0000;
const ADDITIONAL: u64 = 0x4_0000_0000;

/// The driver of a machine's `/dev/uv`.
#[derive(Clone, Debug)]
pub struct InProcess(pub Machine);

impl Driver for InProcess {
    fn call(&self, command: Command, argument: &mut [u8]) -> io::Result<ReturnCode> {
        let (code, writes) = self.exchange(command, argument, None)?;
        for write in writes {
            fill(argument, &write.bytes)?;
        }
        Ok(code)
    }

    fn attest(&self, call: &mut AttestCall<'_>) -> io::Result<ReturnCode> {
        let argument = AttestArgument {
            arcb_addr: REQUEST,
            meas_addr: MEASUREMENT,
            add_data_addr: ADDITIONAL,
            user_data: call.user_data,
            config_uid: [0; 16],
            arcb_len: call.request.len() as u32,
            meas_len: call.measurement.len() as u32,
            add_data_len: call.additional.len() as u32,
            user_data_len: call.user_data_len,
            reserved136: 0,
        };
        let request = call.request.to_vec();
        let (code, writes) = self.exchange(Command::Attest, argument.as_bytes(), Some(request))?;
        for write in writes {
            match write.address {
                MEASUREMENT => fill(call.measurement, &write.bytes)?,
                ADDITIONAL => fill(call.additional, &write.bytes)?,
                _ => {
                    let written = AttestArgument::read_from_bytes(&write.bytes).map_err(|_| stray())?;
                    call.additional_len = written.add_data_len;
                    call.config_uid = written.config_uid;
                }
            }
        }
        Ok(code)
    }
}

impl InProcess {
    fn exchange(
        &self,
        command: Command,
        argument: &[u8],
        arcb: Option<Vec<u8>>,
    ) -> io::Result<(ReturnCode, Vec<Write>)> {
        let block = ControlBlock {
            flags: 0,
            uv_rc: 0,
            uv_rrc: 0,
            argument_addr: if argument.is_empty() { 0 } else { ARGUMENT },
            argument_len: argument.len() as u32,
            reserved14: [0; 44],
        };
        let mut control_block = [0; size_of::<ControlBlock>()];
        control_block.copy_from_slice(block.as_bytes());
        let wanted = IoctlCall::wanted_argument(command.request(), &control_block);
        let call = IoctlCall {
            request: command.request(),
            control_block: Some(control_block),
            argument: argument.get(..wanted).map(<[u8]>::to_vec),
            arcb,
        };
        match self.0.ioctl(&call).map_err(io::Error::other)? {
            IoctlAnswer::Errno(errno) => Err(io::Error::from_raw_os_error(errno)),
            IoctlAnswer::Done { rc, rrc, writes } => Ok((ReturnCode { rc, rrc }, writes)),
        }
    }
}

fn fill(area: &mut [u8], bytes: &[u8]) -> io::Result<()> {
    area.get_mut(..bytes.len()).ok_or_else(stray)?.copy_from_slice(bytes);
    Ok(())
}

fn stray() -> io::Error {
    io::Error::other("the simulator wrote outside of an area")
}
