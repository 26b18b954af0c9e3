//! What an agent in a Secure Execution guest looks at first: is this a guest, and which secrets does it have?
//!
//! Usage: `guest_secrets`, as root in the guest.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;
use uvdevice::{SeStatus, Ultravisor, UvDevice, UvInfo};

fn main() -> Result<(), Box<dyn Error>> {
    let query = UvInfo::at_sysfs(Path::new("/sys")).ok_or("this kernel has no /sys/firmware/uv: no ultravisor")?;
    if query.se_status()? != SeStatus::Guest {
        return Err("this is not a Secure Execution guest".into());
    }
    let list = UvDevice::open(Path::new("/dev/uv"))?.list_secrets()?;
    let mut out = stdout().lock();
    writeln!(out, "a Secure Execution guest with {} secrets", list.total)?;
    for secret in &list.secrets {
        writeln!(out, "{:>5}  {}  {}", secret.index, secret.id, secret.kind)?;
    }
    if list.is_cut() {
        writeln!(out, "and more, which this kernel cannot list")?;
    }
    Ok(())
}
