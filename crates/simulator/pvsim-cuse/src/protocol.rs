//! The few messages of the kernel's FUSE protocol that a character device without read and write needs.
//!
//! Source: Linux `include/uapi/linux/fuse.h`, protocol 7. They are structures of one machine's kernel and its
//! programs: native endianness throughout.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What the kernel asks for.
pub(crate) mod opcode {
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const IOCTL: u32 = 39;
    pub(crate) const CUSE_INIT: u32 = 4096;
}

/// In `CuseInitOut::flags`: the server may ask for memory at any address of the caller, not only for what the
/// number of the ioctl says.
pub(crate) const CUSE_UNRESTRICTED_IOCTL: u32 = 1 << 0;

/// In `IoctlOut::flags`: call again with the memory areas that follow.
pub(crate) const IOCTL_RETRY: u32 = 1 << 2;

/// `struct fuse_in_header`, in front of every message of the kernel: 40 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct InHeader {
    pub(crate) len: u32,
    pub(crate) opcode: u32,
    /// Names this message; the reply has it too.
    pub(crate) unique: u64,
    pub(crate) nodeid: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The calling thread.
    pub(crate) pid: u32,
    pub(crate) padding: u32,
}
const _: () = assert!(size_of::<InHeader>() == 40);

/// `struct fuse_out_header`, in front of every reply: 16 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct OutHeader {
    /// Of the whole reply.
    pub(crate) len: u32,
    /// 0, or a negative errno; then nothing follows.
    pub(crate) error: i32,
    pub(crate) unique: u64,
}
const _: () = assert!(size_of::<OutHeader>() == 16);

/// `struct cuse_init_in`: 16 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CuseInitIn {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) unused: u32,
    pub(crate) flags: u32,
}
const _: () = assert!(size_of::<CuseInitIn>() == 16);

/// `struct cuse_init_out`: 72 bytes, followed by `DEVNAME=` and the name of the node.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CuseInitOut {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) unused: u32,
    pub(crate) flags: u32,
    /// Bytes of one `read`.
    pub(crate) max_read: u32,
    /// Bytes of one `write`.
    pub(crate) max_write: u32,
    /// Device number; 0 lets the kernel choose.
    pub(crate) dev_major: u32,
    pub(crate) dev_minor: u32,
    pub(crate) spare: [u32; 10],
}
const _: () = assert!(size_of::<CuseInitOut>() == 72);

/// `struct fuse_open_out`: 16 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct OpenOut {
    /// Our number of the open file.
    pub(crate) fh: u64,
    pub(crate) open_flags: u32,
    pub(crate) padding: u32,
}
const _: () = assert!(size_of::<OpenOut>() == 16);

/// `struct fuse_ioctl_in`: 32 bytes, followed by `in_size` bytes from the areas that were asked for.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct IoctlIn {
    pub(crate) fh: u64,
    pub(crate) flags: u32,
    /// The second argument of `ioctl(2)`.
    pub(crate) cmd: u32,
    /// The third one.
    pub(crate) arg: u64,
    pub(crate) in_size: u32,
    /// Bytes that the kernel has room for in the areas that were asked for.
    pub(crate) out_size: u32,
}
const _: () = assert!(size_of::<IoctlIn>() == 32);

/// `struct fuse_ioctl_out`: 16 bytes, followed by the bytes for the caller, or by areas ([`IOCTL_RETRY`]).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct IoctlOut {
    /// What `ioctl(2)` returns.
    pub(crate) result: i32,
    pub(crate) flags: u32,
    pub(crate) in_iovs: u32,
    pub(crate) out_iovs: u32,
}
const _: () = assert!(size_of::<IoctlOut>() == 16);

/// `struct fuse_ioctl_iovec`: 16 bytes, an area of the caller's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Area {
    pub(crate) base: u64,
    pub(crate) len: u64,
}
const _: () = assert!(size_of::<Area>() == 16);

/// A message of the kernel that is shorter than it says.
#[derive(Debug, thiserror::Error)]
#[error("the kernel sent a message that is cut: {0}")]
pub(crate) struct Cut(pub(crate) &'static str);

/// Takes a structure off the front of a message.
pub(crate) fn take<'a, T: FromBytes>(message: &'a [u8], what: &'static str) -> Result<(T, &'a [u8]), Cut> {
    T::read_from_prefix(message).map_err(|_| Cut(what))
}

/// A reply that succeeds, made of `parts`.
pub(crate) fn reply(unique: u64, parts: &[&[u8]]) -> Vec<u8> {
    let len = size_of::<OutHeader>() + parts.iter().map(|part| part.len()).sum::<usize>();
    let header = OutHeader { len: len as u32, error: 0, unique };
    let mut reply = header.as_bytes().to_vec();
    parts.iter().for_each(|part| reply.extend_from_slice(part));
    reply
}

/// A reply that fails with `errno`.
pub(crate) fn refusal(unique: u64, errno: i32) -> Vec<u8> {
    OutHeader { len: size_of::<OutHeader>() as u32, error: -errno, unique }.as_bytes().to_vec()
}
