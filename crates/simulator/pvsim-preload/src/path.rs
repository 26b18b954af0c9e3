//! Functions that take a path and do not open it.

use crate::fail;
use crate::next::next;
use crate::place::{Place, Simulation, working_folder};
use libc::{AT_FDCWD, c_char, c_int, c_long, c_uint, c_void, gid_t, mode_t, off_t, size_t, ssize_t, uid_t};
use std::ffi::CStr;

/// What a function does with the path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Looks at what is there.
    Look,
    /// Makes, renames or removes an entry of a folder: nobody can in `/sys`.
    Change,
}

/// The path to call the C library's function with; an errno when the call is refused.
///
/// # Safety
/// `path` is null or a C string.
unsafe fn redirected(folder: c_int, path: *const c_char, what_for: Use) -> Result<Redirected, c_int> {
    // SAFETY: as the caller promises.
    let Some(place) = (unsafe { Place::of(folder, path) }) else { return Ok(Redirected::AsIs(path)) };
    if what_for == Use::Change && place.is_served() {
        return Err(libc::EPERM);
    }
    place.prepare();
    Ok(Redirected::Away(place))
}

enum Redirected {
    AsIs(*const c_char),
    Away(Place),
}

impl Redirected {
    fn as_ptr(&self) -> *const c_char {
        match self {
            Self::AsIs(path) => *path,
            Self::Away(place) => place.real.as_ptr(),
        }
    }
}

/// Functions with one path, which is looked up from `folder` or else from the working folder.
macro_rules! redirect {
    ($($what_for:ident, $failure:expr, $name:literal $function:ident(
        $($before:ident: $before_type:ty,)* [$path:ident in $folder:expr] $(, $after:ident: $after_type:ty)*
    ) -> $result:ty;)*) => {$(
        // SAFETY: the name is the C library's, and so is the signature: who calls it keeps its contract.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(
            $($before: $before_type,)* $path: *const c_char $(, $after: $after_type)*
        ) -> $result {
            let next = next!($name, fn($($before_type,)* *const c_char $(, $after_type)*) -> $result);
            // SAFETY: the path is the caller's, who keeps the function's contract; so are the other arguments.
            unsafe {
                match redirected($folder, $path, Use::$what_for) {
                    Ok(to) => next($($before,)* to.as_ptr() $(, $after)*),
                    Err(errno) => {
                        fail(errno);
                        $failure
                    }
                }
            }
        }
    )*};
}

