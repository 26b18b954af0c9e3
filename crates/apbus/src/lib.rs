//! Crypto Express queues of a Secure Execution guest, as the AP bus of Linux shows them in sysfs.
//!
//! What is there: [`Queue`]. What is wanted: [`Entry`], from the configuration file of pvapconfig ([`config`]).
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

/// The queues that a Secure Execution guest can have bound at a time (*Introducing IBM Secure Execution for Linux*,
/// SC34-7721).
pub const MAX_QUEUES: usize = 12;

pub mod config;
pub mod plan;
pub mod text;

mod apqn;
mod attribute;
mod bus;
mod clock;
mod converge;
mod entry;
mod error;
mod generation;
mod inventory;
mod listing;
mod mkvp;
mod operate;
mod queue;
mod secret;
mod serial;
mod settings;

pub use apqn::{Apqn, InvalidApqn};
pub use bus::{Bindings, Bus};
pub use clock::{Backoff, Clock, timeout};
pub use converge::{Event, Executor, Failure, Report, Task};
pub use entry::{Entry, Wanted};
pub use error::{Change, Error};
pub use generation::{Generation, InvalidGeneration};
pub use inventory::{Inventory, Note};
pub use listing::{CardListing, DeviceListing, Functions, QueueListing};
pub use mkvp::{InvalidMkvp, Mkvp};
pub use operate::{Operator, Waiting};
pub use plan::Step;
pub use queue::{MasterKey, Mode, Queue, State};
pub use secret::AssociationSecret;
pub use serial::{InvalidSerialNumber, SerialNumber};
pub use settings::{BusSettings, BusSwitch, Device, DomainMask};
