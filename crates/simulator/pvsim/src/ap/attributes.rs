//! The attributes of the bus, of cards and of queues: which there are, and what they read.
//!
//! Source: Linux `drivers/s390/crypto/{ap_bus,ap_card,ap_queue,zcrypt_card,zcrypt_queue,zcrypt_cex4}.c`.

use super::bus::Bus;
use super::card::Card;
use super::events::Target;
use super::name::{CardId, QueueId};
use super::queue::Queue;
use super::terms::{Millis, Mode};
use nix::errno::Errno;

/// A name and its permissions.
pub(crate) type Entry = (&'static str, u32);

/// Of an EP11 card that limits nothing.
const OP_MODES: &str = "FIPS2009 BSI2009 FIPS2011 BSI2011";

const READ: u32 = 0o444;
const WRITE: u32 = 0o644;

const BUS: [Entry; 15] = [
    ("ap_adapter_mask", READ),
    ("ap_control_domain_mask", READ),
    ("ap_domain", WRITE),
    ("ap_interrupts", READ),
    ("ap_max_adapter_id", READ),
    ("ap_max_domain_id", READ),
    ("ap_usage_domain_mask", READ),
    // Writable on a host, where they divide queues among drivers.
    ("apmask", READ),
    ("aqmask", READ),
    ("bindings", READ),
    ("config_time", WRITE),
    ("features", READ),
    ("poll_thread", WRITE),
    ("poll_timeout", WRITE),
    ("scans", WRITE),
];

const CARD: [Entry; 14] = [
    ("ap_functions", READ),
    ("chkstop", READ),
    ("config", WRITE),
    ("depth", READ),
    ("hwtype", READ),
    ("load", READ),
    ("max_msg_size", READ),
    ("modalias", READ),
    ("online", WRITE),
    ("pendingq_count", READ),
    ("raw_hwtype", READ),
    ("request_count", WRITE),
    ("requestq_count", READ),
    ("type", READ),
];

const QUEUE: [Entry; 8] = [
    ("ap_functions", READ),
    ("chkstop", READ),
    ("config", READ),
    ("interrupt", READ),
    ("pendingq_count", READ),
    ("request_count", WRITE),
    ("requestq_count", READ),
    ("reset", WRITE),
];

/// What it needs to be said beside the bus itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Whether this is a Secure Execution guest.
    pub(crate) is_guest: bool,
    pub(crate) now: Millis,
}

/// The attributes of the bus.
pub(crate) fn of_bus() -> Vec<Entry> {
    BUS.to_vec()
}

/// The attributes of a card.
pub(crate) fn of_card(card: &Card) -> Vec<Entry> {
    let mut entries = CARD.to_vec();
    match card.kind.mode {
        Mode::Accelerator => {}
        Mode::Cca => entries.push(("serialnr", READ)),
        Mode::Ep11 => {
            entries.extend([("API_ordinalnr", READ), ("FW_version", READ), ("op_modes", READ), ("serialnr", READ)]);
        }
    }
    entries
}

/// The attributes of a queue.
pub(crate) fn of_queue(bus: &Bus, queue: &Queue, view: View) -> Vec<Entry> {
    let mut entries = QUEUE.to_vec();
    if queue.has_driver {
        entries.extend([("load", READ), ("online", WRITE)]);
        match queue.mode {
            Mode::Accelerator => {}
            Mode::Cca => entries.push(("mkvps", READ)),
            Mode::Ep11 => entries.extend([("mkvps", READ), ("op_modes", READ)]),
        }
    }
    let secure = view.is_guest && bus.settings.features.contains("APSB");
    if secure && (queue.mode != Mode::Cca || bus.settings.old_driver) {
        entries.extend([("se_associate", WRITE), ("se_bind", WRITE)]);
    }
    entries
}

