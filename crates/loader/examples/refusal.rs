//! Why the ultravisor refused an image: the sentence that the loader puts on the console, for the code in a register dump.
//!
//! Usage: `refusal CODE`, the 64 bits that DIAGNOSE 0x308 subcode 10 gave back, in hexadecimal digits. For example
//! `refusal 0003001b01020a02`: another page than the header vouches for.

use seloader::refusal::Refusal;
use std::error::Error;
use std::io::{Write, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let code = std::env::args().nth(1).ok_or("usage: refusal CODE")?;
    let code = u64::from_str_radix(code.trim_start_matches("0x"), 16)?;
    let mut line: Vec<u8> = Refusal(code).line().bytes().collect();
    line.push(b'\n');
    stdout().write_all(&line)?;
    Ok(())
}
