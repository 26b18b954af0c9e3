#![forbid(unsafe_code)]
//! A simulated Secure Execution guest and the machine it runs on.
//!
//! Nothing here is shared with the code that builds requests but the byte reader: a mistake in a builder
//! must not cancel itself.

pub mod image;
