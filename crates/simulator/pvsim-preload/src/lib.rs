//! A preload library: what a program does with `/dev/uv`, `/sys/firmware/uv`, `/sys/bus/ap`, `/sys/devices/ap` and
//! `/run/lock` and `/run/pvtools` is done by `pvsim` instead of the kernel.
//!
//! | environment variable | meaning |
//! |---|---|
//! | `PVSIM_SOCKET` | the socket of the `pvsim` that started the program |
//! | `PVSIM_ROOT` | the folder below which the simulated files stand: `$PVSIM_ROOT/dev/uv` |
//!
//! This library knows nothing of ioctls or attributes. Paths are led below `PVSIM_ROOT`, so that `stat`, `ls` and
//! the reading of a file are the kernel's; opening, writing and ioctls are asked of `pvsim` first (`client.rs`).
//! It keeps no table of files: what a descriptor means is seen from the file behind it, so `dup`, `fork` and
//! `exec` need no care. Only the order of an open folder's names is kept (`listing.rs`).
//!
//! Not seen are calls that do not go through the C library's functions by name: static programs, Go, `syscall(2)`,
//! and what the C library calls inside itself. Of the latter, streams (`fopen`, `fflush`, ...) are covered in
//! `stream.rs`; `glob(3)`, `ftw(3)` and `fts(3)` are not.

#![allow(missing_docs, reason = "the functions are those of the C library")]

mod client;
mod file;
mod listing;
mod memory;
mod next;
mod path;
mod place;
mod stream;

use libc::c_int;

/// Sets errno for a call that fails.
fn fail(errno: c_int) {
    // SAFETY: the C library gives every thread a valid address for its errno.
    unsafe { *libc::__errno_location() = errno };
}

fn errno() -> c_int {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() }
}

/// Keeps the program's errno as it was over calls of our own.
struct KeepErrno(c_int);

impl KeepErrno {
    fn new() -> Self {
        Self(errno())
    }
}

impl Drop for KeepErrno {
    fn drop(&mut self) {
        fail(self.0);
    }
}
