//! What two entries cannot share: a queue; on a card, a master key, nor a secret.
//!
//! A matching can keep one such rule for each candidate: its slot. On a card where each secret is offered with one master
//! key only, "a secret once" follows from "a master key once", and the other way round. Where neither holds, one of the
//! rules becomes the slot and the other one the exclusion, which the search has to look after.

use crate::Mkvp;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use uvtypes::SecretId;

/// Numbers for whatever cannot be shared.
pub(super) struct Places {
    numbers: HashMap<Place, usize>,
    rules: HashMap<(u8, Mkvp), Rule>,
}

/// Tie-break: which rule the slots enforce where both are equally selective.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotRule {
    MasterKeys,
    Secrets,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Queue(usize),
    MasterKey(u8, Mkvp),
    Secret(u8, SecretId),
}

/// Which of the two rules of a card become slot and exclusion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    MasterKey,
    Secret,
    MasterKeyThenSecret,
    SecretThenMasterKey,
}

impl Places {
    /// For all master keys and secrets that are offered together on a card.
    ///
    /// Where there are two rules, the one with fewer places is kept by the slots, as it rules out more; of equal ones,
    /// the one for `first`.
    pub(super) fn new(offered: impl Iterator<Item = (u8, Mkvp, SecretId)>, first: SlotRule) -> Self {
        let mut known = HashSet::new();
        let mut of_card: HashMap<u8, Vec<(Mkvp, SecretId)>> = HashMap::new();
        for (card, mkvp, secret) in offered {
            if known.insert((card, mkvp, secret)) {
                of_card.entry(card).or_default().push((mkvp, secret));
            }
        }
        let rules = of_card.iter().flat_map(|(card, pairs)| {
            let rules = rules(pairs, first).into_iter();
            rules.map(|(mkvp, rule)| ((*card, mkvp), rule))
        });
        Self { rules: rules.collect(), numbers: HashMap::new() }
    }

    /// The slot of an accelerator.
    pub(super) fn of_queue(&mut self, queue: usize) -> usize {
        self.number(Place::Queue(queue))
    }

    /// The slot and the exclusion of an EP11 queue.
    #[expect(clippy::indexing_slicing, reason = "`new` saw all that is offered")]
    pub(super) fn on_card(&mut self, card: u8, mkvp: Mkvp, secret: SecretId) -> (usize, Option<usize>) {
        let (mkvp_place, secret_place) = (Place::MasterKey(card, mkvp), Place::Secret(card, secret));
        match self.rules[&(card, mkvp)] {
            Rule::MasterKey => (self.number(mkvp_place), None),
            Rule::Secret => (self.number(secret_place), None),
            Rule::MasterKeyThenSecret => (self.number(mkvp_place), Some(self.number(secret_place))),
            Rule::SecretThenMasterKey => (self.number(secret_place), Some(self.number(mkvp_place))),
        }
    }

    fn number(&mut self, place: Place) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(place).or_insert(next)
    }
}

/// The rule for each master key of a card: the same one for all that hang together by secrets.
#[expect(clippy::indexing_slicing, reason = "each key and each secret of a pair was entered above")]
fn rules(pairs: &[(Mkvp, SecretId)], first: SlotRule) -> HashMap<Mkvp, Rule> {
    let mut keys_of: HashMap<SecretId, Vec<Mkvp>> = HashMap::new();
    let mut secrets_of: HashMap<Mkvp, Vec<SecretId>> = HashMap::new();
    for (mkvp, secret) in pairs {
        keys_of.entry(*secret).or_default().push(*mkvp);
        secrets_of.entry(*mkvp).or_default().push(*secret);
    }
    let mut rules = HashMap::new();
    for (start, _) in pairs {
        if rules.contains_key(start) {
            continue;
        }
        let (mut keys, mut secrets) = (HashSet::from([*start]), HashSet::new());
        let mut waiting = vec![*start];
        while let Some(key) = waiting.pop() {
            for secret in secrets_of[&key].iter().filter(|secret| secrets.insert(**secret)) {
                waiting.extend(keys_of[secret].iter().filter(|key| keys.insert(**key)));
            }
        }
        let rule = if secrets.iter().all(|secret| keys_of[secret].len() == 1) {
            Rule::MasterKey
        } else if keys.iter().all(|key| secrets_of[key].len() == 1) {
            Rule::Secret
        } else {
            match (keys.len().cmp(&secrets.len()), first) {
                (Ordering::Less, _) | (Ordering::Equal, SlotRule::MasterKeys) => Rule::MasterKeyThenSecret,
                (Ordering::Greater, _) | (Ordering::Equal, SlotRule::Secrets) => Rule::SecretThenMasterKey,
            }
        };
        rules.extend(keys.into_iter().map(|key| (key, rule)));
    }
    rules
}
