//! What a verifier in a key broker does with an evidence: what Trustee's does, and the comparison with the image.
//!
//! Usage: `verify_evidence EVIDENCE RSA_KEY HEADER CHALLENGE`

use sehdr::SeHeader;
use setrustee::{Challenge, Evidence, Expectations, MeasurementKeyPair, verify};
use std::error::Error;
use std::io::{Write, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = std::env::args().skip(1).map(std::fs::read);
    let mut file = || files.next().ok_or("usage: verify_evidence EVIDENCE RSA_KEY HEADER CHALLENGE");
    let (evidence, runtime_data) = Evidence::parse(&file()??)?;
    let rsa = MeasurementKeyPair::from_pem(&file()??)?;
    let header = SeHeader::parse(&file()??)?;
    let challenge = Challenge::parse(&file()??)?;
    let expected = Expectations {
        // A guest of any other image is refused, whatever the policy says.
        images: vec![header.boot_tags().clone()],
        // The challenge of this session: its ciphertexts must come back, so that nobody brings a key of his own.
        challenge: Some(&challenge),
        host_keys: challenge.host_keys()?,
        runtime_data: runtime_data.map(|data| data.digest()),
        cuid: None,
    };
    let verdict = verify(&evidence, &rsa, &expected)?;
    for difference in &verdict.differences {
        writeln!(stdout(), "{difference}")?;
    }
    if !verdict.is_verified() {
        return Err("the evidence does not hold".into());
    }
    writeln!(stdout(), "{}", serde_json::to_string_pretty(&verdict.claims)?)?;
    Ok(())
}
