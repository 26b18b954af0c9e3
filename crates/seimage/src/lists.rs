//! The lists of addresses and tweaks, whose digests stand in the header. That of the pages is made beside the reading.

use crate::page::{PAGE_SIZE, tweak};
use openssl::sha::Sha512;

/// Address list and tweak list, page by page in the order of the addresses.
#[derive(Clone)]
pub(crate) struct Lists {
    addresses: Sha512,
    tweaks: Sha512,
    pages: u64,
}

/// What is in a header about the pages.
pub(crate) struct Digests {
    pub(crate) addresses: [u8; 64],
    pub(crate) tweaks: [u8; 64],
    pub(crate) pages: u64,
}

impl Lists {
    pub(crate) fn new() -> Self {
        Self { addresses: Sha512::new(), tweaks: Sha512::new(), pages: 0 }
    }

    /// Adds the pages of a component, the first of which is `offset` bytes behind its start.
    pub(crate) fn push(&mut self, component: u64, prefix: u64, offset: u64, pages: u64) {
        for offset in (0..pages).map(|page| offset + page * PAGE_SIZE) {
            self.addresses.update(&component.wrapping_add(offset).to_be_bytes());
            self.tweaks.update(&tweak(prefix, offset));
        }
        self.pages += pages;
    }

    pub(crate) fn finish(self) -> Digests {
        Digests { addresses: self.addresses.finish(), tweaks: self.tweaks.finish(), pages: self.pages }
    }
}
