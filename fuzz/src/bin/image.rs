//! Finding the header in an image. The input is pages of 32 bytes, blown up to 4 KiB each, so that the
//! fuzzer reaches the pages that matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sehdr::{PAGE_SIZE, Search, locate};
use std::io::Cursor;

fn fuzz(bytes: &[u8]) {
    let [skip, count, bytes @ ..] = bytes else { return };
    let mut image = Vec::new();
    for start in bytes.chunks(32).take(64) {
        image.extend(start);
        image.resize(image.len().next_multiple_of(PAGE_SIZE as usize), 0);
    }
    for search in [Search::Everywhere, Search::Pages { skip: (*skip).into(), count: (*count).into() }] {
        if let Ok(found) = locate(&mut Cursor::new(&image), search) {
            let offset = found.offset as usize;
            assert_eq!(found.bytes, image[offset..offset + found.bytes.len()]);
            assert!(found.bytes.starts_with(b"IBMSecEx"));
        }
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
