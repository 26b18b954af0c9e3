//! AP instructions on the machine's queues.
//!
//! Response codes: Linux `drivers/s390/crypto/ap_bus.h`.

use super::{Reply, ep11};
use crate::Error;
use crate::ap::bus::Bus;
use crate::ap::events::Target;
use crate::ap::faults::{self, Act, Call};
use crate::ap::name::{CardId, QueueId};
use crate::ap::store::{BusGuard, Store};
use crate::ap::terms::{BindState, Mode};
use crate::ap::{firmware_rules, terms::End};
use nix::errno::Errno;
use pvsim_machine::{ApAnswer, ApCall, ApData, ApStatus};
use std::collections::{BTreeMap, VecDeque};
use std::thread;
use std::time::Duration;

const NORMAL: u8 = 0x00;
const NOT_AVAILABLE: u8 = 0x01;
const INVALID_ADDRESS: u8 = 0x06;
const STATE_CHANGE_IN_PROGRESS: u8 = 0x0a;
const NOT_BOUND: u8 = 0x0b;
const NO_PENDING_REPLY: u8 = 0x10;
const BIND_ERROR: u8 = 0x30;
const NOT_AVAILABLE_FOR_ASSOCIATION: u8 = 0x31;
const BIND_LIMIT_EXCEEDED: u8 = 0x33;
const INVALID_SECRET: u8 = 0x34;
const SECRET_NOT_UNIQUE: u8 = 0x35;
const ASSOCIATION_FAILED: u8 = 0x36;

/// Domains of a card.
const DOMAINS: u64 = 0x54;
/// One less than messages that a queue takes.
const DEPTH: u64 = 7;

type Replies = BTreeMap<u16, VecDeque<Reply>>;

/// What is left to do when the bus is not held any more.
enum Then {
    Nothing,
    /// The instruction takes that long.
    Wait(u64),
}

/// Carries out an instruction.
pub(super) fn carry_out(store: &Store, replies: &mut Replies, call: ApCall) -> Result<ApAnswer, Error> {
    let (answer, then) = store.with(|held| instruction(held, replies, call))?;
    if let Then::Wait(time) = then {
        thread::sleep(Duration::from_millis(time));
        store.with(|_| Ok(()))?;
    }
    Ok(answer)
}

fn instruction(held: &mut BusGuard<'_>, replies: &mut Replies, call: ApCall) -> Result<(ApAnswer, Then), Error> {
    let now = |answer: ApAnswer| Ok((answer, Then::Nothing));
    match call {
        ApCall::Configuration => now(ApAnswer {
            status: ApStatus::default(),
            data: ApData::Configuration(Box::new(configuration(held.bus))),
        }),
        ApCall::Test { apqn } => now(test(held.bus, replies, apqn)),
        ApCall::Reset { apqn, unbinds } => {
            replies.remove(&apqn);
            let struck = if unbinds { struck(held, Call::Unbind, apqn)? } else { None };
            now(status(reset(held, apqn, unbinds, struck)))
        }
        ApCall::Zeroize { apqn } => {
            replies.remove(&apqn);
            now(status(reset(held, apqn, false, None)))
        }
        ApCall::CompatibleType { apqn } => now(compatible_type(held.bus, apqn)),
        ApCall::Bind { apqn } => bind(held, apqn),
        ApCall::Associate { apqn, index } => associate(held, apqn, index),
        ApCall::Enqueue { apqn, message_id, message } => now(enqueue(held, replies, apqn, message_id, &message)?),
        ApCall::Dequeue { apqn, room } => now(dequeue(held.bus, replies, apqn, room)),
        // Nothing here can interrupt the guest: it has to look itself.
        ApCall::InterruptControl { .. } | ApCall::Unknown { .. } => now(status(INVALID_ADDRESS)),
    }
}

fn id(apqn: u16) -> QueueId {
    QueueId { card: CardId((apqn >> 8) as u8), domain: apqn & 0xff }
}

fn status(response: u8) -> ApAnswer {
    let asynchronous = response == ASSOCIATION_FAILED;
    ApAnswer { status: ApStatus { response, asynchronous, empty: true, ..ApStatus::default() }, data: ApData::Nothing }
}

/// What the hardware says of a queue before anything else.
fn response(bus: &Bus, apqn: u16) -> u8 {
    let id = id(apqn);
    match (bus.queues.get(&id), bus.cards.get(&id.card)) {
        (Some(queue), Some(card)) if queue.is_here() => match queue.response() {
            NORMAL if !card.configured => 0x03,
            NORMAL if card.check_stopped => 0x04,
            response => response,
        },
        _ => NOT_AVAILABLE,
    }
}

