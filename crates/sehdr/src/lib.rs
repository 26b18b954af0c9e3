#![forbid(unsafe_code)]
//! The Secure Execution header.
