//! Host keys, from the options that name them to keys that may stand in a request.
//!
//! ```text
//! args ── evidence ── judge ──┬── host keys
//! options  files,     verdict ├── drawing: the chain as text
//!          read once     │    └── bundle: all that the verdict took
//!                    crl_lookup ── crl_cache, http
//! ```

mod args;
mod bundle;
mod crl_cache;
mod crl_lookup;
mod drawing;
mod evidence;
mod judge;

pub(crate) use args::HostKeyArgs;
pub(crate) use bundle::Bundle;
pub(crate) use drawing::draw;
pub(crate) use evidence::load_document;
pub(crate) use judge::Judged;
