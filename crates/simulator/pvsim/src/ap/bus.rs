//! The bus with all its cards and queues, as it changes with time, by what the host does and by what programs write.

use super::card::Card;
use super::events::{Event, Planned, Target};
use super::firmware_rules::{self, Check};
use super::input;
use super::name::{CardId, QueueId};
use super::queue::Queue;
use super::terms::Millis;
use crate::{Hex, StoredSecret};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All queues, by name.
pub(crate) type Queues = BTreeMap<QueueId, Queue>;

/// What kernel and firmware can do: the `bus:` of an inventory file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BusSettings {
    /// Whether there is an AP bus at all.
    pub(crate) present: bool,
    /// The text of the attribute `features`. Queues can be bound with `APSB` alone.
    pub(crate) features: String,
    /// How many queues the firmware lets a guest bind.
    pub(crate) limit: usize,
    /// How often `bindings` is read before it says that all is done; -1: for ever.
    pub(crate) bindings_after: i64,
    /// Milliseconds from one bus scan to the next.
    pub(crate) rescan_ms: Millis,
    /// A secret on two queues of one card.
    pub(crate) secret_twice: Check,
    /// An index without an association secret.
    pub(crate) unknown_secret: Check,
    /// CCA queues have `se_bind` and `se_associate`, as in kernels before 6.12.
    pub(crate) old_driver: bool,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            present: true,
            features: "APSC APXA QACT RC8A APSB".into(),
            limit: 12,
            bindings_after: 0,
            rescan_ms: 30_000,
            secret_twice: Check::AtOnce,
            unknown_secret: Check::AtOnce,
            old_driver: false,
        }
    }
}

/// What can be set in the bus's own attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Knobs {
    /// Bus scans so far.
    pub(crate) scans: u64,
    /// Seconds between scans, as it is shown.
    pub(crate) config_time: u32,
    pub(crate) ap_domain: Option<u16>,
    pub(crate) poll_thread: bool,
    /// Nanoseconds.
    pub(crate) poll_timeout: u64,
}

/// The bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bus {
    pub(crate) settings: BusSettings,
    pub(crate) cards: BTreeMap<CardId, Card>,
    pub(crate) queues: Queues,
    pub(crate) knobs: Knobs,
    /// How often `bindings` was read.
    pub(crate) bindings_reads: u64,
    /// How often an attribute was written.
    writes: u64,
    events: Vec<Planned>,
    master_keys: BTreeMap<String, Hex<32>>,
}

/// What a write comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is over.
    Done(Result<(), Errno>),
    /// It waits so long for the hardware; then [`Bus::bind_ends`] tells.
    Waits(Millis),
}

impl Bus {
    pub(crate) fn new(
        settings: BusSettings,
        cards: BTreeMap<CardId, Card>,
        queues: Queues,
        events: Vec<Planned>,
        master_keys: BTreeMap<String, Hex<32>>,
    ) -> Self {
        let knobs = Knobs {
            scans: 1,
            config_time: 30,
            ap_domain: queues.keys().map(|queue| queue.domain).min(),
            poll_thread: false,
            poll_timeout: 250_000,
        };
        Self { settings, cards, queues, knobs, bindings_reads: 0, writes: 0, events, master_keys }
    }

    /// Whether all events that are to come make sense.
    pub(crate) fn check_events(&self) -> Result<(), String> {
        self.events.iter().try_for_each(|planned| self.check(&planned.event, planned.target()?))
    }

    /// Whether this can happen.
    pub(crate) fn check(&self, event: &Event, target: Target) -> Result<(), String> {
        let known = match target {
            Target::Card(card) => self.cards.contains_key(&card),
            Target::Queue(queue) => self.queues.contains_key(&queue),
        };
        if !known {
            return Err(format!("'{target}' is not on the bus"));
        }
        if let Event::MasterKey(key) = event {
            self.master_key(key)?;
        }
        Ok(())
    }

