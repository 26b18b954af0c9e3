//! What the tools share: the command line, the system they run on, files in and out, host keys, CRLs, errors.

pub(crate) mod cli;
pub(crate) mod clock;
pub(crate) mod error;
#[cfg(feature = "workstation")]
pub(crate) mod host_keys;
#[cfg(feature = "network")]
pub(crate) mod http;
pub(crate) mod input;
pub(crate) mod output;
#[cfg(feature = "workstation")]
pub(crate) mod se_header;
pub(crate) mod system;
pub(crate) mod yaml;
