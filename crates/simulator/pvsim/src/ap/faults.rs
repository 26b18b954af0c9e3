//! Faults to order at operations of the AP bus.

use super::events::{Event, Target};
use super::store::BusGuard;
use super::terms::{End, Millis};
use crate::{Error, Fault, fault};
use nix::errno::Errno;

/// What happens to an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It fails.
    Errno(Errno),
    /// It is accepted and has no effect.
    Ignore,
    /// The host does this just before.
    Event(Event),
    /// The association ends in this way.
    End(End),
    /// The attribute reads this.
    Text(String),
    /// It takes that much longer.
    Delay(Millis),
    /// It does not come back.
    Hang,
}

const BIND: &str = "bind";
const UNBIND: &str = "unbind";
const ASSOCIATE: &str = "assoc";
const READ: &str = "read_";

/// A call that a fault may strike.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    Bind,
    Unbind,
    Associate,
    /// Of the attribute with this name.
    Read(&'a str),
}

impl Call<'_> {
    fn is(self, op: &str) -> bool {
        match self {
            Self::Bind => op == BIND,
            Self::Unbind => op == UNBIND,
            Self::Associate => op == ASSOCIATE,
            Self::Read(attribute) => op.strip_prefix(READ) == Some(attribute),
        }
    }
}

/// What a fault does to an operation of the AP bus.
///
/// # Errors
/// [`Error::Fault`] when no such thing can be ordered.
pub(crate) fn act(fault: &Fault) -> Result<Act, Error> {
    let wrong = |what: &str| Err(Error::Fault(format!("'{}': {what}", fault.act)));
    let reads = fault.op.strip_prefix(READ).is_some_and(|attribute| !attribute.is_empty());
    if !reads && ![BIND, UNBIND, ASSOCIATE].contains(&fault.op.as_str()) {
        let known = "uv, uv_open, bind, unbind, assoc or read_ATTRIBUTE";
        return Err(Error::Fault(format!("'{}' is no operation: {known}", fault.op)));
    }
    if fault.command.is_some() {
        return Err(Error::Fault("a command goes with the operation uv alone".into()));
    }
    if let Some(queue) = &fault.queue {
        queue.parse::<Target>().map_err(Error::Fault)?;
    }
    let act = match fault.act.as_str() {
        "ignore" => Act::Ignore,
        "vanish" => Act::Event(Event::Take),
        "illicit" => Act::Event(Event::Illicit),
        "hostreset" => Act::Event(Event::Reset),
        "hang" => Act::Hang,
        text => {
            if let Some(text) = text.strip_prefix("text:") {
                Act::Text(text.into())
            } else if let Some(time) = text.strip_prefix("delay:") {
                match time.parse() {
                    Ok(time) => Act::Delay(time),
                    Err(_) => return wrong("a delay is a number of milliseconds"),
                }
            } else if let Some(errno) = fault::errno(text) {
                Act::Errno(Errno::from_raw(errno))
            } else if let Some(end) = text.parse().ok().filter(|end| *end != End::Ok) {
                Act::End(end)
            } else {
                let known = "an errno, ignore, vanish, illicit, hostreset, hang, delay:MS, text:..., or the end of an \
                             association: never, async, drop, reset, other:N";
                return wrong(&format!("this cannot be ordered, but {known}"));
            }
        }
    };
    match act {
        Act::Text(_) if !reads => wrong("only what is read has a text"),
        Act::Ignore if reads => wrong("a read cannot be ignored"),
        Act::End(_) if fault.op != ASSOCIATE => wrong("only an association ends so"),
        act => Ok(act),
    }
}

