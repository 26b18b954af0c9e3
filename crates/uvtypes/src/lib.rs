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
//! The words of IBM Secure Execution that every crate of pvtools shares: no I/O, no cipher, no command line.
//!
//! | word | what it is |
//! |---|---|
//! | [`SecretId`], [`SecretKind`] | how a secret is found, and what it is |
//! | [`Cuid`] | one boot of one guest |
//! | [`HostKeyHash`], [`KeySlot`] | a machine, and its share of a request or an image |
//! | [`flags`], [`attestation`] | the bits of all words of flags, and what each asks for |
//! | [`SecretList`] | what the secret store of a guest holds |
//! | [`limits`] | how large everything may be |
//! | [`layout`] | how a format is described, field by field |
//! | [`Reader`], [`SecretBox`] | reading big-endian formats; holding secrets |
//! | [`text`] | text from outside, made fit for a terminal |
//!
//! Whoever adds a secret kind adds a row to [`SecretKind::TABLE`]; whoever adds a flag, a row to the table of its word:
//! the command lines, lists and explanations of all tools are made from these tables.

pub mod attestation;
mod cuid;
pub mod flags;
mod hexadecimal;
mod host_key_hash;
mod key_slot;
pub mod layout;
pub mod limits;
mod reader;
mod secret_box;
mod secret_id;
mod secret_kind;
mod secret_list;
pub mod text;

pub use cuid::Cuid;
pub use hexadecimal::InvalidHex;
pub use host_key_hash::HostKeyHash;
pub use key_slot::{COORDINATE_SIZE, KeySlot, KeySlotKind};
pub use reader::{ReadError, Reader};
pub use secret_box::SecretBox;
pub use secret_id::SecretId;
pub use secret_kind::{KindRow, RetrievableType, SecretKind, SecretUse};
pub use secret_list::{ListedSecret, SecretList, SecretListError};
