#![forbid(unsafe_code)]
// What others wrote is taken apart here: nothing that can panic or cut a number off, without a reason beside it.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]
//! The Secure Execution header (SE header): find it in a boot image, parse it, give its boot tags.
//!
//! The header stands in front of an encrypted boot image. It carries the image's keys, encrypted for the
//! machines that may run it, and the digests that identify the image. This crate decrypts nothing.
//!
//! ```text
//! image:   boot loader ─ 0xc000 metadata block (newer images) ─ 0x14000 SE header ─ encrypted components
//! header:  fixed part 0x1a0 ─ key slots, 80 bytes each ─ encrypted part ─ tag, 16 bytes
//! ```
//!
//! ```
//! # fn main() -> Result<(), sehdr::Error> {
//! # let image = vec![0; 4096];
//! let found = sehdr::locate(&mut std::io::Cursor::new(image), sehdr::Search::Everywhere);
//! match found.and_then(|found| sehdr::SeHeader::parse(&found.bytes)) {
//!     Ok(header) => println!("{:?}", header.boot_tags()),
//!     Err(sehdr::Error::NotFound) => println!("not an SE image"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```

mod error;
mod header;
mod locate;
mod secrets;

pub use error::Error;
pub use header::{BootTags, FIELDS, FIXED_SIZE, HeaderDraft, KEY_SLOTS, MAGIC, MAX_SIZE, SeHeader, Sealed, VERSION_1};
pub use locate::{
    DEFAULT_COUNT, DEFAULT_SKIP, Found, METADATA_MAGIC, METADATA_OFFSET, METADATA_VERSION_1, PAGE_SIZE, Search, locate,
};
pub use secrets::{HeaderSecrets, SECRETS_SIZE};
pub use uvtypes::flags::{pcf, scf};
