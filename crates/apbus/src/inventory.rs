//! All queues of the guest, read from sysfs. Nothing is written.

use crate::text::{self, BindState};
use crate::{Apqn, Bus, Error, Generation, MasterKey, Mode, Queue, SerialNumber, State, attribute};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// The queues of a guest.
#[derive(Debug, Default)]
pub struct Inventory {
    /// All that could be read, by card and domain.
    pub queues: Vec<Queue>,
    /// Notes about cards and queues that cannot, or may not, be used.
    pub notes: Vec<Note>,
    /// Bound queues that are offline: they cannot be used, but count.
    pub offline: Vec<(Apqn, Mode)>,
    /// Cards and queues that could not be read. A queue among them may be bound, too.
    pub unreadable: usize,
}

/// Something about a queue that keeps it, or may keep it, from being used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note {
    /// A card that no Secure Execution guest can use.
    CcaCard(u8),
    /// A card of no known type.
    CardType {
        /// Number of the card.
        card: u8,
        /// Content of the card's attribute `type`.
        text: String,
    },
    /// A card or queue that cannot be read.
    Unreadable(String, Error),
    /// A queue that is not online.
    Offline(Apqn),
    /// A bound EP11 queue that does not tell its master key.
    NoInformation(Apqn, Option<Error>),
    /// An EP11 queue without a master key.
    NoMasterKey(Apqn),
    /// An EP11 card that does not tell its serial number though a queue of it is bound.
    NoSerialNumber(u8, Error),
    /// Queues whose master key could not be asked for, since no more may be bound.
    NotLookedAt {
        /// Queues that were not looked at.
        queues: Vec<Apqn>,
        /// Whether a run that is no dry run unbinds other queues first, to look at these.
        later: bool,
    },
    /// A queue in error that a run that is no dry run unbinds, to look at it.
    NotMended(Apqn),
    /// There may be a better assignment than the one that was found in time.
    NotExact,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CcaCard(card) => write!(
                f,
                "CCA card {card:02x} cannot be used with Secure Execution, as this combination is unsupported"
            ),
            Self::CardType { card, text } => write!(f, "Failure parsing card type '{text}' of card {card:02x}."),
            Self::Unreadable(name, error) => write!(f, "Warning: {name} is left out: {}", error.chain()),
            Self::Offline(apqn) => write!(f, "APQN {apqn} is offline."),
            Self::NoInformation(apqn, None) => write!(f, "Warning: Failure gathering info for APQN {apqn}"),
            Self::NoInformation(apqn, Some(error)) => {
                write!(f, "Warning: Failure gathering info for APQN {apqn}: {}", error.chain())
            }
            Self::NoMasterKey(apqn) => write!(f, "Warning: APQN {apqn} has no valid wrapping key set."),
            Self::NoSerialNumber(card, error) => {
                write!(f, "Warning: the serial number of card {card:02x} is not known: {}", error.chain())
            }
            Self::NotLookedAt { queues, .. } => {
                let names: Vec<_> = queues.iter().take(8).map(ToString::to_string).collect();
                let (names, more) = (names.join(", "), if queues.len() > names.len() { ", ..." } else { "" });
                write!(f, "Warning: cannot read the master key of {names}{more}, as no more queues may be bound")
            }
            Self::NotMended(apqn) => write!(f, "Warning: APQN {apqn} is in error: a run unbinds it to look at it"),
            Self::NotExact => f.write_str(
                "Warning: there may be a better assignment: the entries exclude each other in too many ways",
            ),
        }
    }
}

impl Bus {
    /// Reads all queues.
    ///
    /// # Errors
    /// [`Error::Read`] for the folder of all cards. What is wrong with a single card or queue is a [`Note`].
    pub fn inventory(&self) -> Result<Inventory, Error> {
        let mut inventory = Inventory::default();
        for card in list_dir(self.devices(), |name| text::card(name.strip_prefix("card")?))? {
            self.read_card(card, &mut inventory);
        }
        Ok(inventory)
    }

    fn read_card(&self, card: u8, inventory: &mut Inventory) {
        let folder = self.card_folder(card);
        let (mode, generation) = match retry_once(|| attribute::read(&folder.join("type"))) {
            Ok(text) => match text::card_type(&text) {
                Some(known) => known,
                None => return inventory.notes.push(Note::CardType { card, text }),
            },
            // Taken away between two looks: as if it had never been there.
            Err(error) if error.is_gone() && !folder.exists() => return,
            Err(error) => return inventory.cannot_read(format!("card {card:02x}"), error),
        };
        let apqns = match list_dir(&folder, |name| name.parse::<Apqn>().ok().filter(|apqn| apqn.to_string() == name)) {
            Ok(apqns) => apqns,
            Err(error) if error.is_gone() => return,
            Err(error) => return inventory.cannot_read(format!("card {card:02x}"), error),
        };
        let first = inventory.queues.len();
        if mode == Mode::Cca {
            if !apqns.is_empty() {
                inventory.notes.push(Note::CcaCard(card));
            }
            // Not a single attribute is read: that made guests with older kernels hang.
            let illicit = |apqn| Queue {
                apqn,
                generation,
                mode,
                state: State::Illicit,
                master_key: MasterKey::None,
                serialnr: None,
            };
            return inventory.queues.extend(apqns.into_iter().map(illicit));
        }
        for apqn in apqns {
            match self.read_queue(apqn, mode, generation, &mut inventory.notes) {
                Ok(queue) => {
                    let is_bound = || self.state(apqn, mode).is_ok_and(State::is_bound);
                    if queue.state == State::Offline && is_bound() {
                        inventory.offline.push((apqn, mode));
                    }
                    inventory.queues.push(queue);
                }
                Err(error) if error.is_gone() && !self.queue_folder(apqn).exists() => {}
                Err(error) => inventory.cannot_read(format!("APQN {apqn}"), error),
            }
        }
        // The card tells its number only through a bound queue, and then for all of them.
        let queues = inventory.queues.get_mut(first..).unwrap_or_default();
        if mode == Mode::Ep11 && queues.iter().any(|queue| queue.state.is_bound()) {
            let serialnr = self.serial_number(card).unwrap_or_else(|error| {
                inventory.notes.push(Note::NoSerialNumber(card, error));
                None
            });
            queues.iter_mut().for_each(|queue| queue.serialnr.clone_from(&serialnr));
        }
    }

