//! The kernel's interface, as it stands in memory. **Native endianness**: these are C structures, unlike
//! everything that a request or a list contains.
//!
//! Source: Linux `arch/s390/include/uapi/asm/uvdevice.h`.

pub use uvtypes::limits::{ADD_SECRET_MAX, ADDITIONAL_MAX, ARCB_MAX, MEASUREMENT_MAX, RETRIEVE_MAX, USER_DATA_MAX};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What every ioctl of `/dev/uv` takes: `struct uvio_ioctl_cb`.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x00 | 4 | flags, must be 0 |
/// | 0x04 | 2 | out: return code of the ultravisor |
/// | 0x06 | 2 | out: return reason code |
/// | 0x08 | 8 | address of the argument |
/// | 0x10 | 4 | length of the argument |
/// | 0x14 | 44 | reserved, must be 0 |
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ControlBlock {
    /// Flags: none is defined, so 0.
    pub flags: u32,
    /// Out: return code of the ultravisor.
    pub uv_rc: u16,
    /// Out: return reason code.
    pub uv_rrc: u16,
    /// Address of the argument.
    pub argument_addr: u64,
    /// Bytes of the argument.
    pub argument_len: u32,
    /// Reserved: the kernel refuses anything but zeros.
    pub reserved14: [u8; 0x40 - 0x14],
}

const _: () = {
    assert!(size_of::<ControlBlock>() == 0x40);
    assert!(std::mem::offset_of!(ControlBlock, flags) == 0x00);
    assert!(std::mem::offset_of!(ControlBlock, uv_rc) == 0x04);
    assert!(std::mem::offset_of!(ControlBlock, uv_rrc) == 0x06);
    assert!(std::mem::offset_of!(ControlBlock, argument_addr) == 0x08);
    assert!(std::mem::offset_of!(ControlBlock, argument_len) == 0x10);
    assert!(std::mem::offset_of!(ControlBlock, reserved14) == 0x14);
};

/// Argument of [`Command::Attest`]: `struct uvio_attest`.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x000 | 8 | address of the attestation request |
/// | 0x008 | 8 | address of the measurement |
/// | 0x010 | 8 | address of the additional data |
/// | 0x018 | 256 | user data |
/// | 0x118 | 16 | out: configuration unique id of the guest |
/// | 0x128 | 4 | length of the request |
/// | 0x12c | 4 | length of the measurement |
/// | 0x130 | 4 | in: room for additional data; out: their length |
/// | 0x134 | 2 | length of the user data |
/// | 0x136 | 2 | reserved, must be 0 |
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AttestArgument {
    /// Address of the attestation request.
    pub arcb_addr: u64,
    /// Address of the measurement.
    pub meas_addr: u64,
    /// Address of the additional data.
    pub add_data_addr: u64,
    /// User data, zero-filled.
    pub user_data: [u8; USER_DATA_MAX],
    /// Out: configuration unique id of the guest.
    pub config_uid: [u8; 16],
    /// Bytes of the request.
    pub arcb_len: u32,
    /// Bytes of the measurement.
    pub meas_len: u32,
    /// In: room for additional data; out: their length.
    pub add_data_len: u32,
    /// Bytes of the user data.
    pub user_data_len: u16,
    /// Reserved: the kernel refuses anything but 0.
    pub reserved136: u16,
}

const _: () = {
    assert!(size_of::<AttestArgument>() == 0x138);
    assert!(std::mem::offset_of!(AttestArgument, arcb_addr) == 0x000);
    assert!(std::mem::offset_of!(AttestArgument, meas_addr) == 0x008);
    assert!(std::mem::offset_of!(AttestArgument, add_data_addr) == 0x010);
    assert!(std::mem::offset_of!(AttestArgument, user_data) == 0x018);
    assert!(std::mem::offset_of!(AttestArgument, config_uid) == 0x118);
    assert!(std::mem::offset_of!(AttestArgument, arcb_len) == 0x128);
    assert!(std::mem::offset_of!(AttestArgument, meas_len) == 0x12c);
    assert!(std::mem::offset_of!(AttestArgument, add_data_len) == 0x130);
    assert!(std::mem::offset_of!(AttestArgument, user_data_len) == 0x134);
    assert!(std::mem::offset_of!(AttestArgument, reserved136) == 0x136);
};

/// Argument of [`Command::Info`]: `struct uvio_uvdev_info`. Bit n, counted from the least significant, stands
/// for the command with number n.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x0 | 8 | out: commands that the driver offers |
/// | 0x8 | 8 | out: commands that the ultravisor offers too |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct InfoArgument {
    /// Out: commands that the driver offers.
    pub supp_uvio_cmds: u64,
    /// Out: commands that the ultravisor offers too. The bit of [`Command::Info`] is never set.
    pub supp_uv_cmds: u64,
}

const _: () = {
    assert!(size_of::<InfoArgument>() == 0x10);
    assert!(std::mem::offset_of!(InfoArgument, supp_uvio_cmds) == 0x0);
    assert!(std::mem::offset_of!(InfoArgument, supp_uv_cmds) == 0x8);
};

/// A page of the secret list; its buffer is one of them, or a multiple on Linux 6.13 and later.
pub const LIST_PAGE: usize = 0x1000;
/// Fewest bytes of the buffer for a retrieved secret: the index of the secret stands in it.
pub const RETRIEVE_MIN: usize = 2;
/// The commands of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Command {
    /// Tells which commands the device supports.
    Info = 0,
    /// Measure the guest.
    Attest = 1,
    /// Add a secret to the store.
    AddSecret = 2,
    /// Lists the guest's secret store.
    ListSecrets = 3,
    /// Lock the store until the next boot.
    LockSecrets = 4,
    /// Retrieve a secret.
    RetrieveSecret = 5,
}

impl Command {
    /// All of them, by number.
    pub const ALL: [Self; 6] =
        [Self::Info, Self::Attest, Self::AddSecret, Self::ListSecrets, Self::LockSecrets, Self::RetrieveSecret];

    /// The `request` of `ioctl(2)`: read and write, type `u`, size of [`ControlBlock`].
    #[expect(clippy::cast_possible_truncation, reason = "64 bytes")]
    pub const fn request(self) -> u32 {
        const READ_WRITE: u32 = 3 << 30;
        READ_WRITE | (size_of::<ControlBlock>() as u32) << 16 | (b'u' as u32) << 8 | self as u32
    }

    /// The command with this `request`, if all its parts are right.
    pub fn from_request(request: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.request() == request)
    }

    /// The bit that stands for this command in an [`InfoArgument`].
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// Name of the command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Attest => "attest",
            Self::AddSecret => "add-secret",
            Self::ListSecrets => "list-secrets",
            Self::LockSecrets => "lock-secrets",
            Self::RetrieveSecret => "retrieve-secret",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_numbers_of_the_kernel_header() {
        for (number, command) in Command::ALL.into_iter().enumerate() {
            let expected = 0xc040_7500 + number as u32;
            assert_eq!(command.request(), expected, "{}", command.name());
            assert_eq!(Command::from_request(expected), Some(command));
            assert_eq!(command.bit(), 1 << number);
        }
        for wrong in [0xc040_7506, 0x8040_7500, 0x4040_7500, 0xc041_7500, 0xc040_7600, 0] {
            assert_eq!(Command::from_request(wrong), None, "{wrong:#x}");
        }
    }
}
