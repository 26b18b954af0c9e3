//! The AP bus as a whole.

use crate::{Apqn, Error, attribute};
use std::path::{Path, PathBuf};

/// The AP bus below a sysfs root.
#[derive(Clone, Debug)]
pub struct Bus {
    attributes: PathBuf,
    devices: PathBuf,
}

/// Progress of the bus in giving drivers to queues: how many there are, and how many have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    /// Text of the attribute `bindings`: `3/4` or `4/4 (complete)`.
    pub text: String,
}

impl Bus {
    /// The bus below `sysfs`, which is `/sys` but in tests.
    ///
    /// # Errors
    /// [`Error::NoBus`].
    pub fn open(sysfs: &Path) -> Result<Self, Error> {
        let bus = Self { attributes: sysfs.join("bus/ap"), devices: sysfs.join("devices/ap") };
        if bus.attributes.is_dir() { Ok(bus) } else { Err(Error::NoBus(bus.attributes)) }
    }

    /// Whether queues can be bound to a Secure Execution guest: the feature `APSB`.
    ///
    /// # Errors
    /// [`Error::NoSecureBinding`] if not, [`Error::Read`].
    pub fn check_secure_binding(&self) -> Result<(), Error> {
        let features = attribute::read(&self.attributes.join("features"))?;
        if features.split_whitespace().any(|feature| feature == "APSB") {
            Ok(())
        } else {
            Err(Error::NoSecureBinding { features })
        }
    }

    /// Reads how many queues have their driver.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn bindings(&self) -> Result<Bindings, Error> {
        attribute::read(&self.attributes.join("bindings")).map(|text| Bindings { text })
    }

    /// An attribute of a queue.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn queue_attribute(&self, apqn: Apqn, name: &str) -> Result<String, Error> {
        attribute::read(&self.queue_folder(apqn).join(name))
    }

    /// An attribute of the bus itself.
    pub(crate) fn attribute(&self, name: &str) -> PathBuf {
        self.attributes.join(name)
    }

    /// The folder of all cards.
    pub(crate) fn devices(&self) -> &Path {
        &self.devices
    }

    /// The folder of a card.
    pub(crate) fn card_folder(&self, card: u8) -> PathBuf {
        self.devices.join(format!("card{card:02x}"))
    }

    /// The folder of a queue.
    pub fn queue_folder(&self, apqn: Apqn) -> PathBuf {
        self.card_folder(apqn.card).join(apqn.to_string())
    }
}

impl Bindings {
    /// Whether every queue has its driver.
    pub fn are_complete(&self) -> bool {
        self.text.contains("complete")
    }
}
