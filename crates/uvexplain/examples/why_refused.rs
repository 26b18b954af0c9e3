//! Where a file of Secure Execution stops to make sense: what to look at when a broker or a guest refuses one.
//!
//! Usage: `why_refused FILE`

use std::error::Error as _;
use std::fs::File;
use std::io::{Write, stdout};
use uvexplain::{Error, Report, explain};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: why_refused FILE")?;
    match explain(&mut File::open(path)?, &[]) {
        Ok(report) => {
            print(&report)?;
            writeln!(stdout(), "nothing is wrong with its layout")?;
            Ok(())
        }
        Err(error) => {
            if let Error::Broken { report, .. } = &error {
                print(report)?;
            }
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Err(format!("{error}{cause}").into())
        }
    }
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}, {} bytes", report.kind, report.size)?;
    for field in &report.fields {
        let at = field.offset.map(|offset| format!("{offset:#x}")).unwrap_or_default();
        writeln!(out, "{at:>8}  {}: {}  {}", field.name, field.value, field.meaning)?;
    }
    report.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
}
