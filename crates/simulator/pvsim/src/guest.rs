//! What lasts from one boot of the guest to the next.

use crate::hexed::Hex;
use crate::{Error, Platform};
use openssl::rand::rand_bytes;
use serde::{Deserialize, Serialize};

/// What the ultravisor keeps for a running guest. Decrypted secrets stand in it as they are: it is a simulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// How often the machine was started.
    pub boot: u64,
    /// Configuration unique id of the running guest, new with every boot.
    pub cuid: Hex<16>,
    /// Whether the secret store is locked.
    pub locked: bool,
    /// Whether the guest may be dumped.
    pub dump_allowed: bool,
    /// The customer-communication key in force.
    pub cck: Hex<32>,
    /// The extension secret that the first successful request fixed.
    pub extension_secret: Option<Hex<32>>,
    /// The secret store, in the order of adding.
    pub secrets: Vec<StoredSecret>,
    /// The GCM tags of all successful add-secret requests, in order.
    pub request_tags: Vec<Hex<16>>,
    /// Wraps retrieved keys; new with every boot, so that a protected key is of no use in the next.
    pub wrapping_key: Hex<32>,
}

/// A secret in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredSecret {
    /// Its index.
    pub index: u16,
    /// Its kind, as the ultravisor numbers it.
    pub kind: u16,
    /// Its id.
    pub id: Hex<32>,
    /// Bytes that a retrieval gives.
    pub length: u32,
    /// The secret in its stored form.
    #[serde(with = "hex::serde")]
    pub secret: Vec<u8>,
}

impl Guest {
    /// The guest right after start number `boot`.
    ///
    /// # Errors
    /// [`Error::OpenSsl`] when there are no random numbers.
    pub fn boot(platform: &Platform, boot: u64) -> Result<Self, Error> {
        let (mut cuid, mut wrapping_key) = ([0; 16], [0; 32]);
        rand_bytes(&mut cuid)?;
        rand_bytes(&mut wrapping_key)?;
        Ok(Self {
            boot,
            cuid: Hex(cuid),
            locked: false,
            dump_allowed: platform.image.dump_allowed,
            cck: Hex(platform.image.secrets.cck),
            extension_secret: None,
            secrets: Vec::new(),
            request_tags: Vec::new(),
            wrapping_key: Hex(wrapping_key),
        })
    }
}
