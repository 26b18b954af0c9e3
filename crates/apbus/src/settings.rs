//! What holds for the bus as a whole, and the switches of its devices.

use crate::{Apqn, Bus, Clock, Error, attribute};
use std::fmt;
use std::path::PathBuf;

/// Attributes of the bus. `None` stands for one that is missing or says something unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusSettings {
    /// Names of what the AP instructions of this machine can do; empty if there is none.
    pub features: Option<String>,
    /// Domain of requests that name none; -1 if there is none.
    pub default_domain: Option<i32>,
    /// Highest domain of this machine.
    pub max_domain: Option<u32>,
    /// Whether adapters interrupt when a reply is there.
    pub interrupts: Option<bool>,
    /// Seconds between two scans of the bus.
    pub config_time: Option<u64>,
    /// Whether a kernel thread asks for replies.
    pub poll_thread: Option<bool>,
    /// Nanoseconds between two questions for replies.
    pub poll_timeout: Option<u64>,
}

/// An attribute of the bus that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusSwitch {
    /// `config_time`: seconds, 5 to 120.
    ConfigTime,
    /// `ap_domain`: the default domain, which has to be a usage domain.
    DefaultDomain,
    /// `poll_thread`: 0 or 1.
    PollThread,
    /// `poll_timeout`: nanoseconds, up to 120 s.
    PollTimeout,
}

impl BusSwitch {
    fn file(self) -> &'static str {
        match self {
            Self::ConfigTime => "config_time",
            Self::DefaultDomain => "ap_domain",
            Self::PollThread => "poll_thread",
            Self::PollTimeout => "poll_timeout",
        }
    }
}

/// A card, or one of its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A card, by its number.
    Card(u8),
    /// A queue, by card and domain.
    Queue(Apqn),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card(card) => write!(f, "card{card:02x}"),
            Self::Queue(apqn) => write!(f, "card{:02x}/{apqn}", apqn.card),
        }
    }
}

/// A set of domains: 256 bits, bit 0 leftmost, as the kernel writes them (`0x` and 64 hexadecimal digits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainMask([u8; 32]);

impl DomainMask {
    /// Reads a mask; `None` if it is none, such as `not supported`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut mask = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x")?, &mut mask).ok()?;
        Some(Self(mask))
    }

    /// Whether the mask has the bit of `domain`, counted from 0.
    pub fn has(&self, domain: u8) -> bool {
        let byte = self.0.get(usize::from(domain / 8)).copied().unwrap_or_default();
        byte << (domain % 8) & 0x80 != 0
    }
}

impl Bus {
    /// Reads what holds for the bus.
    pub fn settings(&self) -> BusSettings {
        let text = |name: &str| attribute::read(&self.attribute(name)).ok();
        let number = |name: &str| text(name)?.parse().ok();
        BusSettings {
            features: text("features"),
            default_domain: text("ap_domain").and_then(|text| text.parse().ok()),
            max_domain: text("ap_max_domain_id").and_then(|text| text.parse().ok()),
            interrupts: flag(text("ap_interrupts")),
            config_time: number("config_time"),
            poll_thread: flag(text("poll_thread")),
            poll_timeout: number("poll_timeout"),
        }
    }

    /// The domains whose queues can be used (`usage`), or those that can be controlled. Without the attribute: none.
    ///
    /// # Errors
    /// [`Error::Read`] if the machine cannot tell.
    pub fn domains(&self, usage: bool) -> Result<DomainMask, Error> {
        let path = self.attribute(if usage { "ap_usage_domain_mask" } else { "ap_control_domain_mask" });
        let Ok(text) = attribute::read(&path) else { return Ok(DomainMask([0; 32])) };
        let unknown = || std::io::Error::new(std::io::ErrorKind::InvalidData, "it is no mask of domains");
        DomainMask::parse(&text).ok_or_else(|| Error::Read { path, source: unknown() })
    }

    /// Sets an attribute of the bus. The kernel checks the range.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Stuck`].
    pub fn set(&self, switch: BusSwitch, value: u64, clock: &dyn Clock) -> Result<(), Error> {
        attribute::write(&self.attribute(switch.file()), &value.to_string(), clock)
    }

    /// Whether the device is on the bus.
    pub fn has_device(&self, device: Device) -> bool {
        self.device_folder(device).is_dir()
    }

    /// Takes a card or queue online or offline.
    ///
    /// # Errors
    /// [`Error::Stuck`]; [`Error::Write`]: `EINVAL` for a queue whose card is offline, `ENODEV` for what is deconfigured.
    pub fn set_online(&self, device: Device, online: bool, clock: &dyn Clock) -> Result<(), Error> {
        attribute::write(&self.device_folder(device).join("online"), if online { "1" } else { "0" }, clock)
    }

    /// Whether a card is configured, as far as it tells.
    pub fn is_configured(&self, card: u8) -> Option<bool> {
        flag(attribute::read(&self.card_folder(card).join("config")).ok())
    }

    /// Asks the machine to configure or deconfigure a card.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Stuck`].
    pub fn set_configured(&self, card: u8, configured: bool, clock: &dyn Clock) -> Result<(), Error> {
        attribute::write(&self.card_folder(card).join("config"), if configured { "1" } else { "0" }, clock)
    }

    fn device_folder(&self, device: Device) -> PathBuf {
        match device {
            Device::Card(card) => self.card_folder(card),
            Device::Queue(apqn) => self.queue_folder(apqn),
        }
    }
}

/// `0` or `1`.
fn flag(text: Option<String>) -> Option<bool> {
    match text?.as_str() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_0_of_a_mask_is_the_leftmost() {
        let mask = DomainMask::parse(&format!("0x81{}01", "0".repeat(60))).unwrap();
        let domains: Vec<_> = (0..=255).filter(|domain| mask.has(*domain)).collect();
        assert_eq!(domains, [0, 7, 255]);
        for wrong in ["", "0x", "not supported", "0x00", &"0".repeat(64)] {
            assert_eq!(DomainMask::parse(wrong), None, "{wrong}");
        }
    }
}
