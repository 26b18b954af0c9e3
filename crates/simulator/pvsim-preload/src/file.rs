//! Opening, writing and ioctls.

use crate::client::{self, mode};
use crate::memory;
use crate::next::next;
use crate::place::{Place, simulated};
use crate::{KeepErrno, fail, stream};
use libc::{
    AT_FDCWD, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_RDONLY, O_TRUNC, O_WRONLY, c_char, c_int, c_long,
    c_ulong, c_void, iovec, mode_t, off_t, off64_t, size_t, ssize_t,
};

/// Opens `path` with `call`, which gets the path and the flags that the kernel's `open` is to be called with.
///
/// # Safety
/// `path` is null or a C string.
pub(crate) unsafe fn open_with(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
    call: impl FnOnce(*const c_char, c_int) -> c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    let Some(place) = (unsafe { Place::of(folder, path) }) else { return call(path, flags) };
    if !place.is_served() {
        return call(place.real.as_ptr(), flags);
    }
    if flags & (O_PATH | O_DIRECTORY) != 0 {
        place.prepare();
        return call(place.real.as_ptr(), flags & !O_CREAT);
    }
    let access = match flags & O_ACCMODE {
        O_RDONLY => mode::READ,
        O_WRONLY => mode::WRITE,
        _ => mode::READ | mode::WRITE,
    };
    let create = if flags & O_CREAT == 0 { 0 } else { mode::CREATE };
    let exclusive = if flags & O_EXCL == 0 { 0 } else { mode::EXCLUSIVE };
    let kept = KeepErrno::new();
    let answer = client::open(&place.name, access | create | exclusive);
    drop(kept);
    if let Err(errno) = answer {
        fail(errno);
        return -1;
    }
    // The text of an attribute is what it is: who opened it before still reads what was there then.
    call(place.real.as_ptr(), flags & !(O_CREAT | O_EXCL | O_TRUNC))
}

macro_rules! open {
    ($($name:literal $function:ident($($folder:ident)?) $open_folder:expr, [$($mode:ident)?];)*) => {$(
        // SAFETY: the name is the C library's. Its variadic argument is declared here: both supported machines pass
        // it in the register of a third (fourth) declared one, and it is only handed on.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(
            $($folder: c_int,)? path: *const c_char, flags: c_int $(, $mode: mode_t)?
        ) -> c_int {
            let next = next!($name, fn(
                $(open!(@folder $folder),)? *const c_char, c_int $(, open!(@mode $mode))?
            ) -> c_int);
            // SAFETY: the arguments are the caller's, who keeps the function's contract.
            unsafe { open_with($open_folder, path, flags, |path, flags| next($($folder,)? path, flags $(, $mode)?)) }
        }
    )*};
    (@folder $name:ident) => { c_int };
    (@mode $name:ident) => { mode_t };
}

