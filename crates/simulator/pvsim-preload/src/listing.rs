//! Listings of simulated folders, in the order that `pvsim` says: sysfs has one of its own, and programs that take the
//! first of several names depend on it. The entries themselves are those of the real folder.
//!
//! Kept is what `opendir` and `fdopendir` opened, by the address of the C library's `DIR`, until `closedir`.

use crate::next::next;
use crate::place::{Place, simulated_folder};
use crate::{KeepErrno, client, fail};
use libc::{AT_FDCWD, DIR, c_char, c_int, c_long, c_void, dirent64};
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// An open folder.
struct Listing {
    /// Names in the order in which they are to come.
    order: Vec<Vec<u8>>,
    /// All entries, once the first was asked for. Each is valid until the folder is closed or begun anew.
    entries: Option<Vec<dirent64>>,
    next: usize,
}

static OPEN: LazyLock<Mutex<HashMap<usize, Listing>>> = LazyLock::new(Mutex::default);
/// How many there are: most programs have none, and need not look.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn open_listings() -> MutexGuard<'static, HashMap<usize, Listing>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(folder: *mut DIR, order: Vec<Vec<u8>>) {
    let mut open = open_listings();
    open.insert(folder as usize, Listing { order, entries: None, next: 0 });
    COUNT.store(open.len(), Ordering::SeqCst);
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn opendir(path: *const c_char) -> *mut DIR {
    let next = next!(c"opendir", fn(*const c_char) -> *mut DIR);
    // SAFETY: the path is the caller's: null or a C string.
    let Some(place) = (unsafe { Place::of(AT_FDCWD, path) }) else {
        // SAFETY: as above.
        return unsafe { next(path) };
    };
    let kept = KeepErrno::new();
    let order = if place.is_served() { client::prepare(&place.name).ok() } else { None };
    drop(kept);
    // SAFETY: the path is a C string.
    let folder = unsafe { next(place.real.as_ptr()) };
    if let Some(order) = order.filter(|_| !folder.is_null()) {
        keep(folder, order);
    }
    folder
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn fdopendir(file: c_int) -> *mut DIR {
    let next = next!(c"fdopendir", fn(c_int) -> *mut DIR);
    let kept = KeepErrno::new();
    let order = simulated_folder(file).and_then(|name| client::prepare(&name).ok());
    drop(kept);
    // SAFETY: no pointers are given.
    let folder = unsafe { next(file) };
    if let Some(order) = order.filter(|_| !folder.is_null()) {
        keep(folder, order);
    }
    folder
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn closedir(folder: *mut DIR) -> c_int {
    if COUNT.load(Ordering::SeqCst) > 0 {
        let mut open = open_listings();
        open.remove(&(folder as usize));
        COUNT.store(open.len(), Ordering::SeqCst);
    }
    let next = next!(c"closedir", fn(*mut DIR) -> c_int);
    // SAFETY: the argument is the caller's, who keeps the function's contract.
    unsafe { next(folder) }
}

/// The next entry of a folder that is kept: `None` for all others, null at the end.
fn next_entry(folder: *mut DIR) -> Option<*mut c_void> {
    if COUNT.load(Ordering::SeqCst) == 0 {
        return None;
    }
    let mut open = open_listings();
    let listing = open.get_mut(&(folder as usize))?;
    let Listing { order, entries, next } = listing;
    let entries = entries.get_or_insert_with(|| all_entries(folder, order));
    let entry = entries.get_mut(*next);
    *next += usize::from(entry.is_some());
    Some(entry.map_or(std::ptr::null_mut(), |entry| std::ptr::from_mut(entry).cast()))
}

fn all_entries(folder: *mut DIR, order: &[Vec<u8>]) -> Vec<dirent64> {
    let next = next!(c"readdir64", fn(*mut DIR) -> *mut dirent64);
    let mut entries = vec![];
    loop {
        // SAFETY: the folder is open: its listing is kept until it is closed.
        let entry = unsafe { next(folder) };
        if entry.is_null() {
            break;
        }
        // SAFETY: all bytes zero is a valid value of this struct of numbers.
        let mut copy: dirent64 = unsafe { std::mem::zeroed() };
        // SAFETY: the C library says how long its entry is, which is no longer than the struct.
        unsafe {
            let length = usize::from((*entry).d_reclen).min(size_of::<dirent64>());
            std::ptr::copy_nonoverlapping(entry.cast::<u8>(), (&raw mut copy).cast(), length);
        }
        entries.push(copy);
    }
    // What is not of the simulation comes first: `.` and `..`.
    entries.sort_by_cached_key(|entry| {
        // SAFETY: the name ends with a zero, as the C library wrote it.
        let name = unsafe { CStr::from_ptr(entry.d_name.as_ptr()) }.to_bytes();
        order.iter().position(|known| known == name).map_or(0, |position| position + 1)
    });
    entries
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn readdir64(folder: *mut DIR) -> *mut c_void {
    if let Some(entry) = next_entry(folder) {
        return entry;
    }
    let next = next!(c"readdir64", fn(*mut DIR) -> *mut c_void);
    // SAFETY: the argument is the caller's, who keeps the function's contract.
    unsafe { next(folder) }
}

// SAFETY: name and signature are the C library's. On machines of 64 bits the entries are those of readdir64.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn readdir(folder: *mut DIR) -> *mut c_void {
    // SAFETY: the argument is the caller's, who keeps the function's contract.
    unsafe { readdir64(folder) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn rewinddir(folder: *mut DIR) {
    if COUNT.load(Ordering::SeqCst) > 0 {
        if let Some(listing) = open_listings().get_mut(&(folder as usize)) {
            listing.entries = None;
            listing.next = 0;
        }
    }
    let next = next!(c"rewinddir", fn(*mut DIR));
    // SAFETY: the argument is the caller's, who keeps the function's contract.
    unsafe { next(folder) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn telldir(folder: *mut DIR) -> c_long {
    if COUNT.load(Ordering::SeqCst) > 0 {
        if let Some(listing) = open_listings().get(&(folder as usize)) {
            return listing.next as c_long;
        }
    }
    let next = next!(c"telldir", fn(*mut DIR) -> c_long);
    // SAFETY: the argument is the caller's, who keeps the function's contract.
    unsafe { next(folder) }
}

// SAFETY: name and signature are the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn seekdir(folder: *mut DIR, position: c_long) {
    if COUNT.load(Ordering::SeqCst) > 0 {
        if let Some(listing) = open_listings().get_mut(&(folder as usize)) {
            let Ok(position) = usize::try_from(position) else { return fail(libc::EINVAL) };
            listing.next = position;
            return;
        }
    }
    let next = next!(c"seekdir", fn(*mut DIR, c_long));
    // SAFETY: the arguments are the caller's, who keeps the function's contract.
    unsafe { next(folder, position) }
}