redirect! {
    Look, -1, c"stat" stat([path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"stat64" stat64([path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"lstat" lstat([path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"lstat64" lstat64([path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"fstatat" fstatat(folder: c_int, [path in folder], status: *mut c_void, flags: c_int) -> c_int;
    Look, -1, c"fstatat64" fstatat64(folder: c_int, [path in folder], status: *mut c_void, flags: c_int) -> c_int;
    Look, -1, c"statx"
        statx(folder: c_int, [path in folder], flags: c_int, mask: c_uint, status: *mut c_void) -> c_int;
    // The names of stat in programs that were linked with a C library before 2.33.
    Look, -1, c"__xstat" __xstat(version: c_int, [path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"__xstat64" __xstat64(version: c_int, [path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"__lxstat" __lxstat(version: c_int, [path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"__lxstat64" __lxstat64(version: c_int, [path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"__fxstatat"
        __fxstatat(version: c_int, folder: c_int, [path in folder], status: *mut c_void, flags: c_int) -> c_int;
    Look, -1, c"__fxstatat64"
        __fxstatat64(version: c_int, folder: c_int, [path in folder], status: *mut c_void, flags: c_int) -> c_int;
    Look, -1, c"access" access([path in AT_FDCWD], mode: c_int) -> c_int;
    Look, -1, c"eaccess" eaccess([path in AT_FDCWD], mode: c_int) -> c_int;
    Look, -1, c"euidaccess" euidaccess([path in AT_FDCWD], mode: c_int) -> c_int;
    Look, -1, c"faccessat" faccessat(folder: c_int, [path in folder], mode: c_int, flags: c_int) -> c_int;
    // Reads the folder by calls inside the C library, in the order of the real folder; most callers sort.
    Look, -1, c"scandir" scandir(
        [path in AT_FDCWD], list: *mut c_void, filter: *const c_void, compare: *const c_void
    ) -> c_int;
    Look, -1, c"scandir64" scandir64(
        [path in AT_FDCWD], list: *mut c_void, filter: *const c_void, compare: *const c_void
    ) -> c_int;
    Look, -1, c"readlink" readlink([path in AT_FDCWD], buffer: *mut c_char, size: size_t) -> ssize_t;
    Look, -1, c"readlinkat"
        readlinkat(folder: c_int, [path in folder], buffer: *mut c_char, size: size_t) -> ssize_t;
    Look, -1, c"__readlink_chk"
        __readlink_chk([path in AT_FDCWD], buffer: *mut c_char, size: size_t, room: size_t) -> ssize_t;
    Look, -1, c"chdir" chdir([path in AT_FDCWD]) -> c_int;
    Look, -1, c"statfs" statfs([path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"statfs64" statfs64([path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"statvfs" statvfs([path in AT_FDCWD], status: *mut c_void) -> c_int;
    Look, -1, c"pathconf" pathconf([path in AT_FDCWD], name: c_int) -> c_long;
    Look, -1, c"getxattr"
        getxattr([path in AT_FDCWD], name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    Look, -1, c"lgetxattr"
        lgetxattr([path in AT_FDCWD], name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    Look, -1, c"listxattr" listxattr([path in AT_FDCWD], list: *mut c_char, size: size_t) -> ssize_t;
    Look, -1, c"llistxattr" llistxattr([path in AT_FDCWD], list: *mut c_char, size: size_t) -> ssize_t;
    Change, -1, c"unlink" unlink([path in AT_FDCWD]) -> c_int;
    Change, -1, c"unlinkat" unlinkat(folder: c_int, [path in folder], flags: c_int) -> c_int;
    Change, -1, c"remove" remove([path in AT_FDCWD]) -> c_int;
    Change, -1, c"rmdir" rmdir([path in AT_FDCWD]) -> c_int;
    Change, -1, c"mkdir" mkdir([path in AT_FDCWD], mode: mode_t) -> c_int;
    Change, -1, c"mkdirat" mkdirat(folder: c_int, [path in folder], mode: mode_t) -> c_int;
    Change, -1, c"chmod" chmod([path in AT_FDCWD], mode: mode_t) -> c_int;
    Change, -1, c"fchmodat" fchmodat(folder: c_int, [path in folder], mode: mode_t, flags: c_int) -> c_int;
    Change, -1, c"chown" chown([path in AT_FDCWD], user: uid_t, group: gid_t) -> c_int;
    Change, -1, c"lchown" lchown([path in AT_FDCWD], user: uid_t, group: gid_t) -> c_int;
    Change, -1, c"truncate" truncate([path in AT_FDCWD], length: off_t) -> c_int;
    Change, -1, c"truncate64" truncate64([path in AT_FDCWD], length: off_t) -> c_int;
    Change, -1, c"utimensat"
        utimensat(folder: c_int, [path in folder], times: *const libc::timespec, flags: c_int) -> c_int;
    Change, -1, c"symlink" symlink(text: *const c_char, [path in AT_FDCWD]) -> c_int;
    Change, -1, c"symlinkat" symlinkat(text: *const c_char, folder: c_int, [path in folder]) -> c_int;
}

/// Functions with two paths.
macro_rules! redirect_both {
    ($($name:literal $function:ident(
        $($from:ident,)? [$old:ident in $old_folder:expr], $($to:ident,)? [$new:ident in $new_folder:expr]
        $(, $after:ident: $after_type:ty)*
    );)*) => {$(
        // SAFETY: the name is the C library's, and so is the signature: who calls it keeps its contract.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn $function(
            $($from: c_int,)? $old: *const c_char, $($to: c_int,)? $new: *const c_char $(, $after: $after_type)*
        ) -> c_int {
            let next = next!($name, fn(
                $(redirect_both!(@folder $from),)? *const c_char, $(redirect_both!(@folder $to),)? *const c_char
                $(, $after_type)*
            ) -> c_int);
            // SAFETY: the paths are the caller's, who keeps the function's contract; so are the other arguments.
            unsafe {
                match (redirected($old_folder, $old, Use::Change), redirected($new_folder, $new, Use::Change)) {
                    (Ok(from_path), Ok(to_path)) => {
                        next($($from,)? from_path.as_ptr(), $($to,)? to_path.as_ptr() $(, $after)*)
                    }
                    (Err(errno), _) | (_, Err(errno)) => {
                        fail(errno);
                        -1
                    }
                }
            }
        }
    )*};
    (@folder $name:ident) => { c_int };
}

redirect_both! {
    c"rename" rename([old in AT_FDCWD], [new in AT_FDCWD]);
    c"renameat" renameat(from, [old in from], to, [new in to]);
    c"renameat2" renameat2(from, [old in from], to, [new in to], flags: c_uint);
    c"link" link([old in AT_FDCWD], [new in AT_FDCWD]);
    c"linkat" linkat(from, [old in from], to, [new in to], flags: c_int);
}

/// Takes the root folder off the front of the path at `buffer`.
///
/// # Safety
/// `buffer` is null or a C string that may be changed.
unsafe fn show(buffer: *mut c_char) -> *mut c_char {
    let Some(simulation) = Simulation::of_process() else { return buffer };
    if buffer.is_null() {
        return buffer;
    }
    // SAFETY: it is a C string, as the caller promises.
    let path = unsafe { CStr::from_ptr(buffer) }.to_bytes_with_nul().to_vec();
    if let Some(shown) = simulation.shown(&path) {
        // SAFETY: what is written is the end of what stands there, so it fits.
        unsafe { std::ptr::copy_nonoverlapping(shown.as_ptr().cast(), buffer, shown.len()) };
    }
    buffer
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn realpath(path: *const c_char, resolved: *mut c_char) -> *mut c_char {
    let next = next!(c"realpath", fn(*const c_char, *mut c_char) -> *mut c_char);
    // SAFETY: the arguments are the caller's, who keeps the function's contract.
    unsafe {
        match redirected(AT_FDCWD, path, Use::Look) {
            Ok(Redirected::Away(place)) => show(next(place.real.as_ptr(), resolved)),
            _ => next(path, resolved),
        }
    }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn __realpath_chk(
    path: *const c_char,
    resolved: *mut c_char,
    _room: size_t,
) -> *mut c_char {
    // SAFETY: the arguments are the caller's; the room is at least PATH_MAX, as realpath asks.
    unsafe { realpath(path, resolved) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn canonicalize_file_name(path: *const c_char) -> *mut c_char {
    // SAFETY: the path is the caller's; without a buffer realpath allocates one.
    unsafe { realpath(path, std::ptr::null_mut()) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getcwd(buffer: *mut c_char, size: size_t) -> *mut c_char {
    let next = next!(c"getcwd", fn(*mut c_char, size_t) -> *mut c_char);
    // SAFETY: the arguments are the caller's. What comes back is a C string in the caller's or a fresh buffer.
    let path = unsafe { next(buffer, size) };
    // The real path may not fit where the shown one does.
    if path.is_null() && !buffer.is_null() && crate::errno() == libc::ERANGE {
        let shown =
            Simulation::of_process().and_then(|simulation| Some(simulation.shown(&working_folder()?)?.to_vec()));
        if let Some(shown) = shown.filter(|shown| shown.len() < size) {
            // SAFETY: the buffer has `size` bytes, as the caller promises: room for the path and the zero.
            unsafe {
                std::ptr::copy_nonoverlapping(shown.as_ptr().cast(), buffer, shown.len());
                *buffer.add(shown.len()) = 0;
            }
            return buffer;
        }
        fail(libc::ERANGE);
        return path;
    }
    // SAFETY: see above.
    unsafe { show(path) }
}
