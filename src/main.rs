//! The one binary: collects the arguments and the real system, and hands over.

#![forbid(unsafe_code)]

// For what it defines.
#[cfg(feature = "guest")]
use no_unwind as _;
use pvtools::System;
use std::process::ExitCode;

fn main() -> ExitCode {
    pvtools::forbid_core_dumps();
    let args: Vec<_> = std::env::args_os().collect();
    pvtools::run(&args, &mut System::live())
}
