//! Devices online and configured, and what holds for the whole bus.

use super::{complain, refuse};
use crate::shared::clock::Monotonic;
use crate::shared::error::{Failure, Outcome};
use crate::shared::system::System;
use anyhow::{Result, anyhow, bail};
use apbus::{Bus, BusSwitch, Device};
use clap::Args;
use uvtypes::text::shown;

/// The options beside those of Secure Execution.
#[derive(Args)]
pub(super) struct Settings {
    /// Take the devices online
    #[arg(short, long)]
    enable: bool,
    /// Take the devices offline
    #[arg(short, long)]
    disable: bool,
    /// All cards instead of given devices
    #[arg(short, long)]
    all: bool,
    /// Configure the cards
    #[arg(long)]
    config_on: bool,
    /// Deconfigure the cards
    #[arg(long)]
    config_off: bool,
    /// Have a kernel thread ask for replies
    #[arg(short, long)]
    poll_thread_enable: bool,
    /// Have no kernel thread ask for replies
    #[arg(short = 'n', long)]
    poll_thread_disable: bool,
    /// Seconds between two scans of the bus, 5 to 120
    #[arg(short, long, value_name = "TIMEOUT", allow_hyphen_values = true)]
    config_time: Option<String>,
    /// Nanoseconds between two questions for replies
    #[arg(short = 't', long, value_name = "TIMEOUT", allow_hyphen_values = true)]
    poll_timeout: Option<String>,
    /// Domain of requests that name none; decimal, hexadecimal after 0x, or octal after 0
    #[arg(short = 'q', long, value_name = "DOMAIN", allow_hyphen_values = true)]
    default_domain: Option<String>,
}

/// What is to be set.
pub(super) enum Setting<'a> {
    Online { on: bool, all: bool },
    Configured { on: bool, all: bool },
    Bus { switch: BusSwitch, value: Value<'a> },
}

/// A value for the bus.
pub(super) enum Value<'a> {
    Switch(bool),
    Text { text: &'a str, name: &'static str },
}

impl Settings {
    /// What is to be set; options exclude each other.
    pub(super) fn action(&self) -> Option<Setting<'_>> {
        let bus = |switch, value| Some(Setting::Bus { switch, value });
        let text = |switch, name, text| bus(switch, Value::Text { text, name });
        match self {
            Self { enable: true, .. } => Some(Setting::Online { on: true, all: self.all }),
            Self { disable: true, .. } => Some(Setting::Online { on: false, all: self.all }),
            Self { config_on: true, .. } => Some(Setting::Configured { on: true, all: self.all }),
            Self { config_off: true, .. } => Some(Setting::Configured { on: false, all: self.all }),
            Self { poll_thread_enable: true, .. } => bus(BusSwitch::PollThread, Value::Switch(true)),
            Self { poll_thread_disable: true, .. } => bus(BusSwitch::PollThread, Value::Switch(false)),
            Self { config_time: Some(time), .. } => text(BusSwitch::ConfigTime, "configuration timeout", time),
            Self { poll_timeout: Some(time), .. } => text(BusSwitch::PollTimeout, "poll timeout", time),
            Self { default_domain: Some(domain), .. } => text(BusSwitch::DefaultDomain, "default domain", domain),
            _ => None,
        }
    }
}

