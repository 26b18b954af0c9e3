//! What the values must be.

use super::Configuration;
use super::problem::{ConfigError, EntryPlace, Fault, Location, Problem, Warning, WarningKind};
use super::read::{KEYS, RawEntry};
use super::tree::{Node, Value};
use crate::{Entry, Generation, MAX_QUEUES, Mkvp, SerialNumber, Wanted};
use std::collections::HashMap;
use uvtypes::SecretId;

/// How many faults are reported one by one, and how many warnings.
const MAX_REPORTED: usize = 100;

/// Checks all entries.
pub(super) fn all(raw: &[RawEntry]) -> Result<Configuration, ConfigError> {
    let mut found = Found::default();
    let entries: Vec<Entry> = raw.iter().enumerate().filter_map(|(index, raw)| entry(index, raw, &mut found)).collect();
    if !found.faults.is_empty() {
        return Err(ConfigError::new(found.faults, found.more));
    }
    across(&entries, raw, &mut found);
    let mut warnings = found.warnings;
    warnings.sort_by_cached_key(|warning| warning.entry.as_ref().map_or(0, |entry| entry.index + 1));
    warnings.truncate(MAX_REPORTED);
    warnings.extend((entries.len() > MAX_QUEUES).then_some(Warning {
        entry: None,
        kind: WarningKind::ManyEntries(entries.len()),
        location: None,
    }));
    Ok(Configuration { entries, warnings })
}

/// What is to be said.
#[derive(Default)]
struct Found {
    faults: Vec<Problem>,
    /// How many faults there are beyond these, which are no more than are reported.
    more: usize,
    warnings: Vec<Warning>,
}

impl Found {
    fn fault(&mut self, entry: &EntryPlace, fault: Fault, at: Location) {
        match self.faults.len() < MAX_REPORTED {
            true => self.faults.push(Problem { entry: Some(entry.clone()), fault, location: Some(at) }),
            false => self.more += 1,
        }
    }

    fn count(&self) -> usize {
        self.faults.len() + self.more
    }

    fn warn(&mut self, entry: EntryPlace, kind: WarningKind, at: Location) {
        self.warnings.push(Warning { entry: Some(entry), kind, location: Some(at) });
    }
}

fn entry(index: usize, raw: &RawEntry, found: &mut Found) -> Option<Entry> {
    let [name, _, mode, mkvp, serialnr, mingen, secretid] =
        raw.values.each_ref().map(|value| Given::of(value.as_deref()));
    let name_text = name.text().map(|(name, _)| name.to_owned());
    let place = EntryPlace { index, name: name_text.clone() };
    let before = found.count();
    let mut fault = |fault, at| found.fault(&place, fault, at);

    for (what, at) in &raw.faults {
        fault(what.clone(), *at);
    }
    if raw.faults.iter().any(|(fault, _)| matches!(fault, Fault::NotAnEntry(_))) {
        return None;
    }
    let ep11 = match mode.text().map(|(mode, _)| mode.to_lowercase()).as_deref() {
        Some("ep11") => true,
        Some("accel") => false,
        _ => {
            match mode {
                Given::NoText => {}
                Given::Nothing => fault(Fault::Mode(String::new()), raw.at),
                Given::Text(text, at) => fault(Fault::Mode(text.to_owned()), at),
            }
            return None;
        }
    };
    let mingen = mingen.text().and_then(|(text, at)| {
        let read = text.parse().ok().filter(|mingen| !ep11 || *mingen == Generation::CEX8);
        if read.is_none() {
            fault(Fault::Mingen { value: text.to_owned(), ep11 }, at);
        }
        read
    });
    if !ep11 {
        for (key, given) in [("mkvp", mkvp), ("serialnr", serialnr), ("secretid", secretid)] {
            if let Some((_, at)) = given.text() {
                found.warn(place.clone(), WarningKind::MeansNothing(key), at);
            }
        }
        return (found.count() == before).then_some(Entry { name: name_text, mingen, wanted: Wanted::Accelerator });
    }

    if let Given::Nothing = mkvp {
        fault(Fault::MkvpMissing, raw.at);
    }
    let mkvp: Option<Mkvp> = mkvp.read(Fault::Mkvp, &mut fault);
    let serialnr: Option<SerialNumber> = serialnr.read(Fault::Serialnr, &mut fault);
    let of_name = name.text().map(|(name, _)| SecretId::of_name(name));
    let secret = match secretid {
        Given::Nothing => of_name,
        given => given.read(Fault::Secretid, &mut fault),
    };
    if let (Given::Nothing, Given::Nothing) = (secretid, name) {
        fault(Fault::NoSecret, raw.at);
    }
    if let (Some((_, at)), true) = (name.text(), secret.is_some() && of_name.is_some() && secret != of_name) {
        found.warn(place, WarningKind::NameIsNotOfSecret, at);
    }
    if found.count() > before {
        return None;
    }
    Some(Entry { name: name_text, mingen, wanted: Wanted::Ep11 { mkvp: mkvp?, serialnr, secret: secret? } })
}

