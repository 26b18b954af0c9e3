#![forbid(unsafe_code)]
//! The words of IBM Secure Execution that every crate of pvtools shares: no I/O, no cryptography, no command line.
//!
//! - [`Reader`] reads big-endian formats and never past their end.
//! - [`text`] makes text from outside fit for a terminal.
//! - [`SecretBox`] holds a secret: wiped on drop, redacted, compared in constant time.

mod reader;
mod secret_box;
pub mod text;

pub use reader::{ReadError, Reader};
pub use secret_box::SecretBox;
