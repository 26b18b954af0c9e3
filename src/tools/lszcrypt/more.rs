//! What lszcrypt shows besides its list: the bus, domains, capabilities, serial numbers.

use super::{Device, Row, complain};
use crate::shared::cli::Format;
use crate::shared::error::{Failure, Outcome};
use crate::shared::system::System;
use apbus::{Apqn, Bus};
use serde_json::{Value, json};
use uvtypes::text::shown;

/// Prints one of the two forms.
fn print(text: impl FnOnce() -> String, json: Value, format: Format, system: &mut System) -> Result<Outcome, Failure> {
    match format {
        Format::Text => system.print(&text())?,
        Format::Json => system.print_json(&format!("{json:#}\n"))?,
    }
    Ok(Outcome::Done)
}

/// `-b`. What the bus does not tell is left out.
pub(super) fn bus(bus: &Bus, format: Format, system: &mut System) -> Result<Outcome, Failure> {
    let settings = bus.settings();
    let state = |on: bool| if on { "enabled" } else { "disabled" };
    let json = json!({
        "features": settings.features,
        "ap_domain": settings.default_domain,
        "ap_max_domain_id": settings.max_domain,
        "ap_interrupts": settings.interrupts,
        "config_time": settings.config_time,
        "poll_thread": settings.poll_thread,
        "poll_timeout": settings.poll_timeout,
    });
    let text = || {
        let lines = [
            settings.features.filter(|features| !features.is_empty()).map(|text| format!("features: {}", shown(&text))),
            settings.default_domain.map(|domain| match u8::try_from(domain) {
                Ok(domain) => format!("ap_domain={domain:#x}"),
                Err(_) => "ap_domain=none".to_owned(),
            }),
            settings.max_domain.map(|domain| format!("ap_max_domain_id={domain:#x}")),
            settings.interrupts.map(|on| format!("ap_interrupts are {}", state(on))),
            settings.config_time.map(|time| format!("config_time={time} (seconds)")),
            settings.poll_thread.map(|on| format!("poll_thread is {}", state(on))),
            settings.poll_timeout.map(|time| format!("poll_timeout={time} (nanoseconds)")),
        ];
        lines.into_iter().flatten().map(|line| line + "\n").collect()
    };
    print(text, json, format, system)
}

/// `-d`.
pub(super) fn domains(bus: &Bus, format: Format, system: &mut System) -> Result<Outcome, Failure> {
    let Ok(control) = bus.domains(false) else { return complain(system, "Control domain mask not available.") };
    let Ok(usage) = bus.domains(true) else { return complain(system, "Usage domain mask not available.") };
    let list = |mask: apbus::DomainMask| (0..=255).filter(|domain| mask.has(*domain)).collect::<Vec<u8>>();
    let json = json!({ "usage": list(usage), "control": list(control) });
    let text = || {
        let columns: String = (0..16).map(|column| format!(" {column:02x}")).collect();
        let mut text = format!("DOMAIN{columns}\n{line}\n", line = "-".repeat(54));
        for row in 0..16_u8 {
            text += &format!("    {:02x}", row * 16);
            for domain in row * 16..=row * 16 + 15 {
                text += match (control.has(domain), usage.has(domain)) {
                    (true, true) => "  B",
                    (true, false) => "  C",
                    (false, true) => "  U",
                    (false, false) => "  .",
                };
            }
            text.push('\n');
        }
        text += &"-".repeat(54);
        text + "\nC: Control domain\nU: Usage domain\nB: Both (Control + Usage domain)\n"
    };
    print(text, json, format, system)
}

/// `-c`.
pub(super) fn capability(bus: &Bus, name: &str, format: Format, system: &mut System) -> Result<Outcome, Failure> {
    // With "0x" as well, which s390-tools needs for cards from 10 on.
    match Device::parse(name.strip_prefix("0x").unwrap_or(name)) {
        Some(Device::Card(card)) => card_capability(bus, card, format, system),
        Some(Device::Queue(apqn)) => queue_capability(bus, apqn, format, system),
        _ => complain(system, &format!("Error - '{}' is an invalid cryptographic device id.", shown(name))),
    }
}