/// What entries say together.
fn across(entries: &[Entry], raw: &[RawEntry], found: &mut Found) {
    let mut with_secret: HashMap<SecretId, (usize, Mkvp)> = HashMap::new();
    let mut with_master_key = HashMap::new();
    let mut on_card = HashMap::new();
    for (index, (entry, raw)) in entries.iter().zip(raw).enumerate() {
        let Wanted::Ep11 { mkvp, serialnr, secret } = &entry.wanted else { continue };
        let mut warn = |kind| found.warn(EntryPlace { index, name: entry.name.clone() }, kind, raw.at);
        let (first, other) = *with_secret.entry(*secret).or_insert((index, *mkvp));
        if other != *mkvp {
            warn(WarningKind::SecretOfOtherMasterKey(first));
        }
        let Some(serialnr) = serialnr else { continue };
        let first = *with_master_key.entry((serialnr, mkvp)).or_insert(index);
        if first != index {
            warn(WarningKind::SameCardAndMasterKey(first));
            continue;
        }
        let first = *on_card.entry((serialnr, secret)).or_insert(index);
        if first != index {
            warn(WarningKind::SameCardAndSecret(first));
        }
    }
}

/// The key that `unknown` is most like, if any.
pub(super) fn meant(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.trim().to_lowercase().replace(['-', '_', ' '], "");
    // Long ones are like none, and would take long to compare.
    let like = |key: &&'static str| (strsim::damerau_levenshtein(&unknown, key), *key);
    let (distance, key) = (unknown.len() <= 32).then(|| KEYS.iter().map(like).min()).flatten()?;
    (distance <= key.len() / 3).then_some(key)
}

/// A value of an entry.
#[derive(Clone, Copy)]
enum Given<'a> {
    /// It is not there, or empty.
    Nothing,
    /// Without the white space around it.
    Text(&'a str, Location),
    /// A list or a mapping, which is reported already.
    NoText,
}

impl<'a> Given<'a> {
    fn of(value: Option<&'a Node>) -> Self {
        match value.map(|node| (&node.value, node.at)) {
            None | Some((Value::Nothing, _)) => Self::Nothing,
            Some((Value::List(_) | Value::Mapping(_), _)) => Self::NoText,
            Some((Value::Text(text), at)) => match text.trim() {
                "" => Self::Nothing,
                text => Self::Text(text, at),
            },
        }
    }

    fn text(self) -> Option<(&'a str, Location)> {
        match self {
            Self::Text(text, at) => Some((text, at)),
            Self::Nothing | Self::NoText => None,
        }
    }

    fn read<T: std::str::FromStr>(
        self,
        wrong: fn(String) -> Fault,
        fault: &mut impl FnMut(Fault, Location),
    ) -> Option<T> {
        let (text, at) = self.text()?;
        let read = text.parse().ok();
        if read.is_none() {
            fault(wrong(text.to_owned()), at);
        }
        read
    }
}
