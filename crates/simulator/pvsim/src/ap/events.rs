//! What the host does to cards and queues.

use super::inventory::text;
use super::name::{CardId, QueueId};
use super::terms::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Something that the host does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Event {
    /// Resets queues.
    Reset,
    /// Takes queues away: they are listed until the next bus scan.
    Take,
    /// Gives them back: they are listed after the next bus scan.
    Give,
    /// Makes queues illicit.
    Illicit,
    /// Stops them with a machine check.
    CheckStop,
    /// Ends the check stop.
    Recover,
    /// Takes them out of the guest's configuration.
    Deconfigure,
    /// Puts them back into it.
    Configure,
    /// Somebody in the guest sets them offline.
    Offline,
    /// Somebody in the guest sets them online.
    Online,
    /// Another master key is set: its name or its verification pattern; none with `none`.
    MasterKey(String),
}

/// The words for all events but `mk NAME`.
const WORDS: [(&str, Event); 10] = [
    ("reset", Event::Reset),
    ("take", Event::Take),
    ("give", Event::Give),
    ("illicit", Event::Illicit),
    ("chkstop", Event::CheckStop),
    ("recover", Event::Recover),
    ("deconfigure", Event::Deconfigure),
    ("configure", Event::Configure),
    ("offline", Event::Offline),
    ("online", Event::Online),
];

impl FromStr for Event {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(key) = text.strip_prefix("mk ").map(str::trim).filter(|key| !key.is_empty()) {
            return Ok(Self::MasterKey(key.into()));
        }
        let found = WORDS.into_iter().find(|(word, _)| *word == text);
        found.map(|(_, event)| event).ok_or_else(|| {
            let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
            format!("'{text}' is nothing that happens to a queue: {} or mk NAME", words.join(", "))
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::MasterKey(key) = self {
            return write!(f, "mk {key}");
        }
        f.write_str(WORDS.iter().find(|(_, event)| event == self).map_or("", |(word, _)| word))
    }
}

impl From<Event> for String {
    fn from(event: Event) -> Self {
        event.to_string()
    }
}

impl TryFrom<String> for Event {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What an event happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A card with all its queues.
    Card(CardId),
    /// One queue.
    Queue(QueueId),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('.') { text.parse().map(Self::Queue) } else { text.parse().map(Self::Card) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card(card) => write!(f, "{card}"),
            Self::Queue(queue) => write!(f, "{queue}"),
        }
    }
}

impl Target {
    /// Whether this is, or has, the queue.
    pub(crate) fn covers(self, queue: QueueId) -> bool {
        match self {
            Self::Card(card) => queue.card == card,
            Self::Queue(one) => one == queue,
        }
    }
}

/// An event that is to come. It has exactly one of `at_ms` and `after`, and one of `queue` and `card`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planned {
    /// When: milliseconds since the bus came up.
    #[serde(default)]
    pub(crate) at_ms: Option<Millis>,
    /// When: once so many writes to attributes have been made.
    #[serde(default)]
    pub(crate) after: Option<u64>,
    pub(crate) event: Event,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    queue: Option<QueueId>,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    card: Option<CardId>,
}

impl Planned {
    /// What it happens to.
    ///
    /// # Errors
    /// What is missing or too much, in words.
    pub(crate) fn target(&self) -> Result<Target, String> {
        if self.at_ms.is_some() == self.after.is_some() {
            return Err(format!("event '{}': needs 'at_ms' or 'after', and not both", self.event));
        }
        match (self.queue, self.card) {
            (Some(queue), None) => Ok(Target::Queue(queue)),
            (None, Some(card)) => Ok(Target::Card(card)),
            _ => Err(format!("event '{}': needs 'queue' or 'card', and not both", self.event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_word_of_its_own() {
        for (word, event) in WORDS {
            assert_eq!(word.parse::<Event>().unwrap(), event);
            assert_eq!(event.to_string(), word);
        }
        assert_eq!("mk B".parse::<Event>().unwrap(), Event::MasterKey("B".into()));
        for wrong in ["", "mk", "mk ", "Take", "removed"] {
            assert!(wrong.parse::<Event>().is_err(), "{wrong}");
        }
    }
}
