//! The configuration file of pvapconfig: which queues the guest wants to use.
//!
//! YAML (or JSON, which is YAML), a list of mappings, described in *Introducing IBM Secure Execution for Linux*
//! (SC34-7721), chapter "Binding and associating AP queues":
//!
//! ```yaml
//! - name: my secret
//!   mode: ep11
//!   mkvp: 0xdb3c3b3c3f097dd55ec7eb0e7fdbcb93
//!   serialnr: 93AADFK719460083
//!   mingen: cex8
//! - mode: accel
//!   mingen: cex6
//! ```
//!
//! | key | accelerator | EP11 |
//! |---|---|---|
//! | `mode` | `accel` | `ep11` |
//! | `mkvp` | means nothing | 32 or 64 hex digits, of which the first 32 count; required |
//! | `serialnr` | means nothing | 16 characters without white space |
//! | `mingen` | `cex4` to `cex8` | `cex8` |
//! | `secretid` | means nothing | 64 hex digits |
//! | `name` | for people | for people; without `secretid` the name of the secret, whose SHA-256 is its id |
//! | `description` | for people | for people |
//!
//! Values are taken as they are written, also those that other readers of YAML take for numbers or nothing: a master
//! key verification pattern may well have decimal digits only. White space around a value does not count, nor does
//! the case of anything but serial numbers and names. A key with an empty value counts as not given.

mod check;
mod problem;
mod read;
mod tree;

#[cfg(test)]
mod tests;

pub use problem::{ConfigError, EntryPlace, Fault, Location, Problem, Warning, WarningKind};

use crate::Entry;

/// The largest configuration file that is read, in bytes. Twelve queues, which is what a guest can use, take up two
/// thousand.
pub const MAX_SIZE: usize = 1 << 20;

/// A configuration file that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Entries in the order of the file.
    pub entries: Vec<Entry>,
    /// What is allowed, but probably not meant, in the order of the entries: at most a hundred, and the one that is about
    /// all of them.
    pub warnings: Vec<Warning>,
}

/// Reads a configuration file.
///
/// No entries at all (an empty file, or one with comments only) is no error.
///
/// # Errors
/// If the file is too large, no UTF-8, no YAML, not a list of mappings, or if any of its entries is wrong: then with
/// all that is wrong in any of them.
pub fn parse(bytes: &[u8]) -> Result<Configuration, ConfigError> {
    if bytes.len() > MAX_SIZE {
        return Err(Problem::new(Fault::TooLarge, None).into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
        Problem::new(Fault::NotUtf8, Some(Location::after(&before)))
    })?;
    // What some editors for Windows put in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check::all(&read::entries(text)?)
}
