//! Association secrets, as far as a queue is concerned.

use uvtypes::SecretId;

/// An association secret that the ultravisor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssociationSecret {
    /// The id of the secret. Several secrets may have the same one.
    pub id: SecretId,
    /// The index of the secret in the store, which is what a queue is associated with.
    pub index: u16,
}
