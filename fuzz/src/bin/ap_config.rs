//! Configuration files of pvapconfig.
#![no_main]

use apbus::config::{MAX_SIZE, parse};
use libfuzzer_sys::fuzz_target;

fn fuzz(bytes: &[u8]) {
    assert!(bytes.len() <= MAX_SIZE);
    match parse(bytes) {
        // What can be used can be read as text.
        Ok(configuration) => {
            assert!(std::str::from_utf8(bytes).is_ok());
            for warning in configuration.warnings {
                let index = warning.entry.map_or(0, |entry| entry.index);
                assert!(index <= configuration.entries.len());
            }
        }
        Err(error) => {
            assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let text = problem.to_string();
                assert!(!text.contains(char::is_control), "{text:?}");
                assert!(problem.location.is_none_or(|place| place.line >= 1 && place.column >= 1));
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