fn configuration(bus: &Bus) -> [u8; 128] {
    let mut block = [0; 128];
    let has = |word| bus.settings.features.split_whitespace().any(|feature| feature == word);
    for (word, bit) in [("APSC", 0x80), ("APXA", 0x40), ("QACT", 0x20), ("RC8A", 0x10)] {
        block[0] |= if has(word) { bit } else { 0 };
    }
    block[1] = if has("APSB") { 0x80 } else { 0 };
    // The highest numbers of cards and domains.
    block[4..6].fill(255);
    let mut set = |start: usize, number: u8| block[start + usize::from(number / 8)] |= 0x80 >> (number % 8);
    for (id, _) in bus.queues.iter().filter(|(_, queue)| queue.is_here()) {
        set(16, id.card.0);
        set(48, id.domain as u8);
        set(80, id.domain as u8);
    }
    block
}

fn test(bus: &Bus, replies: &Replies, apqn: u16) -> ApAnswer {
    let response = response(bus, apqn);
    let mut answer = status(response);
    let id = id(apqn);
    if let (Some(queue), Some(card)) = (bus.queues.get(&id).filter(|queue| queue.is_here()), bus.cards.get(&id.card)) {
        let functions = card.kind.functions() | (queue.bind_state() as u32) << 14;
        let kind = u64::from(card.kind.hardware()) << 24 | DOMAINS << 16 | DEPTH;
        answer.data = ApData::Register(u64::from(functions) << 32 | kind);
        answer.status.empty = replies.get(&apqn).is_none_or(VecDeque::is_empty);
    } else {
        answer.data = ApData::Register(0);
    }
    answer
}

fn compatible_type(bus: &Bus, apqn: u16) -> ApAnswer {
    let response = response(bus, apqn);
    let mut answer = status(response);
    if let Some(card) = bus.cards.get(&id(apqn).card).filter(|_| response == NORMAL) {
        // Bits 3 to 5 are the mode, as in the functions.
        let mode = u64::from(card.kind.functions() & 0x1c00_0000) << 32;
        answer.data = ApData::Register(mode | u64::from(card.kind.hardware()) << 24);
    }
    answer
}

fn reset(held: &mut BusGuard<'_>, apqn: u16, unbinds: bool, struck: Option<Act>) -> u8 {
    let response = match response(held.bus, apqn) {
        // A failed association ends with a reset.
        ASSOCIATION_FAILED => NORMAL,
        response => response,
    };
    let refused = matches!(struck, Some(Act::Errno(_)));
    if response == NORMAL && !refused && struck != Some(Act::Ignore) {
        let now = held.now;
        if let Some(queue) = held.bus.queues.get_mut(&id(apqn)) {
            if unbinds {
                // What cannot be bound cannot be unbound, and nobody minds.
                let _ = queue.unbind(now);
            } else {
                queue.reset_here(now);
            }
        }
    }
    if unbinds {
        log(held, apqn, "se_bind", "0", if refused { BIND_ERROR } else { response });
    }
    if refused { BIND_ERROR } else { response }
}

fn bind(held: &mut BusGuard<'_>, apqn: u16) -> Result<(ApAnswer, Then), Error> {
    let struck = struck(held, Call::Bind, apqn)?;
    let mut then = Then::Nothing;
    let allowed = response(held.bus, apqn);
    let now = held.now;
    let bound = held.bus.queues.get(&id(apqn)).is_some_and(|queue| queue.bind_state() == BindState::Unbound);
    let result = match (allowed, struck) {
        (_, Some(Act::Errno(_))) => BIND_ERROR,
        (NORMAL, Some(Act::Ignore)) => NORMAL,
        (NORMAL, _) if !bound => BIND_ERROR,
        (NORMAL, _) if firmware_rules::refuses_bind(&held.bus.settings, &held.bus.queues).is_err() => {
            BIND_LIMIT_EXCEEDED
        }
        (NORMAL, struck) => {
            let extra = if let Some(Act::Delay(time)) = struck { time } else { 0 };
            let takes = held.bus.queues.get_mut(&id(apqn)).map_or(0, |queue| queue.bind(now));
            if takes + extra > 0 {
                then = Then::Wait(takes + extra);
            }
            NORMAL
        }
        (response, _) => response,
    };
    log(held, apqn, "se_bind", "1", result);
    Ok((status(result), then))
}

