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
//! Boot images for Secure Execution (SE images): made, read, checked, taken apart.
//!
//! Byte n of the file lies at absolute address n when the guest starts. Everything begins on a page of 4 KiB, and gaps
//! are zero:
//!
//! | address | what | encrypted |
//! |---|---|---|
//! | 0 | short PSW, 8 bytes | no |
//! | 0xc000 | metadata: where header and IPIB are, 28 bytes | no |
//! | 0x10000 | stage3a, the loader that asks for secure mode | no |
//! | 0x14000 or later | SE header | its own |
//! | next page | kernel, ramdisk, command line, stage3b: each on pages of its own | AES-256-XTS |
//! | next page | IPIB: tells the firmware where header and components are; the file ends with it | no |
//!
//! [`create()`] writes an image; memory does not grow with it. [`Image::open`] reads where everything is, [`verify()`]
//! compares the file with its header, [`extract()`] decrypts a component. No clock, no environment, and no files but those
//! that are passed in.
//!
//! Source of all layouts: images that boot, opened with known keys.

mod component;
mod create;
mod error;
mod extract;
mod image;
mod ipib;
mod kernel;
mod keys;
mod layout;
mod lists;
mod loader;
mod page;
mod pipeline;
mod seed;
mod verify;

pub use component::{Component, Kind};
pub use create::{Created, Placed, Recipe, create};
pub use error::{Difference, Error};
pub use extract::{Contents, Extent, contents, decrypt_header, extract, kernel_version};
pub use image::Image;
pub use ipib::{Ipib, IpibComponent};
pub use kernel::{DROPPED, KERNEL_HEAD, KernelFacts, check_kernel};
pub use keys::ImageKeys;
pub use layout::{MAX_HOST_KEYS, MAX_IMAGE, Metadata, SHORT_PSW, STAGE3A, header_offset};
pub use loader::Loader;
pub use page::{PAGE_SIZE, pages_of};
pub use seed::InputsDigest;
pub use verify::{Findings, LoaderFinding, stage3a, verify};
