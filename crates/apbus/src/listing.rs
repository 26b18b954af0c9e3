//! Cards and queues as lszcrypt shows them: every attribute by itself, what is missing stays missing.

use crate::inventory::list_dir;
use crate::text::{self, BindState};
use crate::{Apqn, Bus, Error, attribute};
use std::fs;
use std::path::Path;

/// A card and its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardListing {
    /// Number of the card, 0 to 255.
    pub card: u8,
    /// `CEX8P`; none without a driver.
    pub kind: Option<String>,
    /// The compatible hardware type: 14 is CEX8.
    pub hwtype: Option<u32>,
    /// Number of requests that the card takes at a time.
    pub depth: Option<u32>,
    /// Functions of the card.
    pub functions: Option<Functions>,
    /// Bytes of the largest message that it takes.
    pub max_msg_size: Option<u64>,
    /// Attributes that cards and queues have in common.
    pub device: DeviceListing,
    /// Queues of the card, by domain.
    pub queues: Vec<QueueListing>,
}

/// A queue as `lszcrypt` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueListing {
    /// Name of the queue.
    pub apqn: Apqn,
    /// Attributes that cards and queues have in common.
    pub device: DeviceListing,
    /// Functions of the queue with its SE bind state; `None` if they cannot be read.
    pub functions: Option<Functions>,
}

/// Attributes that cards and queues have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceListing {
    /// Whether the device is configured.
    pub config: Option<bool>,
    /// Whether the device is check-stopped.
    pub chkstop: Option<bool>,
    /// Whether the device is online.
    pub online: Option<bool>,
    /// Number of requests that were sent to the device so far.
    pub requests: Option<u64>,
    /// Requests in work or waiting.
    pub pending: Option<u64>,
    /// The driver that has it.
    pub driver: Option<String>,
}

/// The value of `ap_functions` (`union ap_qact_ap_info` and `struct ap_tapq_hwinfo` of the kernel).
///
/// | bits, from the left | letter | meaning |
/// |---|---|---|
/// | 0 | S | special commands |
/// | 1, 2 | M, C | RSA with 4096 bits, as modulus and exponent or by Chinese remainders |
/// | 3, 4, 5 | D, A, X | CCA, accelerator, EP11 |
/// | 6 | N | extended addressing |
/// | 7 | H | stateless filtering in hardware |
/// | 8, 9 | F, R | full or restricted function set |
/// | 16, 17 | | SE bind state |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Functions(pub u32);

impl Functions {
    const LETTERS: [char; 10] = ['S', 'M', 'C', 'D', 'A', 'X', 'N', 'H', 'F', 'R'];

    /// The letters of what there is, with `-` for what there is not.
    pub fn letters(self) -> String {
        let letter = |(bit, letter): (usize, &char)| if self.has(bit) { *letter } else { '-' };
        Self::LETTERS.iter().enumerate().map(letter).collect()
    }

    /// Name of the mode that the card is configured for: accelerator, CCA or EP11.
    pub fn mode(self) -> &'static str {
        match [3, 4, 5].map(|bit| self.has(bit)) {
            [true, _, _] => "CCA-Coproc",
            [_, true, _] => "Accelerator",
            [_, _, true] => "EP11-Coproc",
            _ => "Unknown",
        }
    }

    /// Capabilities of a card in the words of `lszcrypt`; empty if none is known.
    pub fn capabilities(self) -> Vec<&'static str> {
        if self.has(4) {
            vec![if self.has(1) || self.has(2) { "RSA 4K Clear Key" } else { "RSA 2K Clear Key" }]
        } else if self.has(3) {
            let keys = match (self.has(8), self.has(9)) {
                (true, _) => "CCA Secure Key (full function set)",
                (false, true) => "CCA Secure Key (restricted function set)",
                (false, false) => "CCA Secure Key",
            };
            let filtering = self.has(7).then_some("Hardware support for stateless filtering");
            [Some("RSA 4K Clear Key"), Some(keys), filtering, Some("Long RNG")].into_iter().flatten().collect()
        } else if self.has(5) {
            vec!["EP11 Secure Key"]
        } else {
            Vec::new()
        }
    }

    /// The SE bind state of a queue; none if the queue is not in the guest any more.
    pub fn bind_state(self) -> Option<BindState> {
        (self.0 != 0).then(|| BindState::of(self.0))
    }

    fn has(self, bit: usize) -> bool {
        self.0 << bit & 0x8000_0000 != 0
    }
}

