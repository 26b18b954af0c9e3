//! The bus, for people and for tests.

use super::card::CardType;
use super::log::LoggedWrite;
use super::name::{CardId, QueueId};
use super::terms::Situation;
use crate::{Error, Hex, Machine};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Everything on the AP bus.
#[derive(Clone, Debug, Serialize)]
pub struct ShownBus {
    /// Whether there is one.
    pub present: bool,
    /// Its cards.
    pub cards: BTreeMap<CardId, ShownCard>,
    /// Its queues.
    pub queues: BTreeMap<QueueId, ShownQueue>,
    /// All writes to attributes so far, in order.
    pub writes: Vec<LoggedWrite>,
}

/// A card.
#[derive(Clone, Debug, Serialize)]
pub struct ShownCard {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: CardType,
    /// Its serial number.
    pub serial: String,
    /// Set by whoever works with the guest.
    pub online: bool,
    /// Set by the machine.
    pub configured: bool,
    /// Set by the machine.
    pub check_stopped: bool,
    /// Requests that were sent to it.
    pub requests: u64,
}

/// A queue.
#[derive(Clone, Debug, Serialize)]
pub struct ShownQueue {
    /// What it is at: `unbound`, `bound`, `associated N`, `pending N`, `illicit`, `error`, `ghost`, `gone`, `binding`,
    /// `unbinding` or `resetting`.
    pub state: Situation,
    /// What it will be at when all that is under way has ended.
    pub settled: Situation,
    /// Set by whoever works with the guest.
    pub online: bool,
    /// Its EP11 master key's verification pattern.
    pub master_key: Option<Hex<32>>,
    /// Requests that were sent by it.
    pub requests: u64,
}

impl Machine {
    /// The AP bus now.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn show_bus(&self) -> Result<ShownBus, Error> {
        let bus = self.bus()?;
        let cards = bus.cards.into_iter().map(|(id, card)| {
            let shown = ShownCard {
                kind: card.kind,
                serial: card.serial,
                online: card.online,
                configured: card.configured,
                check_stopped: card.check_stopped,
                requests: card.requests,
            };
            (id, shown)
        });
        let queues = bus.queues.into_iter().map(|(id, queue)| {
            let shown = ShownQueue {
                state: queue.situation(),
                settled: queue.settled(),
                online: queue.online,
                master_key: queue.master_key,
                requests: queue.requests,
            };
            (id, shown)
        });
        Ok(ShownBus {
            present: bus.settings.present,
            cards: cards.collect(),
            queues: queues.collect(),
            writes: self.writes()?,
        })
    }
}

impl ShownBus {
    /// Lines for people.
    pub fn to_text(&self) -> String {
        if !self.present {
            return "\nno AP bus\n".into();
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        for (id, card) in &self.cards {
            let flags = [
                (!card.online, " offline"),
                (!card.configured, " deconfigured"),
                (card.check_stopped, " check-stopped"),
            ];
            let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
            let _ = writeln!(text, "\ncard {id} {} {}{flags}", card.kind, card.serial);
            for (queue, shown) in self.queues.iter().filter(|(queue, _)| queue.card == *id) {
                let offline = if shown.online { "" } else { " offline" };
                let key = shown.master_key.map(|key| format!("  master key 0x{key}")).unwrap_or_default();
                let _ = writeln!(text, "  {queue} {}{offline}{key}", shown.state);
            }
        }
        if !self.writes.is_empty() {
            let _ = writeln!(text, "\nwrites");
        }
        for write in &self.writes {
            let _ = writeln!(text, "  {:>8} ms  {:?} > {}: {}", write.ms, write.text, write.path, write.result);
        }
        text
    }
}