fn card_capability(bus: &Bus, number: u8, format: Format, system: &mut System) -> Result<Outcome, Failure> {
    let cards = bus.listing()?;
    let Some(card) = cards.iter().find(|card| card.card == number) else {
        return complain(system, &format!("Error - cryptographic device card{number:02x} does not exist."));
    };
    let capabilities = card.functions.map(apbus::Functions::capabilities).unwrap_or_default();
    let json = json!({
        "device": format!("{number:02x}"),
        "hwtype": card.hwtype,
        "capabilities": capabilities,
        "max_msg_size": card.max_msg_size,
    });
    let text = || {
        let mut text = format!("card{number:02x} provides capability for:\n");
        for capability in &capabilities {
            text += &format!("{capability}\n");
        }
        if capabilities.is_empty() {
            let kind = card.hwtype.map_or_else(|| "unknown".to_owned(), |hwtype| hwtype.to_string());
            text += &format!(
                "Detailed capability information for card{number:02x} (hardware type {kind}) is not available.\n"
            );
        }
        if let Some(size) = card.max_msg_size {
            text += &format!("AP bus max message size limit {} Kb\n", size / 1024);
        }
        text
    };
    print(text, json, format, system)
}

fn queue_capability(bus: &Bus, apqn: Apqn, format: Format, system: &mut System) -> Result<Outcome, Failure> {
    if !bus.has_device(apbus::Device::Queue(apqn)) {
        return complain(system, &format!("Error - cryptographic queue device {apqn} does not exist."));
    }
    // `None`: there is no such attribute.
    let attribute = |name: &str| match bus.queue_attribute(apqn, name) {
        Ok(text) => Some(shown(&text)),
        Err(apbus::Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(_) => Some("error".to_owned()),
    };
    let (bind, association) = (attribute("se_bind"), attribute("se_associate"));
    let patterns = bus.queue_attribute(apqn, "mkvps").unwrap_or_default();
    let current = |line: &&str| ["WK CUR", "AES CUR", "APKA CUR", "ASYM CUR"].iter().any(|key| line.contains(key));
    let patterns: Vec<_> = patterns.lines().filter(current).map(shown).collect();
    let json = json!({
        "device": apqn.to_string(),
        "se_bind": bind,
        "se_associate": association,
        "mkvps": patterns,
    });
    let text = || {
        let mut text = format!("queue {apqn} capabilities:\n");
        for (name, state) in [("bind", bind), ("association", association)] {
            if let Some(state) = state {
                text += &format!("SE {name} state: {state}\n");
            }
        }
        text + &patterns.iter().map(|line| format!("MK {line}\n")).collect::<String>()
    };
    print(text, json, format, system)
}

/// `-s`: the first eight characters, which is what is printed on the card.
pub(super) fn serials(bus: &Bus, rows: &[Row<'_>], format: Format, system: &mut System) -> Result<Outcome, Failure> {
    let mut cards: Vec<_> = rows.iter().filter(|row| ["CCA-Coproc", "EP11-Coproc"].contains(&row.mode())).collect();
    cards.dedup_by_key(|row| row.card.card);
    let serials: Vec<_> = cards.iter().map(|row| (row, bus.card_serial(row.card.card))).collect();
    let entries =
        serials.iter().map(|(row, serial)| json!({ "device": format!("{:02x}", row.card.card), "serialnr": serial }));
    let json = json!({ "devices": entries.collect::<Vec<_>>() });
    let text = || {
        let head = format!("{:<8} {:<5} {:<11} {:<10} {:<8}", "CARD.DOM", "TYPE", "MODE", "STATUS", "SERIALNR");
        let mut text = format!("{head}\n{}\n", "-".repeat(head.len()));
        for (row, serial) in &serials {
            let serial: String = serial.as_deref().unwrap_or("-").chars().take(8).collect();
            text += &format!(
                "{:<8} {:<5} {:<11} {:<10} {:<8}\n",
                format!("{:02x}", row.card.card),
                row.card.kind.as_deref().map_or_else(|| "-".to_owned(), shown),
                row.mode(),
                row.card.device.status().unwrap_or("-"),
                shown(&serial)
            );
        }
        text
    };
    print(text, json, format, system)
}

/// The default domain if requests to it would go nowhere.
pub(super) fn missing_default_domain(bus: &Bus) -> Option<u8> {
    let domain = u8::try_from(bus.settings().default_domain?).ok()?;
    let usage = bus.domains(true).ok()?;
    (!usage.has(domain)).then_some(domain)
}
