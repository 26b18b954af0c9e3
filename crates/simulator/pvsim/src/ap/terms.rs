//! The terms in which a queue is described.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Milliseconds, as a span or since the bus came up.
pub type Millis = u64;

/// What a card, and so each queue of it, can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// `A`.
    Accelerator,
    /// `C`.
    Cca,
    /// `P`.
    Ep11,
}

/// The two BS bits of `ap_functions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindState {
    /// An accelerator that is bound, an EP11 queue that is associated.
    Usable = 0,
    /// An EP11 queue that is bound.
    Bound = 1,
    /// May be bound.
    Unbound = 2,
    /// Not for this guest.
    Illicit = 3,
}

/// How long the hardware, the driver and the bus scan take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// A bind: the write waits for it.
    pub bind: Millis,
    /// A reset, until the bind state shows it.
    pub reset: Millis,
    /// After that, until the driver has noticed and accepts a bind.
    pub driver: Millis,
    /// An association.
    pub association: Millis,
    /// Until the next bus scan.
    pub rescan: Millis,
}

/// How an association ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The queue is associated.
    #[default]
    Ok,
    /// It does not.
    Never,
    /// The firmware reports an error of it later.
    Asynchronous,
    /// It is forgotten: bound, and no association is under way.
    Dropped,
    /// The host resets the queue in the moment when it would be done.
    Reset,
    /// The queue is associated with another secret.
    Other(u16),
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ok" => Ok(Self::Ok),
            "never" => Ok(Self::Never),
            "async" => Ok(Self::Asynchronous),
            "drop" => Ok(Self::Dropped),
            "reset" => Ok(Self::Reset),
            _ => {
                let index = text.strip_prefix("other:").and_then(|index| index.parse().ok());
                let wrong =
                    || format!("'{text}' is no end of an association: ok, never, async, drop, reset or other:N");
                index.map(Self::Other).ok_or_else(wrong)
            }
        }
    }
}

/// Whether the guest has the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// It has.
    Here,
    /// The host took it; it is listed until the next bus scan.
    Ghost {
        /// When that is.
        until: Millis,
    },
    /// The host took it.
    Gone,
    /// The host gave it back; the next bus scan will list it.
    Back {
        /// When that is.
        at: Millis,
    },
}

/// A state that a queue can be given at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Free for a bind.
    Unbound,
    /// An accelerator that is bound, an EP11 queue that is bound but not associated.
    Bound,
    /// Associated with this secret.
    Associated(u16),
    /// Such an association is under way, for so many more milliseconds or as long as a new one would take.
    Pending(u16, Option<Millis>),
    /// Not for this guest.
    Illicit,
    /// Just taken away by the host; before, it was associated with this secret.
    Ghost(Option<u16>),
}

/// What a queue is at, in the words of inventories and expectations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Situation {
    /// `unbound`
    Unbound,
    /// `binding`
    Binding,
    /// `bound`
    Bound,
    /// `associated N`
    Associated(u16),
    /// `pending N`
    Pending(u16),
    /// `unbinding`
    Unbinding,
    /// `resetting`
    Resetting,
    /// `illicit`
    Illicit,
    /// `error`: an asynchronous error waits.
    Error,
    /// `ghost`
    Ghost,
    /// `gone`
    Gone,
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Associated(index) => return write!(f, "associated {index}"),
            Self::Pending(index) => return write!(f, "pending {index}"),
            Self::Unbound => "unbound",
            Self::Binding => "binding",
            Self::Bound => "bound",
            Self::Unbinding => "unbinding",
            Self::Resetting => "resetting",
            Self::Illicit => "illicit",
            Self::Error => "error",
            Self::Ghost => "ghost",
            Self::Gone => "gone",
        };
        f.write_str(word)
    }
}

impl From<Situation> for String {
    fn from(situation: Situation) -> Self {
        situation.to_string()
    }
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split(' ').collect();
        let start = match words.as_slice() {
            ["unbound"] => Some(Self::Unbound),
            ["bound"] => Some(Self::Bound),
            ["illicit"] => Some(Self::Illicit),
            ["ghost"] => Some(Self::Ghost(None)),
            ["ghost", index] => index.parse().ok().map(|index| Self::Ghost(Some(index))),
            ["associated", index] => index.parse().ok().map(Self::Associated),
            ["pending", index] => index.parse().ok().map(|index| Self::Pending(index, None)),
            ["pending", index, "in", time] => {
                index.parse().ok().zip(time.parse().ok()).map(|(index, time)| Self::Pending(index, Some(time)))
            }
            _ => None,
        };
        start.ok_or_else(|| {
            let known = "unbound, bound, associated N, pending N, pending N in MS, illicit, ghost or ghost N";
            format!("'{text}' is no state that a queue can begin in: {known}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_states_that_an_inventory_can_ask_for() {
        let rows = [
            ("unbound", Start::Unbound),
            ("bound", Start::Bound),
            ("associated 65535", Start::Associated(65_535)),
            ("pending 0", Start::Pending(0, None)),
            ("pending 0 in 4000", Start::Pending(0, Some(4000))),
            ("illicit", Start::Illicit),
            ("ghost", Start::Ghost(None)),
            ("ghost 3", Start::Ghost(Some(3))),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse::<Start>().unwrap(), expected, "{text}");
        }
        for wrong in ["", "Bound", "associated", "associated x", "associated 65536", "pending 0 in", "gone", "bound 1"]
        {
            assert!(wrong.parse::<Start>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_the_ends_of_an_association() {
        assert_eq!("other:7".parse::<End>().unwrap(), End::Other(7));
        assert_eq!("never".parse::<End>().unwrap(), End::Never);
        for wrong in ["", "other:", "other:70000", "later"] {
            assert!(wrong.parse::<End>().is_err(), "{wrong}");
        }
    }
}
