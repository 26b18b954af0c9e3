//! A preload library that makes one call of a program fail: from outside, in any dynamically linked
//! program, so that a test can fail each file and ioctl call of a command in turn.
//!
//! | environment variable | meaning |
//! |---|---|
//! | `PVSIM_FAULT` | `N:WHAT`: at the N-th call (from 1) WHAT happens, once |
//! | `PVSIM_FAULT_LOG` | file that gets a line with the name of each call |
//! | `PVSIM_STOP_AT_EXIT` | if set, the process stops itself when it has ended its work, so that its memory can be looked at |
//!
//! WHAT is a number (the call fails with this errno), `short` (a read or write moves one byte only; other calls
//! go through), `end` (a read finds the end of the file, as if somebody had cut it just then) or `kill` (the process dies
//! as by `kill -9`).
//!
//! Counted are the calls in the list at the end of this file. Calls inside the C library itself, such as
//! the writing of a C stream, are not seen.

#![allow(missing_docs, reason = "the functions are those of the C library")]
#![expect(clippy::missing_safety_doc, reason = "the contracts are those of the C library")]

use libc::{c_char, c_int, c_long, c_uint, c_ulong, c_void, gid_t, mode_t, off64_t, size_t, ssize_t, uid_t};
use std::ffi::CStr;
use std::os::fd::IntoRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../../pvsim-preload/src/next.rs"]
mod next;
use next::next;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static ORDER: OnceLock<Order> = OnceLock::new();

struct Order {
    /// Which call, from 1; 0 for none.
    call: usize,
    fault: Fault,
    log: Option<c_int>,
}

#[derive(Clone, Copy)]
enum Fault {
    Errno(c_int),
    Short,
    End,
    Kill,
}

impl Order {
    fn from_environment() -> Self {
        let order = std::env::var("PVSIM_FAULT").unwrap_or_default();
        let (call, fault) = order.split_once(':').unwrap_or(("0", "kill"));
        let fault = match fault {
            "short" => Fault::Short,
            "end" => Fault::End,
            "kill" => Fault::Kill,
            errno => Fault::Errno(errno.parse().unwrap_or(libc::EIO)),
        };
        let log = std::env::var_os("PVSIM_FAULT_LOG")
            .and_then(|path| std::fs::OpenOptions::new().append(true).create(true).open(path).ok())
            .map(IntoRawFd::into_raw_fd);
        Self { call: call.parse().unwrap_or(0), fault, log }
    }
}

/// Counts a call and says what is to happen to it.
fn take_matching_fault(name: &CStr) -> Option<Fault> {
    // Reading the environment and opening the log makes calls of its own: they are none of the program's.
    thread_local!(static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    if INSIDE.replace(true) {
        return None;
    }
    let order = ORDER.get_or_init(Order::from_environment);
    INSIDE.set(false);
    let call = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(log) = order.log {
        let line = [name.to_bytes(), b"\n"].concat();
        // SAFETY: the buffer is alive and as long as said; the descriptor is the log's or invalid.
        unsafe { libc::syscall(libc::SYS_write, log, line.as_ptr(), line.len()) };
    }
    (call == order.call).then_some(order.fault)
}

/// Sets errno for a call that fails.
fn fail(errno: c_int) {
    // SAFETY: the C library gives every thread a valid address for its errno.
    unsafe { *libc::__errno_location() = errno };
}

fn die() -> ! {
    // SAFETY: a signal to oneself has no memory effect; SIGKILL does not return.
    unsafe { libc::raise(libc::SIGKILL) };
    std::process::abort()
}

/// Run by the dynamic linker when the program exits, after all of its own code.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = stop;

extern "C" fn stop() {
    if std::env::var_os("PVSIM_STOP_AT_EXIT").is_some() {
        // SAFETY: a signal to oneself has no memory effect; whoever watches continues the process.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
}

macro_rules! interpose {
    ($($name:literal $function:ident($($argument:ident: $type:ty),*) -> $result:ty $(, short $count:ident)?;)*) => {$(
        // SAFETY: the name is the C library's, and so is the signature: who calls it keeps its contract.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function($($argument: $type),*) -> $result {
            let fault = take_matching_fault($name);
            match fault {
                Some(Fault::Errno(errno)) => {
                    fail(errno);
                    return -1;
                }
                Some(Fault::Kill) => die(),
                Some(Fault::Short | Fault::End) | None => {}
            }
            $(let $count = match fault {
                Some(Fault::Short) => $count.min(1),
                Some(Fault::End) => 0,
                _ => $count,
            };)?
            let next = next!($name, fn($($type),*) -> $result);
            // SAFETY: the arguments are the caller's, who keeps the function's contract.
            unsafe { next($($argument),*) }
        }
    )*};
}

interpose! {
    c"open" open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    c"open64" open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    c"openat" openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    c"openat64" openat64(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    c"read" read(file: c_int, buffer: *mut c_void, count: size_t) -> ssize_t, short count;
    c"write" write(file: c_int, buffer: *const c_void, count: size_t) -> ssize_t, short count;
    c"lseek64" lseek64(file: c_int, offset: off64_t, whence: c_int) -> off64_t;
    c"fsync" fsync(file: c_int) -> c_int;
    c"fchmod" fchmod(file: c_int, mode: mode_t) -> c_int;
    c"fchown" fchown(file: c_int, owner: uid_t, group: gid_t) -> c_int;
    c"ftruncate64" ftruncate64(file: c_int, length: off64_t) -> c_int;
    c"statx" statx(folder: c_int, path: *const c_char, flags: c_int, mask: c_uint, buffer: *mut c_void) -> c_int;
    c"linkat" linkat(from: c_int, old: *const c_char, to: c_int, new: *const c_char, flags: c_int) -> c_int;
    c"rename" rename(old: *const c_char, new: *const c_char) -> c_int;
    c"renameat2" renameat2(from: c_int, old: *const c_char, to: c_int, new: *const c_char, flags: c_uint) -> c_int;
    c"mkdir" mkdir(path: *const c_char, mode: mode_t) -> c_int;
    c"chmod" chmod(path: *const c_char, mode: mode_t) -> c_int;
    c"symlink" symlink(to: *const c_char, path: *const c_char) -> c_int;
    c"unlink" unlink(path: *const c_char) -> c_int;
    c"flock" flock(file: c_int, operation: c_int) -> c_int;
    c"ioctl" ioctl(file: c_int, request: c_ulong, argument: c_long) -> c_int;
}
