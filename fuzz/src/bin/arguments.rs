//! Command lines: words that are separated by line feeds, given to every applet's parser.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pvtools::Applet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

fn fuzz(bytes: &[u8]) {
    let [first, rest @ ..] = bytes else { return };
    let applet = &Applet::ALL[usize::from(*first) % Applet::ALL.len()];
    let words = rest.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec()));
    let _ = (applet.command)().try_get_matches_from(std::iter::once(OsString::from(applet.name)).chain(words));
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
