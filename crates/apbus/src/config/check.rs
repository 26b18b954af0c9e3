//! What the values must be.

use super::Configuration;
use super::problem::{ConfigError, EntryPlace, Fault, Problem, Warning, WarningKind};
use super::read::{KEYS, Locator, Node, RawEntry, Text};
use crate::{Entry, Generation, MAX_QUEUES, Mkvp, SerialNumber, Wanted};
use std::collections::HashMap;
use uvtypes::SecretId;

/// Checks all entries.
pub(super) fn all(raw: &[RawEntry], locator: &Locator<'_>) -> Result<Configuration, ConfigError> {
    let mut found = Found::default();
    let entries: Vec<Entry> = raw.iter().enumerate().filter_map(|(index, raw)| entry(index, raw, &mut found)).collect();
    if !found.faults.is_empty() {
        let more = found.faults.len().saturating_sub(locator.most());
        let located = found.faults.into_iter().take(locator.most()).map(|(entry, fault, node)| Problem {
            entry: Some(entry),
            fault,
            location: locator.location(node),
        });
        return Err(ConfigError::new(located.collect(), more));
    }
    across(&entries, raw, &mut found);
    found.warnings.sort_by_key(|(entry, _, _)| entry.index);
    let located = found.warnings.into_iter().take(locator.most()).map(|(entry, kind, node)| Warning {
        entry: Some(entry),
        kind,
        location: locator.location(node),
    });
    let many = (entries.len() > MAX_QUEUES).then_some(Warning {
        entry: None,
        kind: WarningKind::ManyEntries(entries.len()),
        location: None,
    });
    let warnings = located.chain(many).collect();
    Ok(Configuration { entries, warnings })
}

/// What is to be said, and about which node.
#[derive(Default)]
struct Found {
    faults: Vec<(EntryPlace, Fault, Node)>,
    warnings: Vec<(EntryPlace, WarningKind, Node)>,
}

fn entry(index: usize, raw: &RawEntry, found: &mut Found) -> Option<Entry> {
    let values = raw.values.each_ref().map(|value| value.as_ref().and_then(Given::of));
    let [name, _, mode, mkvp, serialnr, mingen, secretid] = values;
    let name_text = name.map(|name| name.text.to_owned());
    let place = EntryPlace { index, name: name_text.clone() };
    let before = found.faults.len();
    let mut fault = |fault, node| found.faults.push((place.clone(), fault, node));

    for key in &raw.unknown {
        fault(Fault::UnknownKey { key: key.text.clone(), meant: meant(&key.text) }, key.node);
    }
    for key in &raw.again {
        fault(Fault::DuplicateKey(key.text.clone()), key.node);
    }
    let ep11 = match mode.map(|mode| mode.text.to_lowercase()).as_deref() {
        Some("ep11") => true,
        Some("accel") => false,
        _ => {
            let (text, node) = mode.map_or(("", raw.node), |mode| (mode.text, mode.node));
            fault(Fault::Mode(text.to_owned()), node);
            return None;
        }
    };
    let mingen = mingen.and_then(|given| {
        let read = given.text.parse().ok().filter(|mingen| !ep11 || *mingen == Generation::CEX8);
        if read.is_none() {
            fault(Fault::Mingen { value: given.text.to_owned(), ep11 }, given.node);
        }
        read
    });
    if !ep11 {
        for (key, given) in [("mkvp", mkvp), ("serialnr", serialnr), ("secretid", secretid)] {
            if let Some(given) = given {
                found.warnings.push((place.clone(), WarningKind::MeansNothing(key), given.node));
            }
        }
        return (found.faults.len() == before).then_some(Entry {
            name: name_text,
            mingen,
            wanted: Wanted::Accelerator,
        });
    }

    let mkvp: Option<Mkvp> = match mkvp {
        None => {
            fault(Fault::MkvpMissing, raw.node);
            None
        }
        Some(given) => given.read(Fault::Mkvp, &mut fault),
    };
    let serialnr: Option<SerialNumber> = serialnr.and_then(|given| given.read(Fault::Serialnr, &mut fault));
    let of_name = name.map(|name| SecretId::of_name(name.text));
    let secret = match secretid {
        Some(given) => given.read(Fault::Secretid, &mut fault),
        None if of_name.is_none() => {
            fault(Fault::NoSecret, raw.node);
            None
        }
        None => of_name,
    };
    if let (Some(name), true) = (name, secret.is_some() && of_name.is_some() && secret != of_name) {
        found.warnings.push((place, WarningKind::NameIsNotOfSecret, name.node));
    }
    if found.faults.len() > before {
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
        let mut warn = |kind| {
            found.warnings.push((EntryPlace { index, name: entry.name.clone() }, kind, raw.node));
        };
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
fn meant(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.trim().to_lowercase().replace(['-', '_', ' '], "");
    // Long ones are like none, and would take long to compare.
    let like = |key: &&'static str| (strsim::damerau_levenshtein(&unknown, key), *key);
    let (distance, key) = (unknown.len() <= 32).then(|| KEYS.iter().map(like).min()).flatten()?;
    (distance <= key.len() / 3).then_some(key)
}

/// A value that is not empty.
#[derive(Clone, Copy)]
struct Given<'a> {
    text: &'a str,
    node: Node,
}

impl<'a> Given<'a> {
    fn of(value: &'a Text) -> Option<Self> {
        let text = value.text.trim();
        (!text.is_empty()).then_some(Self { text, node: value.node })
    }

    fn read<T: std::str::FromStr>(self, wrong: fn(String) -> Fault, fault: &mut impl FnMut(Fault, Node)) -> Option<T> {
        let read = self.text.parse().ok();
        if read.is_none() {
            fault(wrong(self.text.to_owned()), self.node);
        }
        read
    }
}
