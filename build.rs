//! The program of a guest links the C library alone: what the standard library takes of libgcc_s comes from its static half.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let has = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    if !has("GUEST") || has("WORKSTATION") {
        return;
    }
    let Some(folder) = env::var_os("OUT_DIR") else { return };
    // The standard library names the shared one, and nothing that could be said to the linker behind that changes it.
    // A linker takes a text of this form for a library of that name.
    let script = Path::new(&folder).join("libgcc_s.so");
    match fs::write(&script, "INPUT(-lgcc_eh -lgcc)\n") {
        Ok(()) => println!("cargo::rustc-link-search=native={}", Path::new(&folder).display()),
        Err(error) => println!("cargo::error=cannot write {}: {error}", script.display()),
    }
}
