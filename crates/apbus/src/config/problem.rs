//! What may be wrong with a configuration file.

use std::fmt;
use uvtypes::text::shown;

/// A configuration file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
    more: usize,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The entry that has it, unless the file as a whole has.
    pub entry: Option<EntryPlace>,
    /// Fault that was found.
    pub fault: Fault,
    /// Place in the file; `None` if nothing can be pointed to.
    pub location: Option<Location>,
}

/// Something that is allowed, but probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The entry it is about, unless it is about the file as a whole.
    pub entry: Option<EntryPlace>,
    /// What kind of fault is warned of.
    pub kind: WarningKind,
    /// Place in the file; `None` if nothing can be pointed to.
    pub location: Option<Location>,
}

/// Number of an entry, and the line and column where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// Position of the entry in the list, counted from 0.
    pub index: usize,
    /// Name of the entry, if it has one.
    pub name: Option<String>,
}

/// A place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Line in the file, counted from 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// Fault in a configuration file.
///
/// The text of those about a value starts with the words that pvapconfig of s390-tools has for it, and that scripts
/// may look for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Larger than [`super::MAX_SIZE`].
    #[error("the file is larger than {} bytes", super::MAX_SIZE)]
    TooLarge,
    /// A byte that is no part of UTF-8.
    #[error("expected a text file, found a byte that is not UTF-8")]
    NotUtf8,
    /// A control character.
    #[error("expected a text file, found the character {}", .0.escape_unicode())]
    Character(char),
    /// The file is not YAML; the text is the parser's message.
    #[error("{}", shown(.0))]
    Yaml(String),
    /// Nested deeper than any list of entries.
    #[error("expected a list of entries, found lists or mappings nested too deeply")]
    Depth,
    /// An alias inside the very node that it stands for.
    #[error("the alias refers to a node that contains it")]
    AliasInItself,
    /// More text than a file without aliases can have.
    #[error("the aliases expand to too much text")]
    Aliases,
    /// A second document.
    #[error("expected one list of entries, found a second YAML document")]
    SecondDocument,
    /// The document is not a list, but this.
    #[error("expected a list of entries, each of which starts with '- ', found {0}")]
    NotAList(&'static str),
    /// An entry is not a mapping, but this.
    #[error("expected lines of the form 'key: value', found {0}")]
    NotAnEntry(&'static str),
    /// A key is not a text, but this.
    #[error("expected a key, found {0}")]
    KeyIsNoText(&'static str),
    /// A value is not a text.
    #[error("{key}: expected a text, found {found}")]
    ValueIsNoText {
        /// Key of the field with the wrong value.
        key: &'static str,
        /// Sort of value that was found.
        found: &'static str,
    },
    /// A key that there is not.
    #[error("unknown key '{}'{}", shown(key), hint(*.meant))]
    UnknownKey {
        /// Key that no entry has.
        key: String,
        /// The one that was probably meant.
        meant: Option<&'static str>,
    },
    /// A key for the second time.
    #[error("duplicate key '{}': an entry takes each key once", shown(.0))]
    DuplicateKey(String),
    /// `mode` is missing or wrong.
    #[error("Unknown or invalid mode '{}': expected accel or ep11", shown(.0))]
    Mode(String),
    /// EP11 without `mkvp`.
    #[error("Mkvp value missing: expected the 32 or 64 hex digits in line WK CUR of the queue's file mkvps")]
    MkvpMissing,
    /// An `mkvp` that is no master key verification pattern; the text is the value.
    #[error("Mkvp value '{}' is not valid: expected 32 or 64 hex digits", shown(.0))]
    Mkvp(String),
    /// A wrong `serialnr`.
    #[error(
        "Serialnr value '{}' is not valid: expected 16 characters without white space, as in the card's file serialnr",
        shown(.0)
    )]
    Serialnr(String),
    /// A `mingen` that is no generation of cards.
    #[error("Mingen value '{}' is not valid: expected {}", shown(value), if *.ep11 { "cex8" } else { "one of cex4 to cex8" })]
    Mingen {
        /// Value of the field as it stands in the file.
        value: String,
        /// Whether the entry is for EP11, which only the newest cards offer to such guests.
        ep11: bool,
    },
    /// A wrong `secretid`.
    #[error("Secretid value '{}' is not valid: expected 64 hex digits", shown(.0))]
    Secretid(String),
    /// EP11 without a secret.
    #[error("Neither secretid nor name given: one of them selects the association secret")]
    NoSecret,
}

/// Kind of a [`Warning`]: allowed, but probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WarningKind {
    /// A key of EP11 entries in one for an accelerator.
    #[error("{0} has no effect on an accelerator")]
    MeansNothing(&'static str),
    /// A name that is not the one of the secret.
    #[error("the name does not match the secretid: its SHA-256 differs, and the secretid counts")]
    NameIsNotOfSecret,
    /// One association secret for two master keys, against *Introducing IBM Secure Execution for Linux*.
    #[error("uses the secret of entry #{} with another master key: a secret is for one master key", .0 + 1)]
    SecretOfOtherMasterKey(usize),
    /// Two entries for one master key on one card.
    #[error("names the card and the master key of entry #{}: no more than one of them can have its queue", .0 + 1)]
    SameCardAndMasterKey(usize),
    /// Two entries for one secret on one card.
    #[error("names the card and the secret of entry #{}: a secret can be used only once on a card", .0 + 1)]
    SameCardAndSecret(usize),
    /// More entries than a guest can have queues.
    #[error("expected at most {max} entries, one for each queue that a guest can use, found {0}", max = crate::MAX_QUEUES)]
    ManyEntries(usize),
}

impl ConfigError {
    /// With what is wrong, in the order of the entries, and how many further things were found.
    pub(super) fn new(problems: Vec<Problem>, more: usize) -> Self {
        Self { problems, more }
    }

    /// Problems in the order of the entries: at least one, at most a hundred.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Number of problems beyond those of [`Self::problems`].
    pub fn more(&self) -> usize {
        self.more
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.problems.first() {
            first.fmt(f)?;
        }
        match self.problems.len() + self.more {
            0 | 1 => Ok(()),
            all => write!(f, ", and {} more", all - 1),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], more: 0 }
    }
}

impl Problem {
    /// One of the file as a whole.
    pub(super) fn new(fault: Fault, location: Option<Location>) -> Self {
        Self { entry: None, fault, location }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "AP config entry {entry}: ")?;
        }
        self.fault.fmt(f)?;
        place(f, self.location)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "{entry}: ")?;
        }
        self.kind.fmt(f)?;
        place(f, self.location)
    }
}

impl fmt::Display for EntryPlace {
    /// Counted from 1, as in plans and warnings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index + 1)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " '{}'", shown(name)))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Location {
    /// Of what comes after `text`.
    pub(super) fn after(text: &str) -> Self {
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
    }
}

fn place(f: &mut fmt::Formatter<'_>, location: Option<Location>) -> fmt::Result {
    location.map_or(Ok(()), |location| write!(f, " ({location})"))
}

fn hint(meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!(": did you mean '{meant}'?"),
        None => format!(": the keys are {}", super::read::KEYS.join(", ")),
    }
}
