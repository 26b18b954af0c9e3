//! What carries a command to the ultravisor.

use crate::ReturnCode;
use crate::abi::{Command, USER_DATA_MAX};
use std::io;

/// The kernel's driver, or a simulated one.
pub trait Driver {
    /// Carries out `command`, which is not [`Command::Attest`]. `argument` is read, written, or both, as the
    /// command has it; it is empty for a command without one.
    ///
    /// # Errors
    /// The errno of the ioctl. The verdict of the ultravisor is no error, but the [`ReturnCode`].
    fn call(&self, command: Command, argument: &mut [u8]) -> io::Result<ReturnCode>;

    /// Carries out [`Command::Attest`].
    ///
    /// # Errors
    /// As [`Driver::call`].
    fn attest(&self, call: &mut AttestCall<'_>) -> io::Result<ReturnCode>;
}

/// The areas that [`Command::Attest`] reads and writes.
pub struct AttestCall<'a> {
    /// In: the attestation request.
    pub request: &'a [u8],
    /// In: user data, zero-filled.
    pub user_data: [u8; USER_DATA_MAX],
    /// In: how many bytes of that count.
    pub user_data_len: u16,
    /// Out: the measurement.
    pub measurement: &'a mut [u8],
    /// Out: additional data.
    pub additional: &'a mut [u8],
    /// Out: how many bytes of that were written.
    pub additional_len: u32,
    /// Out: configuration unique id of the guest.
    pub config_uid: [u8; 16],
}