/// Whether reading this never ends: it asks a card that does not answer. What is read by an instruction alone (`se_bind`,
/// `se_associate`) answers, but on CCA queues, where guests with older kernels were seen to hang.
pub(crate) fn hangs(bus: &Bus, target: Option<Target>, name: &str) -> bool {
    let (card, cca) = match target {
        None => return false,
        Some(Target::Card(card)) => (card, false),
        Some(Target::Queue(id)) => (id.card, bus.queues.get(&id).is_some_and(|queue| queue.mode == Mode::Cca)),
    };
    let asks = ["serialnr", "API_ordinalnr", "FW_version", "op_modes", "mkvps"].contains(&name)
        || cca && ["se_bind", "se_associate"].contains(&name);
    asks && bus.cards.get(&card).is_some_and(|card| card.hangs)
}

/// The text of an attribute that is there. Some reads count as requests to the card.
pub(crate) fn read(bus: &mut Bus, target: Option<Target>, name: &str, view: View) -> Result<String, Errno> {
    let mut text = match target {
        None => of_the_bus(bus, name),
        Some(Target::Card(id)) => of_a_card(bus, id, name),
        Some(Target::Queue(id)) => of_a_queue(bus, id, name, view),
    }?;
    text.push('\n');
    Ok(text)
}

fn of_the_bus(bus: &mut Bus, name: &str) -> Result<String, Errno> {
    let knobs = &bus.knobs;
    let queues = || bus.queues.iter().filter(|(_, queue)| queue.is_listed());
    Ok(match name {
        "features" => bus.settings.features.clone(),
        "bindings" => bindings(bus),
        "scans" => knobs.scans.to_string(),
        "config_time" => knobs.config_time.to_string(),
        "ap_domain" => knobs.ap_domain.map_or(-1, i32::from).to_string(),
        "ap_max_adapter_id" | "ap_max_domain_id" => "255".into(),
        "ap_adapter_mask" => mask(bus.cards.keys().map(|card| card.0)),
        "ap_usage_domain_mask" | "ap_control_domain_mask" => {
            mask(queues().filter_map(|(id, _)| u8::try_from(id.domain).ok()))
        }
        "apmask" | "aqmask" => mask(0..=255),
        "ap_interrupts" => "1".into(),
        "poll_thread" => u8::from(knobs.poll_thread).to_string(),
        "poll_timeout" => knobs.poll_timeout.to_string(),
        _ => return Err(Errno::ENOENT),
    })
}

fn bindings(bus: &mut Bus) -> String {
    let listed = || bus.queues.values().filter(|queue| queue.is_listed());
    let all = listed().count();
    let mut bound = listed().filter(|queue| queue.has_driver).count();
    let ready = u64::try_from(bus.settings.bindings_after).is_ok_and(|reads| bus.bindings_reads >= reads);
    bus.bindings_reads += 1;
    if ready && bound == all {
        return format!("{bound}/{all} (complete)");
    }
    if bound == all {
        bound = bound.saturating_sub(1);
    }
    format!("{bound}/{all}")
}

/// 256 bits, bit 0 leftmost.
fn mask(bits: impl Iterator<Item = u8>) -> String {
    let mut bytes = [0_u8; 32];
    for bit in bits {
        bytes[usize::from(bit / 8)] |= 0x80 >> (bit % 8);
    }
    format!("0x{}", hex::encode(bytes))
}

fn of_a_card(bus: &mut Bus, id: CardId, name: &str) -> Result<String, Errno> {
    let card = bus.cards.get(&id).ok_or(Errno::ENODEV)?;
    Ok(match name {
        "type" => card.kind.to_string(),
        "hwtype" | "raw_hwtype" => card.kind.hardware().to_string(),
        "ap_functions" => format!("0x{:08X}", card.kind.functions()),
        "online" => u8::from(card.online).to_string(),
        "config" => u8::from(card.configured).to_string(),
        "chkstop" => u8::from(card.check_stopped).to_string(),
        "depth" => "8".into(),
        "request_count" => card.requests.to_string(),
        "requestq_count" | "pendingq_count" | "load" => "0".into(),
        "modalias" => format!("ap:t{:02X}", card.kind.hardware()),
        "max_msg_size" => "12288".into(),
        "serialnr" if card.kind.mode == Mode::Cca => card.serial.chars().take(8).collect(),
        "serialnr" => asked(bus, id, |card| card.serial.clone()),
        "API_ordinalnr" => asked(bus, id, |_| "6".into()),
        "FW_version" => asked(bus, id, |_| "5.8".into()),
        "op_modes" => asked(bus, id, |_| OP_MODES.into()),
        _ => return Err(Errno::ENOENT),
    })
}