pub(super) fn run(
    bus: &Bus,
    setting: Setting<'_>,
    operands: &[String],
    verbose: bool,
    system: &mut System,
) -> Result<Outcome, Failure> {
    let checked = match &setting {
        Setting::Bus { switch, value } => return set(bus, *switch, value, verbose, system),
        Setting::Online { all, .. } => devices(bus, *all, operands),
        Setting::Configured { all, .. } => devices(bus, *all, operands).and_then(|devices| {
            match devices.iter().find_map(|device| if let Device::Queue(apqn) = device { Some(apqn) } else { None }) {
                Some(apqn) => Err(anyhow!("invalid device {apqn}: config on/off is only valid for card devices.")),
                None => Ok(devices),
            }
        }),
    };
    let devices = match checked {
        Ok(devices) => devices,
        Err(error) if error.is::<NoDevice>() => {
            system.eprint(&format!("chzcrypt: {error}\n"));
            return Ok(Outcome::Failed);
        }
        Err(error) => return refuse(system, &error),
    };
    let clock = Monotonic::start();
    let mut outcome = Outcome::Done;
    for device in devices {
        let (result, state) = match (&setting, device) {
            (Setting::Configured { on, .. }, Device::Card(card)) => {
                if bus.is_configured(card) == Some(*on) {
                    let state = if *on { "on" } else { "off" };
                    system.eprint(&format!("chzcrypt: Warning - device {device} is already config {state}.\n"));
                    continue;
                }
                (bus.set_configured(card, *on, &clock), if *on { "config on" } else { "config off" })
            }
            (Setting::Online { on, .. } | Setting::Configured { on, .. }, device) => {
                (bus.set_online(device, *on, &clock), if *on { "online" } else { "offline" })
            }
            (Setting::Bus { .. }, _) => continue,
        };
        match result {
            Ok(()) if verbose => system.print(&format!("Setting cryptographic device {device} {state}\n"))?,
            Ok(()) => {}
            Err(error) => {
                complain(system, &refused(error));
                outcome = Outcome::Failed;
            }
        }
    }
    Ok(outcome)
}

/// The words of the reference, with the kernel's reason.
fn refused(error: apbus::Error) -> anyhow::Error {
    match error {
        apbus::Error::Write { path, source, .. } => anyhow!("can't write to {} ({source}).", path.display()),
        error => anyhow!("{}.", error.chain()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("Need to specify at least one device ID.")]
struct NoDevice;

fn devices(bus: &Bus, all: bool, operands: &[String]) -> Result<Vec<Device>> {
    if all {
        return Ok(bus.listing()?.iter().map(|card| Device::Card(card.card)).collect());
    }
    if operands.is_empty() {
        return Err(NoDevice.into());
    }
    operands.iter().map(|text| device(bus, text)).collect()
}

/// `28` or `28.0014`, with or without `0x`.
fn device(bus: &Bus, text: &str) -> Result<Device> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let parsed = match digits.contains('.') {
        true => digits.parse().ok().map(Device::Queue),
        false => apbus::text::card(digits).map(Device::Card),
    };
    let Some(device) = parsed else { bail!("cryptographic device {} malformed.", shown(text)) };
    if !bus.has_device(device) {
        bail!("cryptographic device {device} does not exist.");
    }
    Ok(device)
}

fn set(
    bus: &Bus,
    switch: BusSwitch,
    value: &Value<'_>,
    verbose: bool,
    system: &mut System,
) -> Result<Outcome, Failure> {
    let number = match value {
        Value::Switch(on) => u64::from(*on),
        Value::Text { text, name } => {
            match number(text).filter(|number| switch != BusSwitch::DefaultDomain || *number < 256) {
                Some(number) => number,
                None => return refuse(system, &anyhow!("invalid {name} '{}'.", shown(text))),
            }
        }
    };
    if let Err(error) = bus.set(switch, number, &Monotonic::start()) {
        return refuse(system, &refused(error));
    }
    if verbose {
        system.print(&match switch {
            BusSwitch::ConfigTime => format!("Setting configuration timer to {number} seconds.\n"),
            BusSwitch::DefaultDomain => format!("Setting default domain to {number}.\n"),
            BusSwitch::PollThread if number == 1 => "Enabling poll thread.\n".to_owned(),
            BusSwitch::PollThread => "Disabling poll thread.\n".to_owned(),
            BusSwitch::PollTimeout => format!("Setting poll timeout to {number} nanoseconds.\n"),
        })?;
    }
    Ok(Outcome::Done)
}

/// Decimal, hexadecimal behind `0x`, octal behind `0`.
pub(super) fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        _ => (text, 10),
    };
    // The standard library takes a sign, too.
    if digits.starts_with('+') { None } else { u64::from_str_radix(digits, radix).ok() }
}
