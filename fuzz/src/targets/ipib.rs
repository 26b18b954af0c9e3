//! The IPIB.

use seimage::Ipib;

pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(ipib) = Ipib::parse(bytes) else { return };
    assert_eq!(ipib.to_bytes(), bytes, "what is read is what was written");
    Ipib::parse(&bytes[..bytes.len() - 1]).expect_err("an IPIB that is cut");
    Ipib::parse(&[bytes, &[0]].concat()).expect_err("an IPIB with more behind it");
}
