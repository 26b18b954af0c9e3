//! Crypto Express queues of a Secure Execution guest, as the AP bus of Linux shows them in sysfs.
//!
//! What is there: [`Queue`]. What is wanted: [`Entry`], from the configuration file of pvapconfig ([`config`]).
#![forbid(unsafe_code)]

/// The queues that a Secure Execution guest can have bound at a time (*Introducing IBM Secure Execution for Linux*,
/// SC34-7721).
pub const MAX_QUEUES: usize = 12;

mod apqn;
pub mod config;
mod entry;
mod generation;
mod mkvp;
pub mod plan;
mod queue;
mod secret;
mod serial;

pub use apqn::{Apqn, InvalidApqn};
pub use entry::{Entry, Wanted};
pub use generation::{Generation, InvalidGeneration};
pub use mkvp::{InvalidMkvp, Mkvp};
pub use queue::{MasterKey, Mode, Queue, State};
pub use secret::{AssociationSecret, InvalidSecretId, SecretId};
pub use serial::{InvalidSerialNumber, SerialNumber};
