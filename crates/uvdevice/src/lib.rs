//! `/dev/uv`
pub mod abi;
