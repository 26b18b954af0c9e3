//! Where everything on the bus stands in `/sys`.

use super::attributes::{self, Entry, View};
use super::bus::{Bus, Written};
use super::events::Target;
use super::faults::{self, Act, Call};
use super::input;
use super::name::{CardId, QueueId};
use super::store::{BusGuard, Store};
use super::terms::{End, Millis};
use crate::Error;
use crate::server::{Node, Sysfs};
use nix::errno::Errno;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const BUS: &str = "/sys/bus/ap";
const DEVICES: &str = "/sys/devices/ap";
/// More than that no write to an attribute takes.
const PAGE: usize = 4096;
const CARD_DRIVER: &str = "cex4card";
const QUEUE_DRIVER: &str = "cex4queue";

/// One of the two folders.
pub(super) struct Tree {
    store: Arc<Store>,
    root: &'static str,
    is_guest: bool,
    on_error: fn(&Error),
}

/// A path in one of them.
enum Place<'a> {
    /// The folder itself.
    Root,
    /// `devices` of the bus.
    Devices,
    /// `drivers` of the bus.
    Drivers,
    /// A driver's folder.
    Driver(&'a str),
    /// A link in `devices` or a driver's folder to a card or queue, from so many folders below `/sys`.
    LinkTo(Target, usize),
    /// A card's or queue's folder.
    Device(Target),
    /// A card's or queue's link to its driver.
    DriverOf(Target),
    /// An attribute of the bus (no target), a card or a queue.
    Attribute(Option<Target>, &'a str),
}

impl Place<'_> {
    /// What could stand at `path`, if everything were there.
    fn of(path: &str) -> Option<Place<'_>> {
        if let Some(rest) = path.strip_prefix(BUS) {
            let parts: Vec<_> = rest.split('/').skip(1).collect();
            return match parts.as_slice() {
                [] => Some(Place::Root),
                ["devices"] => Some(Place::Devices),
                ["devices", name] => Some(Place::LinkTo(device(name)?, 3)),
                ["drivers"] => Some(Place::Drivers),
                ["drivers", name] => Some(Place::Driver(name)),
                ["drivers", driver, name] => {
                    let target = device(name)?;
                    (driver_of(target) == *driver).then_some(Place::LinkTo(target, 4))
                }
                [name] => Some(Place::Attribute(None, name)),
                _ => None,
            };
        }
        let parts: Vec<_> = path.strip_prefix(DEVICES)?.split('/').skip(1).collect();
        let card = |name: &str| name.strip_prefix("card")?.parse::<CardId>().ok();
        match parts.as_slice() {
            [] => Some(Place::Root),
            [name] => card(name).map(|card| Place::Device(Target::Card(card))),
            [folder, name] => {
                let target = Target::Card(card(folder)?);
                match (name.parse::<QueueId>(), *name) {
                    (Ok(queue), _) => target.covers(queue).then_some(Place::Device(Target::Queue(queue))),
                    (_, "driver") => Some(Place::DriverOf(target)),
                    (_, name) => Some(Place::Attribute(Some(target), name)),
                }
            }
            [folder, queue, name] => {
                let queue = queue
                    .parse()
                    .ok()
                    .filter(|queue| card(folder).is_some_and(|card| Target::Card(card).covers(*queue)))?;
                let target = Target::Queue(queue);
                Some(if *name == "driver" { Place::DriverOf(target) } else { Place::Attribute(Some(target), name) })
            }
            _ => None,
        }
    }
}

/// What a name of the flat list of devices means.
fn device(name: &str) -> Option<Target> {
    match name.strip_prefix("card") {
        Some(card) => card.parse().ok().map(Target::Card),
        None => name.parse().ok().map(Target::Queue),
    }
}

fn device_name(target: Target) -> String {
    match target {
        Target::Card(card) => format!("card{card}"),
        Target::Queue(queue) => queue.to_string(),
    }
}

fn driver_of(target: Target) -> &'static str {
    match target {
        Target::Card(_) => CARD_DRIVER,
        Target::Queue(_) => QUEUE_DRIVER,
    }
}

/// Everything that is listed.
fn devices(bus: &Bus) -> impl Iterator<Item = Target> {
    let queues = bus.queues.iter().filter(|(_, queue)| queue.is_listed());
    bus.cards.keys().map(|card| Target::Card(*card)).chain(queues.map(|(id, _)| Target::Queue(*id)))
}

fn is_there(bus: &Bus, target: Target) -> bool {
    match target {
        Target::Card(card) => bus.cards.contains_key(&card),
        Target::Queue(queue) => bus.queues.get(&queue).is_some_and(|queue| queue.is_listed()),
    }
}