fn associate(held: &mut BusGuard<'_>, apqn: u16, index: u16) -> Result<(ApAnswer, Then), Error> {
    let struck = struck(held, Call::Associate, apqn)?;
    let secrets = held.lock.guest()?.secrets;
    let now = held.now;
    let (id, response) = (id(apqn), response(held.bus, apqn));
    let state = held.bus.queues.get(&id).map(|queue| (queue.mode, queue.bind_state(), queue.secret(), queue.end));
    let result = match (response, state) {
        (NORMAL, Some((Mode::Ep11, BindState::Bound, None, end))) => match struck {
            Some(Act::Errno(_)) => NOT_AVAILABLE_FOR_ASSOCIATION,
            Some(Act::Ignore) => NORMAL,
            struck => {
                let end = if let Some(Act::End(ordered)) = struck { ordered } else { end };
                begin_association(held, id, index, end, &secrets, now)
            }
        },
        (NORMAL, _) => NOT_AVAILABLE_FOR_ASSOCIATION,
        (response, _) => response,
    };
    let accepted = if result == STATE_CHANGE_IN_PROGRESS { NORMAL } else { result };
    log(held, apqn, "se_associate", &index.to_string(), accepted);
    // Asynchronous is only what is told later.
    let mut answer = status(result);
    answer.status.asynchronous = false;
    Ok((answer, Then::Nothing))
}

fn begin_association(
    held: &mut BusGuard<'_>,
    id: QueueId,
    index: u16,
    end: End,
    secrets: &[crate::StoredSecret],
    now: u64,
) -> u8 {
    let known = secrets.iter().any(|secret| secret.index == index && secret.kind == firmware_rules::ASSOCIATION);
    match firmware_rules::association(&held.bus.settings, &held.bus.queues, secrets, id, index, end) {
        Ok(end) => {
            if let Some(queue) = held.bus.queues.get_mut(&id) {
                queue.associate(now, index, end);
            }
            STATE_CHANGE_IN_PROGRESS
        }
        Err(_) if known => SECRET_NOT_UNIQUE,
        Err(_) => INVALID_SECRET,
    }
}

fn enqueue(
    held: &mut BusGuard<'_>,
    replies: &mut Replies,
    apqn: u16,
    message_id: u64,
    message: &[u8],
) -> Result<ApAnswer, Error> {
    let response = response(held.bus, apqn);
    if response != NORMAL {
        return Ok(status(response));
    }
    let id = id(apqn);
    let query = ep11::query(message);
    let silent = match query {
        Some(ep11::Query::Domain) => struck(held, Call::Read("mkvps"), apqn)?,
        Some(ep11::Query::Module) => struck(held, Call::Read("serialnr"), apqn)?,
        None => None,
    };
    let Bus { cards, queues, .. } = &mut *held.bus;
    let (Some(queue), Some(card)) = (queues.get_mut(&id), cards.get_mut(&id.card)) else {
        return Ok(status(NOT_AVAILABLE));
    };
    if !matches!(queue.bind_state(), BindState::Usable | BindState::Bound) {
        return Ok(status(NOT_BOUND));
    }
    queue.requests += 1;
    card.requests += 1;
    let reply = match query {
        Some(query) if !card.hangs && silent != Some(Act::Hang) => ep11::reply(message, query, card, queue, id),
        _ => None,
    };
    replies.entry(apqn).or_default().push_back(reply.map(|reply| (message_id, reply)));
    let mut answer = status(NORMAL);
    answer.status.empty = false;
    answer.status.replies_wait = true;
    Ok(answer)
}

fn dequeue(bus: &Bus, replies: &mut Replies, apqn: u16, room: usize) -> ApAnswer {
    let response = response(bus, apqn);
    if response != NORMAL {
        return status(response);
    }
    let waiting = replies.entry(apqn).or_default();
    let Some(at) = waiting.iter().position(|reply| reply.as_ref().is_some_and(|(_, message)| message.len() <= room))
    else {
        let mut answer = status(NO_PENDING_REPLY);
        answer.status.empty = waiting.is_empty();
        return answer;
    };
    let taken = waiting.remove(at).flatten();
    let mut answer = status(NORMAL);
    answer.status.empty = waiting.is_empty();
    answer.status.replies_wait = waiting.iter().any(Option::is_some);
    if let Some((message_id, message)) = taken {
        answer.data = ApData::Reply { message_id, message };
    }
    answer
}

/// Notes what the kernel did, as the write that led to it.
fn log(held: &mut BusGuard<'_>, apqn: u16, attribute: &str, text: &str, response: u8) {
    let id = id(apqn);
    let path = format!("/sys/devices/ap/card{}/{id}/{attribute}", id.card);
    held.log(&path, text.as_bytes(), if response == NORMAL { Ok(()) } else { Err(Errno::EIO) });
}

/// The fault that strikes, if one is ordered; what the host does just before has happened then.
fn struck(held: &mut BusGuard<'_>, call: Call<'_>, apqn: u16) -> Result<Option<Act>, Error> {
    let target = Target::Queue(id(apqn));
    let act = faults::struck(held, call, Some(target))?;
    if let Some(Act::Event(event)) = &act {
        held.bus.apply_event(held.now, event, target);
    }
    Ok(act)
}
