//! The ioctls: the only unsafe code of the product.

use crate::abi::{AttestArgument, Command, ControlBlock};
use crate::{AttestCall, Driver, ReturnCode};
use nix::errno::Errno;
use nix::libc;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use zerocopy::IntoBytes;

/// An open `/dev/uv`.
#[derive(Debug)]
pub struct Kernel(pub(crate) File);

impl Driver for Kernel {
    fn call(&self, command: Command, argument: &mut [u8]) -> io::Result<ReturnCode> {
        if command == Command::Attest {
            // Its argument holds addresses: bytes from anywhere must not become those.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.exchange(command, argument)
    }

    fn attest(&self, call: &mut AttestCall<'_>) -> io::Result<ReturnCode> {
        let mut argument = AttestArgument {
            arcb_addr: call.request.as_ptr() as u64,
            meas_addr: call.measurement.as_mut_ptr() as u64,
            add_data_addr: address(call.additional),
            user_data: call.user_data,
            config_uid: [0; 16],
            arcb_len: length(call.request)?,
            meas_len: length(call.measurement)?,
            add_data_len: length(call.additional)?,
            user_data_len: call.user_data_len,
            reserved136: 0,
        };
        // The three areas stay borrowed by `call` until the ioctl is over.
        let code = self.exchange(Command::Attest, argument.as_mut_bytes())?;
        call.additional_len = argument.add_data_len;
        call.config_uid = argument.config_uid;
        Ok(code)
    }
}

impl Kernel {
    fn exchange(&self, command: Command, argument: &mut [u8]) -> io::Result<ReturnCode> {
        let mut block = ControlBlock {
            flags: 0,
            uv_rc: 0,
            uv_rrc: 0,
            argument_addr: address(argument),
            argument_len: length(argument)?,
            reserved14: [0; 44],
        };
        // SAFETY: the file is open, and `block` is the 64-byte structure that every command of the driver takes; it
        // outlives the call. The driver reads and writes `argument_len` bytes at `argument_addr` at most, which are
        // exclusively borrowed here, and any bytes are valid there. For `Attest`, whose argument holds further
        // addresses, `call` lets nothing through, and `attest` fills them from borrows that last until it returns:
        // one shared area, which the driver only reads, and two exclusive ones with their true lengths. Should the
        // file be another device than it seems, that one does not know the request, whose type and size are its own.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), command.request() as _, &raw mut block) };
        Errno::result(result)?;
        Ok(ReturnCode { rc: block.uv_rc, rrc: block.uv_rrc })
    }
}

/// Address of an area; 0 for an empty one, as commands without an argument want it.
fn address(area: &mut [u8]) -> u64 {
    if area.is_empty() { 0 } else { area.as_mut_ptr() as u64 }
}

fn length(area: &[u8]) -> io::Result<u32> {
    u32::try_from(area.len()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_uvdevice_does_not_know_the_commands() {
        let kernel = Kernel(File::open("/dev/null").unwrap());
        for command in [Command::Info, Command::AddSecret, Command::LockSecrets] {
            let error = kernel.call(command, &mut [0; 16]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTTY), "{}", command.name());
        }
        let mut call = AttestCall {
            request: &[0; 8],
            user_data: [0; 256],
            user_data_len: 0,
            measurement: &mut [0; 64],
            additional: &mut [],
            additional_len: 0,
            config_uid: [0; 16],
        };
        assert_eq!(kernel.attest(&mut call).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
    }

    #[test]
    fn bytes_never_become_the_addresses_of_an_attestation() {
        let kernel = Kernel(File::open("/dev/null").unwrap());
        let error = kernel.call(Command::Attest, &mut [0xff; 0x138]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