fn has_driver(bus: &Bus, target: Target) -> bool {
    match target {
        Target::Card(_) => true,
        Target::Queue(queue) => bus.queues.get(&queue).is_some_and(|queue| queue.has_driver),
    }
}

/// The attributes of the bus, a card or a queue; none of what is not there.
fn entries(bus: &Bus, target: Option<Target>, view: View) -> Vec<Entry> {
    match target {
        None => attributes::of_bus(),
        Some(target) if !is_there(bus, target) => vec![],
        Some(Target::Card(card)) => bus.cards.get(&card).map(attributes::of_card).unwrap_or_default(),
        Some(Target::Queue(queue)) => {
            bus.queues.get(&queue).map(|queue| attributes::of_queue(bus, queue, view)).unwrap_or_default()
        }
    }
}

/// What a first look at a call gives.
enum First {
    Read(Result<String, Errno>),
    Wrote(Written),
    /// To look again after that time.
    Slow(Millis),
    Hangs,
}

impl Tree {
    pub(super) fn new(store: Arc<Store>, root: &'static str, on_error: fn(&Error)) -> Self {
        let is_guest = store.machine().platform().settings.secure_execution;
        Self { store, root, is_guest, on_error }
    }

    fn with<R>(&self, work: impl FnOnce(&mut BusGuard<'_>) -> Result<Result<R, Errno>, Error>) -> Result<R, Errno> {
        let absent =
            |held: &mut BusGuard<'_>| if held.bus.settings.present { work(held) } else { Ok(Err(Errno::ENOENT)) };
        self.store.with(absent).unwrap_or_else(|error| Err(self.own_trouble(&error)))
    }

    /// An error of the simulator itself.
    fn own_trouble(&self, error: &Error) -> Errno {
        (self.on_error)(error);
        Errno::EIO
    }

    fn view(&self, now: Millis) -> View {
        View { is_guest: self.is_guest, now }
    }

    fn node_of(&self, bus: &Bus, place: &Place<'_>, now: Millis) -> Option<Node> {
        let attributes = |target| entries(bus, target, self.view(now)).into_iter().map(|(name, _)| name.to_owned());
        let there = |target: Target| is_there(bus, target);
        match *place {
            Place::Root if self.root == BUS => {
                Some(Node::Folder(attributes(None).chain(["devices".into(), "drivers".into()]).collect()))
            }
            Place::Root => Some(Node::Folder(bus.cards.keys().map(|card| format!("card{card}")).collect())),
            Place::Devices => Some(Node::Folder(devices(bus).map(device_name).collect())),
            Place::Drivers => Some(Node::Folder(vec![CARD_DRIVER.into(), QUEUE_DRIVER.into()])),
            Place::Driver(driver) if [CARD_DRIVER, QUEUE_DRIVER].contains(&driver) => {
                let own = devices(bus).filter(|target| driver_of(*target) == driver && has_driver(bus, *target));
                Some(Node::Folder(own.map(device_name).collect()))
            }
            Place::Driver(_) => None,
            Place::LinkTo(target, 4) if !has_driver(bus, target) => None,
            Place::LinkTo(target, depth) => {
                let up = "../".repeat(depth);
                let path = match target {
                    Target::Card(card) => format!("{up}devices/ap/card{card}"),
                    Target::Queue(queue) => format!("{up}devices/ap/card{}/{queue}", queue.card),
                };
                there(target).then_some(Node::Link(path))
            }
            Place::Device(target) => there(target).then(|| {
                let driver = has_driver(bus, target).then(|| "driver".to_owned());
                let queues =
                    bus.queues.iter().filter(|(id, queue)| target == Target::Card(id.card) && queue.is_listed());
                let queues = queues.map(|(id, _)| id.to_string());
                Node::Folder(attributes(Some(target)).chain(driver).chain(queues).collect())
            }),
            Place::DriverOf(target) => (there(target) && has_driver(bus, target)).then(|| {
                let up = if matches!(target, Target::Card(_)) { "../../../" } else { "../../../../" };
                Node::Link(format!("{up}bus/ap/drivers/{}", driver_of(target)))
            }),
            Place::Attribute(target, name) => {
                let entry = entries(bus, target, self.view(now)).into_iter().find(|(known, _)| *known == name);
                entry.map(|(_, mode)| Node::Attribute { mode })
            }
        }
    }

    fn first_read(
        &self,
        held: &mut BusGuard<'_>,
        target: Option<Target>,
        name: &str,
        slow: bool,
    ) -> Result<First, Error> {
        let view = self.view(held.now);
        if !entries(held.bus, target, view).iter().any(|(known, _)| *known == name) {
            return Ok(First::Read(Err(Errno::ENOENT)));
        }
        let act = if slow { None } else { faults::struck(held, Call::Read(name), target)? };
        match act {
            Some(Act::Errno(errno)) => return Ok(First::Read(Err(errno))),
            Some(Act::Text(text)) => return Ok(First::Read(Ok(text + "\n"))),
            Some(Act::Delay(time)) => return Ok(First::Slow(time)),
            Some(Act::Hang) => return Ok(First::Hangs),
            Some(Act::Event(event)) => {
                if let Some(target) = target {
                    held.bus.apply_event(held.now, &event, target);
                }
            }
            // Refused when it was ordered.
            Some(Act::Ignore | Act::End(_)) | None => {}
        }
        if attributes::hangs(held.bus, target, name) {
            return Ok(First::Hangs);
        }
        Ok(First::Read(attributes::read(held.bus, target, name, view)))
    }

    fn first_write(
        &self,
        held: &mut BusGuard<'_>,
        target: Option<Target>,
        name: &str,
        text: &[u8],
        slow: bool,
    ) -> Result<First, Error> {
        if target.is_some_and(|target| !is_there(held.bus, target)) {
            return Ok(First::Wrote(Written::Done(Err(Errno::ENODEV))));
        }
        let call = match (target, name) {
            (Some(Target::Queue(_)), "se_bind") => {
                input::boolean(text).ok().map(|bind| if bind { Call::Bind } else { Call::Unbind })
            }
            (Some(Target::Queue(_)), "se_associate") => Some(Call::Associate),
            _ => None,
        };
        let act = match call {
            Some(call) if !slow => faults::struck(held, call, target)?,
            _ => None,
        };
        let mut end: Option<End> = None;
        match act {
            Some(Act::Errno(errno)) => return Ok(First::Wrote(Written::Done(Err(errno)))),
            Some(Act::Ignore) => return Ok(First::Wrote(Written::Done(Ok(())))),
            Some(Act::Delay(time)) => return Ok(First::Slow(time)),
            Some(Act::Hang) => return Ok(First::Hangs),
            Some(Act::Event(event)) => {
                if let Some(target) = target {
                    held.bus.apply_event(held.now, &event, target);
                }
            }
            Some(Act::End(ordered)) => end = Some(ordered),
            // Refused when it was ordered.
            Some(Act::Text(_)) | None => {}
        }
        let secrets = if name == "se_associate" { held.lock.guest()?.secrets } else { vec![] };
        Ok(First::Wrote(held.bus.write(target, name, text, held.now, &secrets, end)))
    }

    fn wrote(&self, path: &str, target: Option<Target>, name: &str, text: &[u8]) -> Result<(), Errno> {
        let mut slow = false;
        loop {
            let first = self.with(|held| {
                let first = self.first_write(held, target, name, text, slow)?;
                if let First::Wrote(Written::Done(result)) = first {
                    held.log(path, text, result);
                }
                Ok(Ok(first))
            })?;
            let bind_takes = match first {
                First::Wrote(Written::Done(result)) => return result,
                First::Wrote(Written::Waits(time)) => time,
                First::Slow(time) => {
                    sleep(time);
                    slow = true;
                    continue;
                }
                First::Hangs | First::Read(_) => hang(),
            };
            sleep(bind_takes);
            let Some(Target::Queue(queue)) = target else { return Ok(()) };
            return self.with(|held| {
                let result = held.bus.bind_ends(queue);
                held.log(path, text, result);
                Ok(result)
            });
        }
    }
}

impl Sysfs for Tree {
    fn node(&self, path: &str) -> Result<Node, Errno> {
        let place = Place::of(path).ok_or(Errno::ENOENT)?;
        let present = |bus: &Bus, now| bus.settings.present.then(|| self.node_of(bus, &place, now)).flatten();
        match self.store.look(present) {
            Ok(node) => node.ok_or(Errno::ENOENT),
            Err(error) => Err(self.own_trouble(&error)),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let Some(Place::Attribute(target, name)) = Place::of(path) else { return Err(Errno::ENOENT) };
        let mut slow = false;
        loop {
            match self.with(|held| self.first_read(held, target, name, slow).map(Ok))? {
                First::Read(text) => return text.map(String::into_bytes),
                First::Slow(time) => {
                    sleep(time);
                    slow = true;
                }
                First::Hangs | First::Wrote(_) => hang(),
            }
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<usize, Errno> {
        let Some(Place::Attribute(target, name)) = Place::of(path) else { return Err(Errno::ENOENT) };
        let bytes = &bytes[..bytes.len().min(PAGE)];
        if bytes.is_empty() {
            return Ok(0);
        }
        self.wrote(path, target, name, bytes).map(|()| bytes.len())
    }
}

fn sleep(time: Millis) {
    thread::sleep(Duration::from_millis(time));
}

/// Waits for ever: the program, and the simulator with it, has to be killed.
fn hang() -> ! {
    loop {
        thread::park();
    }
}

#[cfg(test)]
mod tests;