    /// Whether something is to happen by `now`.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        let planned = self.events.iter().any(|planned| planned.at_ms.is_some_and(|time| time <= now));
        planned || self.queues.values().any(|queue| queue.is_due(now))
    }

    /// Lets everything happen that is due by `now`, in the order of time.
    pub(crate) fn advance(&mut self, now: Millis) {
        loop {
            let due = self.events.iter().enumerate().filter_map(|(at, planned)| Some((planned.at_ms?, at)));
            let Some((time, at)) = due.filter(|(time, _)| *time <= now).min() else { break };
            self.queues.values_mut().for_each(|queue| queue.advance(time));
            let planned = self.events.remove(at);
            self.apply_planned(time, &planned);
        }
        self.queues.values_mut().for_each(|queue| queue.advance(now));
    }

    /// Counts a write, and lets happen what was to come after so many.
    pub(crate) fn count_write(&mut self, now: Millis) {
        self.writes += 1;
        while let Some(at) = self.events.iter().position(|planned| planned.after.is_some_and(|n| n <= self.writes)) {
            let planned = self.events.remove(at);
            self.apply_planned(now, &planned);
        }
    }

    fn apply_planned(&mut self, now: Millis, planned: &Planned) {
        // Checked when it was planned.
        if let Ok(target) = planned.target() {
            self.apply_event(now, &planned.event, target);
        }
    }

    /// Lets the host, or somebody else, do something.
    pub(crate) fn apply_event(&mut self, now: Millis, event: &Event, target: Target) {
        let master_key = match event {
            Event::MasterKey(key) => self.master_key(key).ok().flatten(),
            _ => None,
        };
        if let Target::Card(card) = target {
            if let Some(card) = self.cards.get_mut(&card) {
                match event {
                    Event::CheckStop => card.check_stopped = true,
                    Event::Recover => card.check_stopped = false,
                    Event::Deconfigure => card.configured = false,
                    Event::Configure => card.configured = true,
                    Event::Offline => card.online = false,
                    Event::Online => card.online = true,
                    _ => {}
                }
            }
        }
        for (_, queue) in self.queues.iter_mut().filter(|(id, _)| target.covers(**id)) {
            match event {
                Event::Reset => queue.reset_by_host(now),
                Event::Take => queue.take(now),
                Event::Give => queue.give(now),
                Event::Illicit => queue.forbid(),
                Event::CheckStop => queue.check_stopped = true,
                Event::Recover => queue.check_stopped = false,
                Event::Deconfigure => queue.configured = false,
                Event::Configure => {
                    queue.configured = true;
                    queue.forget();
                }
                Event::Offline => queue.online = false,
                Event::Online => queue.online = true,
                Event::MasterKey(_) => queue.master_key = master_key,
            }
        }
    }

    /// The guest starts again: all bindings end, planned events are over.
    pub(crate) fn reboot(&mut self) {
        self.queues.values_mut().for_each(Queue::reboot);
        for card in self.cards.values_mut() {
            card.online = true;
            card.requests = 0;
        }
        *self = Self::new(
            self.settings.clone(),
            std::mem::take(&mut self.cards),
            std::mem::take(&mut self.queues),
            vec![],
            std::mem::take(&mut self.master_keys),
        );
    }

    /// All queues are there, unbound and in nobody's hands but a real kernel's; nothing is to come.
    pub(crate) fn restart(&mut self) {
        self.queues.values_mut().for_each(Queue::restart);
        self.events = vec![];
    }

    /// What is to come, and what the host did before anybody looked, is that of another bus with the same queues.
    pub(crate) fn begin(&mut self, begins: &Self, now: Millis) {
        self.events = begins.events.clone();
        self.writes = 0;
        for (id, queue) in &begins.queues {
            if let (true, Some(own)) = (!queue.is_here(), self.queues.get_mut(id)) {
                own.take(now);
            }
        }
    }

    /// A real kernel takes the bus: see [`Queue::hand_over`].
    pub(crate) fn hand_over(&mut self) {
        self.queues.values_mut().for_each(Queue::hand_over);
    }

    /// Writes to an attribute of the bus (no target), a card or a queue.
    pub(crate) fn write(
        &mut self,
        target: Option<Target>,
        name: &str,
        text: &[u8],
        now: Millis,
        secrets: &[StoredSecret],
        ordered: Option<super::terms::End>,
    ) -> Written {
        match (target, name) {
            (Some(Target::Queue(id)), "se_bind") => match input::boolean(text) {
                Err(errno) => Written::Done(Err(errno)),
                Ok(true) => self.bind(id, now),
                Ok(false) => Written::Done(self.queue(id).and_then(|queue| queue.unbind(now))),
            },
            (Some(Target::Queue(id)), "se_associate") => Written::Done(self.associate(id, text, now, secrets, ordered)),
            (target, name) => Written::Done(self.set(target, name, text, now)),
        }
    }

    /// What the write of a bind gives when its time is over.
    pub(crate) fn bind_ends(&self, id: QueueId) -> Result<(), Errno> {
        self.queues.get(&id).filter(|queue| queue.is_listed()).ok_or(Errno::ENODEV)?.is_bound()
    }

    /// The queue, as long as it is listed.
    pub(crate) fn queue(&mut self, id: QueueId) -> Result<&mut Queue, Errno> {
        self.queues.get_mut(&id).filter(|queue| queue.is_listed()).ok_or(Errno::ENODEV)
    }

    fn bind(&mut self, id: QueueId, now: Millis) -> Written {
        let allowed = self.queue(id).and_then(|queue| queue.may_bind(now));
        if let Err(errno) = allowed.and_then(|()| firmware_rules::refuses_bind(&self.settings, &self.queues)) {
            return Written::Done(Err(errno));
        }
        match self.queue(id).map(|queue| queue.bind(now)) {
            Ok(0) => Written::Done(self.bind_ends(id)),
            Ok(time) => Written::Waits(time),
            Err(errno) => Written::Done(Err(errno)),
        }
    }

    fn associate(
        &mut self,
        id: QueueId,
        text: &[u8],
        now: Millis,
        secrets: &[StoredSecret],
        ordered: Option<super::terms::End>,
    ) -> Result<(), Errno> {
        let queue = self.queue(id)?;
        if queue.mode != super::terms::Mode::Ep11 {
            return Err(Errno::EINVAL);
        }
        let index = u16::try_from(input::number(text)?).map_err(|_| Errno::EINVAL)?;
        queue.may_associate(now)?;
        let end = ordered.unwrap_or(queue.end);
        let end = firmware_rules::association(&self.settings, &self.queues, secrets, id, index, end)?;
        self.queue(id)?.associate(now, index, end);
        Ok(())
    }

    /// Writes to all other attributes.
    fn set(&mut self, target: Option<Target>, name: &str, text: &[u8], now: Millis) -> Result<(), Errno> {
        match (target, name) {
            (None, "scans") => {
                self.knobs.scans += 1;
                self.queues.values_mut().for_each(|queue| queue.scan(now));
            }
            (None, "config_time") => {
                self.knobs.config_time =
                    Some(input::number(text)?).filter(|n| (5..=120).contains(n)).ok_or(Errno::EINVAL)?;
            }
            (None, "ap_domain") => {
                let domain = u16::try_from(input::number(text)?).map_err(|_| Errno::EINVAL)?;
                if !self.queues.keys().any(|queue| queue.domain == domain) {
                    return Err(Errno::EINVAL);
                }
                self.knobs.ap_domain = Some(domain);
            }
            (None, "poll_thread") => self.knobs.poll_thread = input::boolean(text)?,
            (None, "poll_timeout") => {
                const TWO_MINUTES: u64 = 120_000_000_000;
                // A number of 32 bits is less than that.
                self.knobs.poll_timeout = u64::from(input::number(text)?).min(TWO_MINUTES);
            }
            (Some(Target::Card(id)), "online") => {
                let online = input::zero_or_one(text)?;
                let card = self.cards.get_mut(&id).ok_or(Errno::ENODEV)?;
                if online && !card.configured {
                    return Err(Errno::ENODEV);
                }
                self.apply_event(now, if online { &Event::Online } else { &Event::Offline }, Target::Card(id));
            }
            (Some(Target::Card(id)), "config") => {
                let configured = input::zero_or_one(text)?;
                let event = if configured { Event::Configure } else { Event::Deconfigure };
                self.apply_event(now, &event, Target::Card(id));
            }
            (Some(Target::Card(id)), "request_count") => {
                self.cards.get_mut(&id).ok_or(Errno::ENODEV)?.requests = 0;
                let queues = self.queues.iter_mut().filter(|(queue, _)| queue.card == id);
                queues.for_each(|(_, queue)| queue.requests = 0);
            }
            (Some(Target::Queue(id)), "online") => {
                let online = input::zero_or_one(text)?;
                let card_online = self.cards.get(&id.card).is_some_and(|card| card.online);
                let queue = self.queue(id)?;
                if online && !card_online {
                    return Err(Errno::EINVAL);
                }
                if online && !queue.configured {
                    return Err(Errno::ENODEV);
                }
                queue.online = online;
            }
            (Some(Target::Queue(id)), "request_count") => self.queue(id)?.requests = 0,
            (Some(Target::Queue(id)), "reset") => self.queue(id)?.reset_here(now),
            // Opened for writing, though nobody may: the kernel's own mode bits do not let anybody get here.
            _ => return Err(Errno::EIO),
        }
        Ok(())
    }

    fn master_key(&self, key: &str) -> Result<Option<Hex<32>>, String> {
        if key == "none" {
            return Ok(None);
        }
        match self.master_keys.get(key) {
            Some(pattern) => Ok(Some(*pattern)),
            None => super::inventory::pattern(key, &BTreeMap::new()).map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
