//! The id of a secret as each tool writes it, for the name that an administrator knows it by.
//!
//! Usage: `secret_id NAME`

use std::error::Error;
use std::io::{Write, stdout};
use uvtypes::SecretId;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("usage: secret_id NAME")?;
    let id = SecretId::of_name(&name);
    let mut out = stdout().lock();
    writeln!(out, "pvsecret create association NAME, and 'secretid' of pvapconfig.yaml: {id}")?;
    writeln!(out, "resource 'secret_id' of a key broker:                                {id:x}")?;
    Ok(())
}
