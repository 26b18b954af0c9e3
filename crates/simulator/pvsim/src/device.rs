//! What stands behind `/dev/uv`: one ioctl as it comes from a program, and its answer.
//!
//! The two sides of a call live in different processes, so memory is not shared: whoever intercepts the ioctl
//! copies in what [`IoctlCall`] wants and carries out the [`Write`]s of the answer.

use uvdevice::abi::{ADD_SECRET_MAX, ARCB_MAX, AttestArgument, Command, ControlBlock, RETRIEVE_MAX, RETRIEVE_MIN};
use zerocopy::FromBytes;

/// A call of `ioctl(fd, request, &mut control_block)` on `/dev/uv`.
#[derive(Clone, Debug)]
pub struct IoctlCall {
    /// The second argument of `ioctl(2)`.
    pub request: u32,
    /// The 64 bytes at the third argument (native endianness); `None` when they cannot be read.
    pub control_block: Option<[u8; size_of::<ControlBlock>()]>,
    /// The first [`IoctlCall::wanted_argument`] bytes at `argument_addr`; `None` when they cannot be read.
    pub argument: Option<Vec<u8>>,
    /// The [`IoctlCall::wanted_arcb`] bytes at `arcb_addr` of an attest argument; `None` when they cannot be read.
    pub arcb: Option<Vec<u8>>,
}

/// What the ioctl does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoctlAnswer {
    /// It returns -1 with this `errno`; nothing is written.
    Errno(i32),
    /// It returns 0.
    Done {
        /// For `uv_rc` of the control block.
        rc: u16,
        /// For `uv_rrc`.
        rrc: u16,
        /// What to copy into the memory of the caller, in this order; `EFAULT` when one cannot be.
        writes: Vec<Write>,
    },
}

/// Bytes for the memory of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where they go.
    pub address: u64,
    /// What goes there.
    pub bytes: Vec<u8>,
}

impl IoctlCall {
    /// How many bytes at `argument_addr` the driver reads for such a call. Nothing for a call that it refuses.
    pub fn wanted_argument(request: u32, control_block: &[u8; size_of::<ControlBlock>()]) -> usize {
        let Ok(block) = ControlBlock::read_from_bytes(control_block) else { return 0 };
        let length = block.argument_len as usize;
        match Command::from_request(request) {
            Some(Command::Attest) if length == size_of::<AttestArgument>() => length,
            Some(Command::AddSecret) if length <= ADD_SECRET_MAX => length,
            Some(Command::RetrieveSecret) if (RETRIEVE_MIN..=RETRIEVE_MAX).contains(&length) => RETRIEVE_MIN,
            _ => 0,
        }
    }

    /// Where the attestation request is and how long, for a call whose argument is `argument`. `None` for a call
    /// that has none or is refused.
    pub fn wanted_arcb(request: u32, argument: &[u8]) -> Option<(u64, usize)> {
        if Command::from_request(request) != Some(Command::Attest) {
            return None;
        }
        let attest = AttestArgument::read_from_bytes(argument).ok()?;
        let length = attest.arcb_len as usize;
        (1..=ARCB_MAX).contains(&length).then_some((attest.arcb_addr, length))
    }
}