impl Bus {
    /// Lists all cards and queues.
    ///
    /// # Errors
    /// [`Error::Read`] for the folder of all cards.
    pub fn listing(&self) -> Result<Vec<CardListing>, Error> {
        let cards = list_dir(self.devices(), |name| {
            text::card(name.strip_prefix("card")?).filter(|card| name == format!("card{card:02x}"))
        })?;
        Ok(cards.into_iter().map(|card| self.list_card(card)).collect())
    }

    /// Asks a card for its serial number, which takes a request to the card. `None` if it does not tell, as an EP11 card
    /// without a bound queue.
    pub fn card_serial(&self, card: u8) -> Option<String> {
        text(&self.card_folder(card), "serialnr").filter(|serial| !serial.is_empty())
    }

    fn list_card(&self, card: u8) -> CardListing {
        let folder = self.card_folder(card);
        // Taken away meanwhile: a card without queues.
        let apqns = list_dir(&folder, |name| name.parse::<Apqn>().ok().filter(|apqn| apqn.to_string() == name));
        let queues = apqns.unwrap_or_default().into_iter().map(|apqn| {
            let folder = self.queue_folder(apqn);
            QueueListing { apqn, device: DeviceListing::read(&folder), functions: functions(&folder) }
        });
        CardListing {
            card,
            kind: text(&folder, "type"),
            hwtype: number(&folder, "hwtype"),
            depth: number(&folder, "depth"),
            functions: functions(&folder),
            max_msg_size: number(&folder, "max_msg_size"),
            device: DeviceListing::read(&folder),
            queues: queues.collect(),
        }
    }
}

impl DeviceListing {
    fn read(folder: &Path) -> Self {
        let flag = |name| Some(text(folder, name)? == "1");
        let waiting: [Option<u64>; 2] = [number(folder, "pendingq_count"), number(folder, "requestq_count")];
        let driver = fs::read_link(folder.join("driver")).ok();
        Self {
            config: flag("config"),
            chkstop: flag("chkstop"),
            online: flag("online"),
            requests: number(folder, "request_count"),
            pending: waiting.into_iter().flatten().reduce(|sum, more| sum.saturating_add(more)),
            driver: driver.and_then(|link| Some(link.file_name()?.to_str()?.to_owned())),
        }
    }

    /// One word for how it is; none if nothing tells.
    pub fn status(&self) -> Option<&'static str> {
        match (self.config, self.chkstop, self.online) {
            (Some(false), _, _) => Some("deconfig"),
            (_, Some(true), _) => Some("chkstop"),
            (_, _, Some(true)) => Some("online"),
            (_, _, Some(false)) => Some("offline"),
            (_, _, None) => None,
        }
    }
}

fn functions(folder: &Path) -> Option<Functions> {
    text::functions(&text(folder, "ap_functions")?).map(Functions)
}

fn number<T: std::str::FromStr>(folder: &Path, name: &str) -> Option<T> {
    text(folder, name)?.parse().ok()
}

fn text(folder: &Path, name: &str) -> Option<String> {
    attribute::read(&folder.join(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_no_folder_that_is_not_named_as_cards_are() {
        let sysfs = tempfile::tempdir().unwrap();
        for folder in ["bus/ap", "devices/ap/card0f", "devices/ap/card+e", "devices/ap/card28x", "devices/ap/card2"] {
            fs::create_dir_all(sysfs.path().join(folder)).unwrap();
        }
        let cards = Bus::open(sysfs.path()).unwrap().listing().unwrap();
        assert_eq!(cards.iter().map(|card| card.card).collect::<Vec<_>>(), [0x0f]);
    }

    #[test]
    fn spells_what_typical_cards_can_do() {
        let rows = [
            (0x6a80_0000, "-MC-A-N-F-", "Accelerator", Some(BindState::Usable)),
            (0x0680_4000, "-----XN-F-", "EP11-Coproc", Some(BindState::Bound)),
            (0x0680_8000, "-----XN-F-", "EP11-Coproc", Some(BindState::Unbound)),
            (0x9380_c000, "S--D--NHF-", "CCA-Coproc", Some(BindState::Illicit)),
            (0, "----------", "Unknown", None),
        ];
        for (value, letters, mode, state) in rows {
            let functions = Functions(value);
            assert_eq!(
                (functions.letters().as_str(), functions.mode(), functions.bind_state()),
                (letters, mode, state)
            );
        }
    }
}
