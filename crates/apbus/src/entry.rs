//! What is wanted.

use crate::{Generation, Mkvp, SerialNumber};
use uvtypes::SecretId;

/// An entry of the configuration file: one queue that the guest wants to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the entry, for people; in an EP11 entry without a secret id also the name of its secret.
    pub name: Option<String>,
    /// The oldest generation of cards that will do.
    pub mingen: Option<Generation>,
    /// The kind of queue.
    pub wanted: Wanted,
}

/// The kind of queue that an entry wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A bound accelerator queue.
    Accelerator,
    /// An EP11 queue, bound and associated.
    Ep11 {
        /// The master key that the queue must have.
        mkvp: Mkvp,
        /// The card that it must be on.
        serialnr: Option<SerialNumber>,
        /// The association secret that ties it to the guest.
        secret: SecretId,
    },
}