/// Whether a fault is about this call, at `target` or the bus itself.
pub(crate) fn is_about(fault: &Fault, call: Call<'_>, target: Option<Target>) -> bool {
    let there = match (fault.queue.as_deref().map(str::parse::<Target>), target) {
        (None, _) => true,
        (Some(Ok(ordered)), Some(Target::Queue(queue))) => ordered.covers(queue),
        // The attributes of a card are read by its queues.
        (Some(Ok(Target::Card(ordered))), Some(Target::Card(card))) => ordered == card,
        (Some(Ok(Target::Queue(ordered))), Some(Target::Card(card))) => ordered.card == card,
        (Some(_), _) => false,
    };
    there && call.is(&fault.op)
}

/// The fault that strikes this call, if one is ordered.
pub(crate) fn struck(held: &mut BusGuard<'_>, call: Call<'_>, target: Option<Target>) -> Result<Option<Act>, Error> {
    let before = held.machine.faults()?;
    if before.is_empty() {
        return Ok(None);
    }
    let mut ordered = before.clone();
    let struck = fault::take_fault_if(&mut ordered, |fault| is_about(fault, call, target));
    if ordered != before {
        held.lock.set_faults(&ordered)?;
    }
    struck.map(|fault| act(&fault)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(op: &str, queue: Option<&str>, act: &str) -> Fault {
        Fault { op: op.into(), command: None, queue: queue.map(Into::into), act: act.into(), skip: 0, count: 1 }
    }

    #[test]
    fn reads_what_can_be_ordered() {
        let rows = [
            ("bind", "EIO", Act::Errno(Errno::EIO)),
            ("unbind", "ignore", Act::Ignore),
            ("assoc", "vanish", Act::Event(Event::Take)),
            ("read_se_bind", "hostreset", Act::Event(Event::Reset)),
            ("assoc", "async", Act::End(End::Asynchronous)),
            ("assoc", "other:3", Act::End(End::Other(3))),
            ("read_mkvps", "text:- -", Act::Text("- -".into())),
            ("bind", "delay:20", Act::Delay(20)),
            ("read_ap_functions", "hang", Act::Hang),
        ];
        for (op, text, expected) in rows {
            assert_eq!(act(&fault(op, Some("28.0014"), text)).unwrap(), expected, "{op} {text}");
        }
        let wrong = [
            ("binding", "EIO"),
            ("read_", "EIO"),
            ("read", "EIO"),
            ("bind", "text:bound"),
            ("bind", "async"),
            ("assoc", "ok"),
            ("read_se_bind", "ignore"),
            ("bind", "ENOSUCH"),
            ("bind", "rc:0x0101"),
            ("bind", "delay:x"),
        ];
        for (op, text) in wrong {
            assert!(act(&fault(op, None, text)).is_err(), "{op} {text}");
        }
        assert!(act(&fault("bind", Some("2800.14"), "EIO")).is_err());
    }

    #[test]
    fn strikes_the_queue_it_is_ordered_for() {
        let queue = Some(Target::Queue("28.0014".parse().unwrap()));
        let card = Some(Target::Card("28".parse().unwrap()));
        let rows = [
            ("bind", None, Call::Bind, queue, true),
            ("bind", Some("28.0014"), Call::Bind, queue, true),
            ("bind", Some("28"), Call::Bind, queue, true),
            ("bind", Some("28.0015"), Call::Bind, queue, false),
            ("bind", Some("28.0014"), Call::Unbind, queue, false),
            ("read_se_bind", None, Call::Read("se_bind"), queue, true),
            ("read_se_bind", None, Call::Read("mkvps"), queue, false),
            ("read_serialnr", Some("28.0014"), Call::Read("serialnr"), card, true),
            ("read_serialnr", Some("29"), Call::Read("serialnr"), card, false),
            ("read_bindings", None, Call::Read("bindings"), None, true),
            ("read_bindings", Some("28"), Call::Read("bindings"), None, false),
        ];
        for (op, at, call, target, expected) in rows {
            assert_eq!(is_about(&fault(op, at, "EIO"), call, target), expected, "{op} {at:?} {call:?} {target:?}");
        }
    }
}
