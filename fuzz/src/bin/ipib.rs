//! The IPIB.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seimage::Ipib;

fn fuzz(bytes: &[u8]) {
    let Ok(ipib) = Ipib::parse(bytes) else { return };
    assert_eq!(ipib.to_bytes(), bytes, "what is read is what was written");
    Ipib::parse(&bytes[..bytes.len() - 1]).expect_err("an IPIB that is cut");
    Ipib::parse(&[bytes, &[0]].concat()).expect_err("an IPIB with more behind it");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
