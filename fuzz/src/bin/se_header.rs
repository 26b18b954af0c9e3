//! The SE header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sehdr::SeHeader;

fn fuzz(bytes: &[u8]) {
    let Ok(header) = SeHeader::parse(bytes) else { return };
    let size = header.size() as usize;
    assert_eq!(SeHeader::parse(&bytes[..size]).unwrap(), header, "what follows a header does not matter");
    SeHeader::parse(&bytes[..size - 1]).expect_err("a header that is cut");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