open! {
    c"open" open() AT_FDCWD, [mode];
    c"open64" open64() AT_FDCWD, [mode];
    c"openat" openat(folder) folder, [mode];
    c"openat64" openat64(folder) folder, [mode];
    // Of programs that were built with _FORTIFY_SOURCE.
    c"__open_2" __open_2() AT_FDCWD, [];
    c"__open64_2" __open64_2() AT_FDCWD, [];
    c"__openat_2" __openat_2(folder) folder, [];
    c"__openat64_2" __openat64_2(folder) folder, [];
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the path is the caller's.
    unsafe { open(path, O_WRONLY | O_CREAT | O_TRUNC, mode) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn creat64(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the path is the caller's.
    unsafe { open(path, O_WRONLY | O_CREAT | O_TRUNC, mode) }
}

/// Writes to a simulated file; `None` for all others.
fn write_simulated(file: c_int, areas: &[(u64, usize)]) -> Option<ssize_t> {
    let name = simulated(file)?;
    let kept = KeepErrno::new();
    // SAFETY: no pointers are given.
    let flags = unsafe { libc::fcntl(file, libc::F_GETFL) };
    let result = if flags & O_ACCMODE == O_RDONLY {
        Err(libc::EBADF)
    } else {
        let mut bytes = vec![];
        let fetched = areas.iter().try_for_each(|(address, length)| {
            bytes.extend(memory::read(*address, *length)?);
            Ok(())
        });
        match fetched {
            Ok(()) => client::write(&name, &bytes),
            Err(memory::Fault) => Err(libc::EFAULT),
        }
    };
    drop(kept);
    Some(match result {
        Ok(count) => count as ssize_t,
        Err(errno) => {
            fail(errno);
            -1
        }
    })
}

macro_rules! write {
    ($($name:literal $function:ident($($offset:ident: $offset_type:ty)?);)*) => {$(
        // SAFETY: name and signature are the C library's.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(
            file: c_int, buffer: *const c_void, count: size_t $(, $offset: $offset_type)?
        ) -> ssize_t {
            if let Some(written) = write_simulated(file, &[(buffer as u64, count)]) {
                return written;
            }
            let next = next!($name, fn(c_int, *const c_void, size_t $(, $offset_type)?) -> ssize_t);
            // SAFETY: the arguments are the caller's, who keeps the function's contract.
            unsafe { next(file, buffer, count $(, $offset)?) }
        }
    )*};
}

write! {
    c"write" write();
    c"pwrite" pwrite(offset: off_t);
    c"pwrite64" pwrite64(offset: off64_t);
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn writev(file: c_int, areas: *const iovec, count: c_int) -> ssize_t {
    let length = usize::try_from(count).unwrap_or(0).min(libc::UIO_MAXIOV as usize);
    if length > 0 && simulated(file).is_some() {
        let Ok(table) = memory::read(areas as u64, length * size_of::<iovec>()) else {
            fail(libc::EFAULT);
            return -1;
        };
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, usize::from_ne_bytes);
        // Two words each, address and length.
        let words: Vec<_> = table.chunks_exact(size_of::<usize>()).map(word).collect();
        let list: Vec<_> = words.chunks(2).map(|area| (area[0] as u64, area[1])).collect();
        if let Some(written) = write_simulated(file, &list) {
            return written;
        }
    }
    let next = next!(c"writev", fn(c_int, *const iovec, c_int) -> ssize_t);
    // SAFETY: the arguments are the caller's, who keeps the function's contract.
    unsafe { next(file, areas, count) }
}

/// Functions that copy inside the kernel to the file `$to`. They refuse simulated files, as they do with many others:
/// every program that uses them goes on with `write`.
macro_rules! copy {
    ($($name:literal $function:ident($($argument:ident: $type:ty),*) to $to:ident;)*) => {$(
        // SAFETY: name and signature are the C library's.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function($($argument: $type),*) -> ssize_t {
            if simulated($to).is_some() {
                fail(libc::EINVAL);
                return -1;
            }
            let next = next!($name, fn($($type),*) -> ssize_t);
            // SAFETY: the arguments are the caller's, who keeps the function's contract.
            unsafe { next($($argument),*) }
        }
    )*};
}

copy! {
    c"copy_file_range" copy_file_range(
        from: c_int, from_at: *mut off64_t, to: c_int, to_at: *mut off64_t, count: size_t, flags: c_int
    ) to to;
    c"sendfile" sendfile(to: c_int, from: c_int, at: *mut off_t, count: size_t) to to;
    c"sendfile64" sendfile64(to: c_int, from: c_int, at: *mut off64_t, count: size_t) to to;
    c"splice" splice(
        from: c_int, from_at: *mut off64_t, to: c_int, to_at: *mut off64_t, count: size_t, flags: c_int
    ) to to;
}

macro_rules! truncate {
    ($($name:literal $function:ident($type:ty);)*) => {$(
        // SAFETY: name and signature are the C library's.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(file: c_int, length: $type) -> c_int {
            // Accepted and without effect, as by sysfs.
            if simulated(file).is_some() {
                return 0;
            }
            let next = next!($name, fn(c_int, $type) -> c_int);
            // SAFETY: the arguments are the caller's.
            unsafe { next(file, length) }
        }
    )*};
}

truncate! {
    c"ftruncate" ftruncate(off_t);
    c"ftruncate64" ftruncate64(off64_t);
}

// SAFETY: the name is the C library's. Its variadic argument is declared here: both supported machines pass it in the
// register of a third declared one. Callers that give none leave some value there, which is handed on unused.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ioctl(file: c_int, request: c_ulong, argument: c_long) -> c_int {
    if let Some(name) = simulated(file).filter(|name| name == b"/dev/uv") {
        let kept = KeepErrno::new();
        let answer = client::ioctl(&name, request, argument as u64);
        drop(kept);
        return match answer {
            Ok(()) => 0,
            Err(errno) => {
                fail(errno);
                -1
            }
        };
    }
    let next = next!(c"ioctl", fn(c_int, c_ulong, c_long) -> c_int);
    // SAFETY: the arguments are the caller's, who keeps the function's contract.
    unsafe { next(file, request, argument) }
}

macro_rules! duplicate {
    ($($name:literal $function:ident($($flags:ident)?);)*) => {$(
        // SAFETY: name and signature are the C library's.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(old: c_int, new: c_int $(, $flags: c_int)?) -> c_int {
            let next = next!($name, fn(c_int, c_int $(, duplicate!(@flags $flags))?) -> c_int);
            // SAFETY: no pointers are given.
            let file = unsafe { next(old, new $(, $flags)?) };
            stream::redirected(file);
            file
        }
    )*};
    (@flags $name:ident) => { c_int };
}

duplicate! {
    c"dup2" dup2();
    c"dup3" dup3(flags);
}
