//! The simulated AP bus: `/sys/bus/ap` and `/sys/devices/ap` of a Secure Execution guest.
//!
//! ```text
//! tree (paths, folders, links) ── store (state on disk, clock, log of writes)
//!      │                              │
//! attributes (texts)              bus (cards, queues, events) ── firmware_rules
//!                                     └── queue (one state machine; pure, is told the time)
//! ```
//!
//! Not simulated: uevents, requests to the cards (`/dev/z90crypt`), the files that every device of sysfs has
//! (`uevent`, `power/`, `subsystem`). An error of reading an attribute comes when it is opened.

mod attributes;
pub(crate) mod bus;
pub mod card;
pub mod events;
pub(crate) mod faults;
pub(crate) mod firmware_rules;
mod input;
pub(crate) mod inventory;
mod log;
pub mod name;
pub mod queue;
mod show;
pub(crate) mod store;
pub mod terms;
mod tree;

pub use log::LoggedWrite;
pub use show::{ShownBus, ShownCard, ShownQueue};

use crate::server::Parts;
use crate::{Error, Machine};
use std::sync::Arc;
use tree::Tree;

/// The AP bus of a machine, for [`crate::GuestServer::start`]. A call that meets an error of the simulator itself gets `EIO`,
/// and `on_error` is told why.
pub fn parts(machine: &Machine, on_error: fn(&Error)) -> Parts {
    let store = Arc::new(store::Store::new(machine.clone()));
    let tree = |root| Box::new(Tree::new(Arc::clone(&store), root, on_error));
    vec![("/sys/bus/ap", tree("/sys/bus/ap")), ("/sys/devices/ap", tree("/sys/devices/ap"))]
}
