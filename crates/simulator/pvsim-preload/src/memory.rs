//! Memory at addresses that a program gave, which need not be valid: the kernel does the copying, so a wrong
//! address is an error and no crash, as it is with a real device.

use crate::next::next;
use libc::{c_int, c_void};

/// Fits into a pipe.
const CHUNK: usize = 4096;

/// The address is not valid for that many bytes.
pub(crate) struct Fault;

/// `length` bytes at `address`.
pub(crate) fn read(address: u64, length: usize) -> Result<Vec<u8>, Fault> {
    let pipe = Pipe::new()?;
    let mut bytes = vec![0; length];
    for (number, chunk) in bytes.chunks_mut(CHUNK).enumerate() {
        pipe.fill(address.wrapping_add((number * CHUNK) as u64), chunk.len())?;
        pipe.drain(chunk.as_mut_ptr() as u64, chunk.len())?;
    }
    Ok(bytes)
}

/// Puts `bytes` at `address`.
pub(crate) fn write(address: u64, bytes: &[u8]) -> Result<(), Fault> {
    let pipe = Pipe::new()?;
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        pipe.fill(chunk.as_ptr() as u64, chunk.len())?;
        pipe.drain(address.wrapping_add((number * CHUNK) as u64), chunk.len())?;
    }
    Ok(())
}

struct Pipe([c_int; 2]);

impl Pipe {
    fn new() -> Result<Self, Fault> {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } == 0 { Ok(Self(ends)) } else { Err(Fault) }
    }

    fn fill(&self, address: u64, length: usize) -> Result<(), Fault> {
        let next = next!(c"write", fn(c_int, *const c_void, usize) -> isize);
        // SAFETY: the kernel checks the address and only reads from it. The pipe is empty and holds a chunk.
        whole(unsafe { next(self.0[1], address as *const c_void, length) }, length)
    }

    fn drain(&self, address: u64, length: usize) -> Result<(), Fault> {
        // SAFETY: the kernel checks the address. It is either our own buffer of that length, or where the program
        // asked an ioctl to put something, as it would have been put there by the kernel's driver.
        whole(unsafe { libc::read(self.0[0], address as *mut c_void, length) }, length)
    }
}

fn whole(moved: isize, length: usize) -> Result<(), Fault> {
    if usize::try_from(moved) == Ok(length) { Ok(()) } else { Err(Fault) }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for end in self.0 {
            // SAFETY: the descriptor is ours and is not used again.
            unsafe { libc::close(end) };
        }
    }
}
