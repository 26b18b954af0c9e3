//! What identifies an SE image, for reference values and policies: its boot tags, and the machines that may run it.
//!
//! Usage: `boot_tags IMAGE`, where the image may also be a header on its own.

use sehdr::{SeHeader, Search, locate};
use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: boot_tags IMAGE")?;
    let found = locate(&mut File::open(path)?, Search::Everywhere)?;
    let header = SeHeader::parse(&found.bytes)?;
    let tags = header.boot_tags();
    let mut out = stdout().lock();
    writeln!(out, "header at offset {:#x}, {} encrypted pages", found.offset, header.encrypted_pages())?;
    let rows = [
        ("se.tag", tags.tag.as_slice()),
        ("page-list digest", &tags.page_list_digest),
        ("address-list digest", &tags.address_list_digest),
        ("tweak-list digest", &tags.tweak_list_digest),
    ];
    for (name, bytes) in rows {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "{name}: {digits}")?;
    }
    for hash in header.host_key_hashes() {
        writeln!(out, "runs on the machine with host-key hash {hash}")?;
    }
    Ok(())
}
