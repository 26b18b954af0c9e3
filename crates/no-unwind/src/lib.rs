//! Nothing in the place of the unwinder: what the standard library takes of libgcc, for a program that is built with
//! `panic = "abort"`, has no tables to unwind by, and shall be small.
//!
//! A panic still says what happened and where. A backtrace of a program without symbols would name nothing; here it ends
//! before its first frame, and the linker leaves out all that would have read debug information: a tenth of the program.
//!
//! In a program that unwinds the crate defines nothing. The functions are those of the Itanium C++ ABI, "Exception
//! Handling", level I, which every architecture of Linux has.
#![cfg(panic = "abort")]

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`: there is no frame.
const END_OF_STACK: c_int = 5;

/// Calls `_trace` for no frame.
// SAFETY: the name is the unwinder's, and so are arguments and result; it touches no memory.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// What is called by an unwinder alone, or between two frames: by nobody here.
macro_rules! never_called {
    ($($name:ident)*) => { $(
        /// Never called: there is no frame to ask for, and nothing unwinds.
        // SAFETY: the name is the unwinder's; it takes no argument from where a caller would have put it, and does not return.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() -> ! {
            std::process::abort()
        }
    )* };
}

never_called! {
    _Unwind_DeleteException
    _Unwind_FindEnclosingFunction
    _Unwind_GetCFA
    _Unwind_GetDataRelBase
    _Unwind_GetGR
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_RaiseException
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
}