    fn read_queue(
        &self,
        apqn: Apqn,
        mode: Mode,
        generation: Generation,
        notes: &mut Vec<Note>,
    ) -> Result<Queue, Error> {
        let online = retry_once(|| attribute::read(&self.queue_folder(apqn).join("online")));
        let state = match online {
            Ok(text) if text == "1" => self.state(apqn, mode)?,
            Ok(_) => State::Offline,
            // No driver has it (yet).
            Err(error) if error.is_gone() && self.queue_folder(apqn).exists() => State::Offline,
            Err(error) => return Err(error),
        };
        if state == State::Offline {
            notes.push(Note::Offline(apqn));
        }
        let master_key = match mode {
            Mode::Ep11 if state.is_bound() => self.noted_master_key(apqn, notes),
            Mode::Ep11 => MasterKey::Unknown,
            Mode::Accelerator | Mode::Cca => MasterKey::None,
        };
        Ok(Queue { apqn, generation, mode, state, master_key, serialnr: None })
    }

    fn noted_master_key(&self, apqn: Apqn, notes: &mut Vec<Note>) -> MasterKey {
        let (master_key, note) = match self.master_key(apqn) {
            Ok(MasterKey::Unknown) => (MasterKey::Unknown, Note::NoInformation(apqn, None)),
            Ok(MasterKey::None) => (MasterKey::None, Note::NoMasterKey(apqn)),
            Ok(master_key) => return master_key,
            Err(error) => (MasterKey::Unknown, Note::NoInformation(apqn, Some(error))),
        };
        notes.push(note);
        master_key
    }

    /// The state of a queue.
    ///
    /// `ap_functions` comes first, and `se_bind` not at all: that reads `unbound` also for queues that this guest may
    /// not use, and `bound` for those that the host has taken away.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Text`].
    pub fn state(&self, apqn: Apqn, mode: Mode) -> Result<State, Error> {
        let folder = self.queue_folder(apqn);
        let functions = match retry_once(|| attribute::read(&folder.join("ap_functions"))) {
            Err(error) if error.errno() == Some(crate::error::errno::EIO) => return Ok(State::Broken),
            other => other?,
        };
        let Some(bits) = text::functions(&functions) else {
            let path = folder.join("ap_functions");
            return Err(Error::Text { path, text: functions, wanted: "0x and eight hex digits" });
        };
        if bits == 0 {
            return Ok(State::Gone);
        }
        match (BindState::of(bits), mode) {
            (BindState::Illicit, _) | (_, Mode::Cca) => Ok(State::Illicit),
            (BindState::Unbound, _) => Ok(State::Unbound),
            (BindState::Usable | BindState::Bound, Mode::Accelerator) => Ok(State::Bound),
            (BindState::Usable | BindState::Bound, Mode::Ep11) => self.association(apqn),
        }
    }

    /// How far a bound EP11 queue is.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Text`].
    pub(crate) fn association(&self, apqn: Apqn) -> Result<State, Error> {
        let path = self.queue_folder(apqn).join("se_associate");
        let text = match retry_once(|| attribute::read(&path)) {
            Err(error) if error.errno() == Some(crate::error::errno::EIO) => return Ok(State::Broken),
            other => other?,
        };
        text::association(&text).ok_or(Error::Text { path, text, wanted: "a state of association" })
    }

    /// The current wrapping key of a bound EP11 queue.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub(crate) fn master_key(&self, apqn: Apqn) -> Result<MasterKey, Error> {
        let mkvps = retry_once(|| attribute::read(&self.queue_folder(apqn).join("mkvps")))?;
        Ok(text::current_wrapping_key(&mkvps))
    }

    /// The serial number of an EP11 card of which a queue is bound.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub(crate) fn serial_number(&self, card: u8) -> Result<Option<SerialNumber>, Error> {
        let text = retry_once(|| attribute::read(&self.card_folder(card).join("serialnr")))?;
        Ok(text.trim().parse().ok())
    }
}

impl Inventory {
    /// Places that are taken by what is not among [`Inventory::queues`], or not usable.
    pub fn out_of_reach(&self) -> usize {
        self.offline.len() + self.unreadable
    }

    fn cannot_read(&mut self, name: String, error: Error) {
        self.unreadable += 1;
        self.notes.push(Note::Unreadable(name, error));
    }
}

/// An error of a read may be of the moment. A card that did not answer was waited for long enough.
fn retry_once<T>(read: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    match read() {
        Err(error) if !matches!(error, Error::Silent { .. }) => read(),
        other => other,
    }
}

/// What the names in a folder say, in order; names that say nothing are left out.
pub(crate) fn list_dir<T: Ord>(folder: &Path, meaning: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Error> {
    let read = || -> io::Result<Vec<T>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            found.extend(entry?.file_name().to_str().and_then(&meaning));
        }
        found.sort_unstable();
        Ok(found)
    };
    read().map_err(|source| Error::Read { path: folder.to_owned(), source })
}
