//! C streams. The C library writes their buffers by calls inside itself, which nobody can interpose. So what is in the
//! buffer of a stream to a simulated file is taken out and written before the C library would do so.
//!
//! For that, such a stream must have a buffer that is written only when asked: one that a shell made line-buffered gets
//! a full buffer for as long as its descriptor is a simulated file. Attributes are shorter than any buffer.
//!
//! Limits: a stream that is unbuffered from the start (stderr), and streams other than stdout and stderr that a program
//! leaves open at its end, are written by the C library, and the simulator does not see it.

use crate::file::{open_with, write};
use crate::next::next;
use crate::place::{Place, simulated};
use crate::{KeepErrno, fail};
use libc::{AT_FDCWD, FILE, c_char, c_int, size_t};
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

// SAFETY: names and signatures are the C library's (stdio_ext.h).
unsafe extern "C" {
    static stdout: *mut FILE;
    fn __fpending(stream: *mut FILE) -> size_t;
    fn __fpurge(stream: *mut FILE);
    fn __flbf(stream: *mut FILE) -> c_int;
}

/// The beginning of glibc's `struct _IO_FILE`, as its public header `bits/types/struct_FILE.h` has it. The layout has
/// been the same in all 64-bit versions of glibc, because macros of old programs use it.
#[repr(C)]
struct Layout {
    flags: c_int,
    read_ptr: *mut c_char,
    read_end: *mut c_char,
    read_base: *mut c_char,
    write_base: *mut c_char,
}

/// The bit of `flags` that `ferror` tells.
const ERROR_SEEN: c_int = 0x20;

/// Whether stdout was line-buffered before it became a simulated file.
static STDOUT_WAS_LINE_BUFFERED: AtomicBool = AtomicBool::new(false);

/// The C library's standard output.
fn standard_output() -> *mut FILE {
    // SAFETY: the C library sets this before any program code runs; a program that assigns it does so atomically.
    unsafe { stdout }
}

/// After `file` was made to be another file: its stream's buffering follows.
pub(crate) fn redirected(file: c_int) {
    let stream = standard_output();
    // SAFETY: stdout is an open stream or null.
    if file < 0 || stream.is_null() || unsafe { libc::fileno(stream) } != file {
        return;
    }
    let _errno = KeepErrno::new();
    if simulated(file).is_some() {
        // SAFETY: as above.
        if unsafe { __flbf(stream) } != 0 {
            STDOUT_WAS_LINE_BUFFERED.store(true, Ordering::SeqCst);
            buffering(stream, libc::_IOFBF);
        }
    } else if STDOUT_WAS_LINE_BUFFERED.swap(false, Ordering::SeqCst) {
        buffering(stream, libc::_IOLBF);
    }
}

/// Sets how an open stream is buffered.
fn buffering(stream: *mut FILE, mode: c_int) {
    let next = next!(c"setvbuf", fn(*mut FILE, *mut c_char, c_int, size_t) -> c_int);
    // SAFETY: the stream is open. Without a buffer of ours, the C library keeps or allocates its own.
    unsafe { next(stream, std::ptr::null_mut(), mode, 0) };
}

