//! The functions that would have been called without this library.

use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The address of the next function called `name`, kept in `slot`.
pub(crate) fn address(name: &CStr, slot: &AtomicUsize) -> usize {
    let found = slot.load(Ordering::Acquire);
    if found != 0 {
        return found;
    }
    // SAFETY: the name is a C string; RTLD_NEXT is a valid handle in a preloaded library.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) } as usize;
    if found == 0 {
        // The program would have jumped to the same nothing.
        std::process::abort();
    }
    slot.store(found, Ordering::Release);
    found
}

/// `next!(c"open", fn(*const c_char, c_int) -> c_int)`: the C library's function of this name.
macro_rules! next {
    ($name:expr, fn($($type:ty),* $(,)?)) => {
        next!($name, fn($($type),*) -> ())
    };
    ($name:expr, fn($($type:ty),* $(,)?) -> $result:ty) => {{
        static SLOT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let address = crate::next::address($name, &SLOT);
        // SAFETY: the address is that of the C library's function of this name, which has this signature.
        // Variadic functions (open, ioctl) are called as if their last argument were declared: the calling
        // conventions of x86_64 and s390x pass it in the same register (x86_64 asks in addition for the number of
        // vector registers in al, which a function that takes no floating-point argument never reads).
        unsafe { std::mem::transmute::<usize, unsafe extern "C" fn($($type),*) -> $result>(address) }
    }};
}
pub(crate) use next;
