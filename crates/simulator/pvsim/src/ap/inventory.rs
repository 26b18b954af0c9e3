//! The parts of an inventory file that are about the AP bus.
//!
//! ```yaml
//! bus: {limit: 12, rescan_ms: 30000}
//! cards: {"28": {type: CEX8P, serial: 93AADEV280000028}}
//! queues: {"28.0014": {mk: A, state: unbound, assoc_ms: 100}}
//! master_keys: {A: "aaaa... (64 digits)"}
//! ```

use super::bus::{Bus, BusSettings};
use super::card::{Card, CardType};
use super::events::Planned;
use super::name::{CardId, QueueId};
use super::queue::Queue;
use super::terms::{End, Mode, Start, Times};
use crate::Hex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::str::FromStr;

/// What people get who ask for nothing: a backup pair of EP11 queues, and an accelerator.
pub(crate) const DEFAULT: &str = "\
master_keys: {A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001}
cards: {'0f': {type: CEX8A}, '28': {}, '29': {}}
queues: {'0f.0014': {}, '28.0014': {mk: A}, '29.0014': {mk: A}}
";

/// Cards and queues as they are when the guest starts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Inventory {
    pub(crate) bus: Option<BusSettings>,
    pub(crate) cards: Option<Cards>,
    pub(crate) queues: Option<Queues>,
    pub(crate) events: Option<Vec<Planned>>,
}

/// `cards:`.
pub(crate) type Cards = BTreeMap<CardId, CardPart>;
/// `queues:`.
pub(crate) type Queues = BTreeMap<QueueId, QueuePart>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CardPart {
    #[serde(rename = "type")]
    kind: CardType,
    serial: Option<String>,
    online: Option<bool>,
    configured: Option<bool>,
    hangs: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QueuePart {
    mk: Option<String>,
    #[serde(deserialize_with = "text")]
    state: Option<Start>,
    online: Option<bool>,
    driver: Option<bool>,
    bind_ms: Option<u64>,
    reset_ms: Option<u64>,
    sm_ms: Option<u64>,
    assoc_ms: Option<u64>,
    #[serde(deserialize_with = "text")]
    assoc_end: Option<End>,
}

/// Names for master keys.
pub(crate) type MasterKeys = BTreeMap<String, String>;

impl Inventory {
    /// The bus with all that is on it, right after the start.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn bus(self, names: &MasterKeys) -> Result<Bus, String> {
        let settings = self.bus.unwrap_or_default();
        let given = self.cards.unwrap_or_default();
        let mut cards: BTreeMap<_, _> = given.into_iter().map(|(id, part)| (id, card(id, part))).collect();
        let mut queues = BTreeMap::new();
        for (id, part) in self.queues.unwrap_or_default() {
            let card = cards.entry(id.card).or_insert_with(|| card(id.card, CardPart::default()));
            let queue = queue(card, part, settings.rescan_ms, names).map_err(|what| format!("queue {id}: {what}"))?;
            queues.insert(id, queue);
        }
        let keys = names.iter().map(|(name, digits)| Ok((name.clone(), pattern(digits, &MasterKeys::new())?)));
        let keys = keys.collect::<Result<_, String>>()?;
        let bus = Bus::new(settings, cards, queues, self.events.unwrap_or_default(), keys);
        bus.check_events()?;
        Ok(bus)
    }

    /// Whether it says anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.bus.is_none() && self.cards.is_none() && self.queues.is_none() && self.events.is_none()
    }
}

fn card(id: CardId, part: CardPart) -> Card {
    let serial = part.serial.unwrap_or_else(|| format!("93AADEV{0:02X}00000{0:02X}", id.0));
    let mut card = Card::new(part.kind, serial);
    card.online = part.online.unwrap_or(true);
    card.configured = part.configured.unwrap_or(true);
    card.hangs = part.hangs;
    card
}

fn queue(card: &Card, part: QueuePart, rescan: u64, names: &MasterKeys) -> Result<Queue, String> {
    let mode = card.kind.mode;
    let times = Times {
        bind: part.bind_ms.unwrap_or(0),
        reset: part.reset_ms.unwrap_or(20),
        driver: part.sm_ms.unwrap_or(40),
        association: part.assoc_ms.unwrap_or(100),
        rescan,
    };
    let start = start(mode, part.state)?;
    let mut queue = Queue::new(mode, times, part.assoc_end.unwrap_or_default(), start);
    queue.master_key = part.mk.as_deref().map(|key| pattern(key, names)).transpose()?;
    queue.online = part.online.unwrap_or(card.online);
    queue.configured = card.configured;
    queue.has_driver = part.driver.unwrap_or(true);
    Ok(queue)
}

/// The state that a queue of this mode begins in. A CCA queue is never for the guest.
fn start(mode: Mode, asked: Option<Start>) -> Result<Start, String> {
    let start = asked.unwrap_or(if mode == Mode::Cca { Start::Illicit } else { Start::Unbound });
    let fits = match start {
        Start::Illicit | Start::Ghost(None) => true,
        Start::Unbound | Start::Bound => mode != Mode::Cca,
        Start::Associated(_) | Start::Pending(..) | Start::Ghost(Some(_)) => mode == Mode::Ep11,
    };
    if fits { Ok(start) } else { Err(format!("no queue of a card of this type is ever {start:?}")) }
}

/// A verification pattern: 64 hex digits, or the first 32 of them, or a name for such.
pub(crate) fn pattern(text: &str, names: &MasterKeys) -> Result<Hex<32>, String> {
    let digits = names.get(text).map_or(text, String::as_str);
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let mut bytes = [0; 32];
    let length = if digits.len() == 32 { 16 } else { 32 };
    let decoded = hex::decode_to_slice(digits, &mut bytes[..length]);
    let wrong = |_| format!("'{text}' is neither a name of 'master_keys' nor 64 or 32 hex digits");
    decoded.map(|()| Hex(bytes)).map_err(wrong)
}

/// A value that is written as text.
pub(crate) fn text<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}