/// Writes what is in the buffer of a stream to a simulated file. Says whether that went well.
///
/// # Safety
/// `stream` is an open stream.
unsafe fn write_out(stream: *mut FILE) -> bool {
    // SAFETY: the stream is open, as the caller promises.
    let (file, pending) = unsafe { (libc::fileno(stream), __fpending(stream)) };
    if pending == 0 || file < 0 || simulated(file).is_none() {
        return true;
    }
    let layout = stream.cast::<Layout>();
    // SAFETY: the stream is open and has the layout above; that many bytes wait at the start of its buffer.
    let written = unsafe { write(file, (*layout).write_base.cast(), pending) };
    // SAFETY: the stream is open; its buffer is dropped, as it was written or cannot be.
    unsafe { __fpurge(stream) };
    if usize::try_from(written).is_ok() {
        return true;
    }
    // SAFETY: as above; the program sees the bit by ferror.
    unsafe { (*layout).flags |= ERROR_SEEN };
    false
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fflush(stream: *mut FILE) -> c_int {
    let which = if stream.is_null() { standard_output() } else { stream };
    // SAFETY: the stream is the caller's or stdout.
    if !which.is_null() && !unsafe { write_out(which) } {
        return libc::EOF;
    }
    let next = next!(c"fflush", fn(*mut FILE) -> c_int);
    // SAFETY: the argument is the caller's, who keeps the function's contract.
    unsafe { next(stream) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fflush_unlocked(stream: *mut FILE) -> c_int {
    // SAFETY: the argument is the caller's. Locks of streams may be taken again by the same thread.
    unsafe { fflush(stream) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fclose(stream: *mut FILE) -> c_int {
    // SAFETY: the stream is the caller's and open.
    let written = unsafe { write_out(stream) };
    let errno = crate::errno();
    let next = next!(c"fclose", fn(*mut FILE) -> c_int);
    // SAFETY: as above.
    let closed = unsafe { next(stream) };
    if written {
        return closed;
    }
    fail(errno);
    libc::EOF
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn setvbuf(stream: *mut FILE, buffer: *mut c_char, mode: c_int, size: size_t) -> c_int {
    let next = next!(c"setvbuf", fn(*mut FILE, *mut c_char, c_int, size_t) -> c_int);
    // SAFETY: the stream is the caller's and open.
    let file = unsafe { libc::fileno(stream) };
    if mode == libc::_IOFBF || simulated(file).is_none() {
        // SAFETY: the arguments are the caller's, who keeps the function's contract.
        return unsafe { next(stream, buffer, mode, size) };
    }
    if mode == libc::_IOLBF && stream == standard_output() {
        STDOUT_WAS_LINE_BUFFERED.store(true, Ordering::SeqCst);
    }
    buffering(stream, libc::_IOFBF);
    0
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn setlinebuf(stream: *mut FILE) {
    // SAFETY: the stream is the caller's and open.
    unsafe { setvbuf(stream, std::ptr::null_mut(), libc::_IOLBF, 0) };
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn setbuf(stream: *mut FILE, buffer: *mut c_char) {
    let mode = if buffer.is_null() { libc::_IONBF } else { libc::_IOFBF };
    // SAFETY: the arguments are the caller's; a buffer has BUFSIZ bytes, as the function asks.
    unsafe { setvbuf(stream, buffer, mode, libc::BUFSIZ as size_t) };
}

macro_rules! open_stream {
    ($($name:literal $function:ident;)*) => {$(
        // SAFETY: name and signature are the C library's.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(path: *const c_char, mode: *const c_char) -> *mut FILE {
            let next = next!($name, fn(*const c_char, *const c_char) -> *mut FILE);
            // SAFETY: the arguments are the caller's, who keeps the function's contract.
            unsafe {
                if Place::of(AT_FDCWD, path).is_none() {
                    return next(path, mode);
                }
                // The C library's own would empty the file that it is led to.
                let file = open_as(path, CStr::from_ptr(mode));
                if file < 0 { std::ptr::null_mut() } else { libc::fdopen(file, mode) }
            }
        }
    )*};
}

open_stream! {
    c"fopen" fopen;
    c"fopen64" fopen64;
}

macro_rules! reopen_stream {
    ($($name:literal $function:ident;)*) => {$(
        // SAFETY: name and signature are the C library's.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(
            path: *const c_char, mode: *const c_char, stream: *mut FILE
        ) -> *mut FILE {
            let next = next!($name, fn(*const c_char, *const c_char, *mut FILE) -> *mut FILE);
            // SAFETY: the arguments are the caller's, who keeps the function's contract.
            unsafe {
                if Place::of(AT_FDCWD, path).is_none() {
                    write_out(stream);
                    return next(path, mode, stream);
                }
                fflush(stream);
                let file = open_as(path, CStr::from_ptr(mode));
                if file < 0 || crate::file::dup2(file, libc::fileno(stream)) < 0 {
                    return std::ptr::null_mut();
                }
                libc::close(file);
                stream
            }
        }
    )*};
}

reopen_stream! {
    c"freopen" freopen;
    c"freopen64" freopen64;
}

/// Opens a file as `fopen` does for a `mode` such as `r+e`.
///
/// # Safety
/// `path` is a C string.
unsafe fn open_as(path: *const c_char, mode: &CStr) -> c_int {
    let mode = mode.to_bytes();
    let has = |letter: &u8| mode.contains(letter);
    let access = match (mode.first(), has(&b'+')) {
        (_, true) => libc::O_RDWR,
        (Some(b'r'), false) => libc::O_RDONLY,
        _ => libc::O_WRONLY,
    };
    let rest = match mode.first() {
        Some(b'w') => libc::O_CREAT | libc::O_TRUNC,
        Some(b'a') => libc::O_CREAT | libc::O_APPEND,
        _ => 0,
    };
    let exclusive = if has(&b'x') { libc::O_EXCL } else { 0 };
    let close = if has(&b'e') { libc::O_CLOEXEC } else { 0 };
    let next = next!(c"open", fn(*const c_char, c_int, libc::mode_t) -> c_int);
    // SAFETY: the path is a C string, as the caller promises, and so is the one it is led to.
    unsafe { open_with(AT_FDCWD, path, access | rest | exclusive | close, |path, flags| next(path, flags, 0o666)) }
}

/// Runs before the C library writes out all streams at the end of the program.
extern "C" fn at_end() {
    let stream = standard_output();
    if !stream.is_null() {
        // SAFETY: the stream is not null; one that the program closed has nothing pending and no descriptor.
        unsafe { write_out(stream) };
    }
}

// SAFETY: the section holds pointers to functions without arguments, which the loader calls at the end.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_END: extern "C" fn() = at_end;
