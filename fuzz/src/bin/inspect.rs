//! The walker that explains every kind of file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uvexplain::{Error, explain_bytes};

fn fuzz(bytes: &[u8]) {
    let report = match explain_bytes(bytes, &[]) {
        Ok(report) => report,
        Err(Error::Broken { report, .. }) => *report,
        Err(_) => return,
    };
    for field in &report.fields {
        if let (Some(offset), Some(size)) = (field.offset, field.size) {
            assert!(offset + size <= bytes.len(), "{} is beyond the file", field.name);
        }
        let _ = field.value.to_string();
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