/// What a card answers, if a queue of it can ask.
fn asked(bus: &mut Bus, id: CardId, answer: impl Fn(&Card) -> String) -> String {
    let mut queues = bus.queues.iter_mut().filter(|(queue, _)| queue.card == id);
    let Some((_, queue)) = queues.find(|(_, queue)| queue.answers_requests()) else { return String::new() };
    queue.requests += 1;
    bus.cards.get_mut(&id).map_or_else(String::new, |card| {
        card.requests += 1;
        answer(card)
    })
}

fn of_a_queue(bus: &mut Bus, id: QueueId, name: &str, view: View) -> Result<String, Errno> {
    let functions = bus.cards.get(&id.card).map_or(0, |card| card.kind.functions());
    let queue = bus.queue(id)?;
    Ok(match name {
        "online" => u8::from(queue.online).to_string(),
        "config" => u8::from(queue.configured).to_string(),
        "chkstop" => u8::from(queue.check_stopped).to_string(),
        "ap_functions" if queue.has_failed() => return Err(Errno::EIO),
        "ap_functions" if !queue.is_here() => "0x00000000".into(),
        "ap_functions" => format!("0x{:08X}", functions | (queue.bind_state() as u32) << 14),
        "request_count" => queue.requests.to_string(),
        "requestq_count" | "pendingq_count" | "load" => "0".into(),
        "reset" if queue.is_settling(view.now) => "Reset in progress.".into(),
        "reset" => "No Reset Timer set.".into(),
        "interrupt" if queue.is_resetting() => "Interrupts disabled.".into(),
        "interrupt" if queue.is_settling(view.now) => "Enable Interrupt pending.".into(),
        "interrupt" => "Interrupts enabled.".into(),
        "mkvps" => master_keys(bus, id)?,
        "op_modes" => String::from(if answered(bus, id)? { OP_MODES } else { "" }),
        "se_bind" | "se_associate" if queue.mode == Mode::Cca => "-".into(),
        "se_bind" => queue.se_bind()?.into(),
        "se_associate" if queue.mode == Mode::Accelerator => "-".into(),
        "se_associate" => queue.se_associate()?,
        _ => return Err(Errno::ENOENT),
    })
}

/// Whether a request by this queue is answered. It counts then.
fn answered(bus: &mut Bus, id: QueueId) -> Result<bool, Errno> {
    let queue = bus.queue(id)?;
    if !queue.answers_requests() {
        return Ok(false);
    }
    queue.requests += 1;
    if let Some(card) = bus.cards.get_mut(&id.card) {
        card.requests += 1;
    }
    Ok(true)
}

fn master_keys(bus: &mut Bus, id: QueueId) -> Result<String, Errno> {
    let answers = answered(bus, id)?;
    let queue = bus.queue(id)?;
    let lines = if queue.mode == Mode::Cca {
        let line = |key: &str| ["NEW", "CUR", "OLD"].map(|which| format!("{key} {which}: - -")).join("\n");
        ["AES", "APKA", "ASYM"].map(line).join("\n")
    } else if !answers {
        "WK CUR: - -\nWK NEW: - -".into()
    } else {
        match queue.master_key {
            Some(pattern) => format!("WK CUR: valid 0x{pattern}\nWK NEW: empty -"),
            None => "WK CUR: invalid -\nWK NEW: empty -".into(),
        }
    };
    Ok(lines)
}
