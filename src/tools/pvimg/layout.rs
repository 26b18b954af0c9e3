//! An image, as text.

use seimage::{Created, PAGE_SIZE, pages_of};
use std::fmt::Write;

/// Where everything is, and the digests.
pub(super) fn describe(created: &Created) -> String {
    let mut text = format!("{:<14} {:>10} {:>12} {:>9}\n", "part", "address", "bytes", "pages");
    let mut row = |name: &str, address: u64, size: u64, pages: u64| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<14} {address:>#10x} {size:>12} {pages:>9}");
    };
    row("SE header", created.header, created.header_size, created.header_size.div_ceil(PAGE_SIZE));
    for placed in &created.components {
        row(&placed.kind.to_string(), placed.address, placed.size, pages_of(placed.size));
    }
    row("IPIB", created.ipib, created.size - created.ipib, 1);
    let tags = &created.boot_tags;
    let digests =
        [("PLD", &tags.page_list_digest), ("ALD", &tags.address_list_digest), ("TLD", &tags.tweak_list_digest)];
    for (name, digest) in digests {
        let _ = writeln!(text, "{name} {}", hex::encode(digest));
    }
    let _ = writeln!(text, "tag {}\n{} pages, {} bytes", hex::encode(tags.tag), created.pages, created.size);
    text
}
