//! `lszcrypt`: shows Crypto Express cards and queues.

mod more;

use crate::shared::cli::{self, Format};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use apbus::text::{self, BindState};
use apbus::{Apqn, Bus, CardListing, DeviceListing, Functions, QueueListing};
use clap::{CommandFactory, Parser};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt::Write;
use uvtypes::text::escaped;

/// Exit code for a wrong command line, as for all other errors.
const USAGE_STATUS: UsageStatus = UsageStatus::AsFailure;

/// Show Crypto Express cards and queues
///
/// With '-V', the column SESTAT tells the Secure Execution state of every queue: 'usable', 'bound' (but not
/// associated), 'unbound', or 'illicit' for one that the guest may not use; 'invalid' for one that the host has taken
/// away, and 'error'.
#[derive(Parser)]
#[command(name = "lszcrypt", disable_version_flag = true)]
struct Arguments {
    /// Cards (28), queues (28.0014) or domains (.0014) to show [default: all]
    #[arg(value_name = "DEVICE")]
    devices: Vec<String>,
    /// Show everything about each device
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show accelerators only
    #[arg(long, conflicts_with_all = ["ccaonly", "ep11only"])]
    accelonly: bool,
    /// Show CCA coprocessors only
    #[arg(long, conflicts_with = "ep11only")]
    ccaonly: bool,
    /// Show EP11 coprocessors only
    #[arg(long)]
    ep11only: bool,
    /// Show cards only
    #[arg(long, conflicts_with = "queueonly")]
    cardonly: bool,
    /// Show queues only
    #[arg(long)]
    queueonly: bool,
    /// Show the attributes of the AP bus
    #[arg(short, long, conflicts_with_all = ["capability", "domains", "serial"])]
    bus: bool,
    /// Show what a card (28) or queue (28.0014) can do
    #[arg(
        short,
        long,
        value_name = "DEVICE",
        conflicts_with_all = ["domains", "serial"],
        allow_hyphen_values = true
    )]
    capability: Option<String>,
    /// Show the usage and control domains
    #[arg(short, long, conflicts_with = "serial")]
    domains: bool,
    /// Show the serial numbers of CCA and EP11 cards
    #[arg(short, long)]
    serial: bool,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the version
    #[arg(short = 'v', long)]
    version: bool,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, USAGE_STATUS, system, |args: Arguments, system| {
        if args.version {
            return cli::print_version::<Arguments>(system).map(|()| Outcome::Done);
        }
        let Ok(bus) = Bus::open(&system.root.join("sys")) else {
            return complain(system, "Crypto device driver not available.");
        };
        if args.bus {
            return more::bus(&bus, args.format, system);
        }
        if args.domains {
            return more::domains(&bus, args.format, system);
        }
        if let Some(name) = &args.capability {
            return more::capability(&bus, name, args.format, system);
        }
        let mut wanted = Vec::new();
        for text in &args.devices {
            match Device::parse(text) {
                Some(device) => wanted.push(device),
                None => return complain(system, &format!("Error - Can't parse '{text}' as card, queue or domain.")),
            }
        }
        let cards = bus.listing()?;
        if let Some(missing) = wanted.iter().find(|device| !device.is_in(&cards)) {
            return complain(system, &format!("Error - cryptographic device {missing} does not exist."));
        }
        let rows = rows(&args, &cards, &wanted);
        if args.serial {
            return more::serials(&bus, &rows, args.format, system);
        }
        let has_states = bus.check_secure_binding().is_ok();
        match args.format {
            Format::Text => {
                let is_known =
                    |row: &&Row<'_>| args.verbose > 0 || row.card.kind.is_some() && row.device().online.is_some();
                let rows: Vec<_> = rows.iter().filter(is_known).collect();
                system.print(&table(&rows, args.verbose > 0, has_states))?;
                if let Some(domain) = more::missing_default_domain(&bus) {
                    system.print(&format!("Warning: Default domain {domain:#04x} is not available.\n"))?;
                }
            }
            Format::Json => {
                let devices: Vec<_> = rows.iter().map(|row| row.json(has_states)).collect();
                system.print_json(&format!("{:#}\n", json!({ "devices": devices })))?;
            }
        }
        Ok(Outcome::Done)
    })
}

fn complain(system: &mut System, text: &str) -> Result<Outcome, Failure> {
    system.eprint(&format!("lszcrypt: {}\n", escaped(text)));
    Ok(Outcome::Failed)
}

/// Something that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Card(u8),
    Queue(Apqn),
    Domain(u16),
}

impl Device {
    fn parse(name: &str) -> Option<Self> {
        match name.split_once('.') {
            None => text::card(name).map(Self::Card),
            Some(("", domain)) => text::domain(domain).map(Self::Domain),
            Some(_) => name.parse().ok().map(Self::Queue),
        }
    }

    fn is_in(&self, cards: &[CardListing]) -> bool {
        let mut queues = cards.iter().flat_map(|card| &card.queues);
        match *self {
            Self::Card(number) => cards.iter().any(|card| card.card == number),
            Self::Queue(apqn) => queues.any(|queue| queue.apqn == apqn),
            Self::Domain(domain) => queues.any(|queue| queue.apqn.domain == domain),
        }
    }

    fn shows(self, card: u8, queue: Option<Apqn>) -> bool {
        match (self, queue) {
            (Self::Card(number), _) => number == card,
            (Self::Queue(wanted), Some(apqn)) => wanted == apqn,
            (Self::Domain(domain), Some(apqn)) => domain == apqn.domain,
            (_, None) => false,
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Card(card) => write!(f, "card{card:02x}"),
            Self::Queue(apqn) => write!(f, "/sys/devices/ap/card{:02x}/{apqn}", apqn.card),
            Self::Domain(domain) => write!(f, ".{domain:04x}"),
        }
    }
}

/// A line: a card, or a queue of it.
struct Row<'a> {
    card: &'a CardListing,
    queue: Option<&'a QueueListing>,
}

fn rows<'a>(args: &Arguments, cards: &'a [CardListing], wanted: &[Device]) -> Vec<Row<'a>> {
    let kinds = [(args.accelonly, "Accelerator"), (args.ccaonly, "CCA-Coproc"), (args.ep11only, "EP11-Coproc")];
    let kind = kinds.into_iter().find(|(asked, _)| *asked).map(|(_, kind)| kind);
    let is_wanted = |row: &Row<'_>| {
        let of_kind = kind.is_none_or(|kind| row.card.functions.is_some_and(|functions| functions.mode() == kind));
        let of_level = if row.queue.is_some() { !args.cardonly } else { !args.queueonly };
        let queue = row.queue.map(|queue| queue.apqn);
        of_kind && of_level && (wanted.is_empty() || wanted.iter().any(|device| device.shows(row.card.card, queue)))
    };
    let all = cards.iter().flat_map(|card| {
        let queues = card.queues.iter().map(move |queue| Row { card, queue: Some(queue) });
        std::iter::once(Row { card, queue: None }).chain(queues)
    });
    all.filter(is_wanted).collect()
}

impl Row<'_> {
    fn device(&self) -> &DeviceListing {
        self.queue.map_or(&self.card.device, |queue| &queue.device)
    }

    fn name(&self) -> String {
        self.queue.map_or_else(|| format!("{:02x}", self.card.card), |queue| queue.apqn.to_string())
    }

    fn mode(&self) -> &'static str {
        self.card.functions.map_or("Unknown", Functions::mode)
    }

    /// What the column SESTAT has for it.
    fn state(&self) -> &'static str {
        let Some(queue) = self.queue else { return "-" };
        match queue.functions.map(Functions::bind_state) {
            None => "error",
            Some(None) => "invalid",
            Some(Some(BindState::Usable)) => "usable",
            Some(Some(BindState::Bound)) => "bound",
            Some(Some(BindState::Unbound)) => "unbound",
            Some(Some(BindState::Illicit)) => "illicit",
        }
    }

    /// Name, type, mode, status, requests.
    fn short(&self) -> String {
        let device = self.device();
        let requests = device.requests.filter(|_| device.config != Some(false));
        format!(
            "{:<8} {:<5} {:<11} {:<10} {:>8}",
            self.name(),
            self.card.kind.as_deref().unwrap_or("-"),
            self.mode(),
            device.status().unwrap_or("-"),
            or_dash(requests)
        )
    }

    fn long(&self, has_states: bool) -> String {
        let device = self.device();
        // A queue without one of the crypto drivers has no requests of its own.
        let counts = self.card.device.config != Some(false) && (self.queue.is_none() || device.driver.is_some());
        let mut line = format!(
            "{} {:>8} {:>6} {:>6} {:<10} {:<11}",
            self.short(),
            or_dash(device.pending.filter(|_| counts)),
            or_dash(self.card.hwtype),
            self.card.depth.map_or_else(|| "-".to_owned(), |depth| format!("{depth:02}")),
            self.card.functions.unwrap_or(Functions(0)).letters(),
            device.driver.as_deref().unwrap_or("-no-driver-")
        );
        if has_states {
            // Writing to a String cannot fail.
            let _ = write!(line, " {:<11}", self.state());
        }
        line
    }

    /// Documented in lszcrypt(8).
    fn json(&self, has_states: bool) -> Value {
        let device = self.device();
        json!({
            "device": self.name(),
            "is_queue": self.queue.is_some(),
            "type": self.card.kind,
            "mode": self.mode(),
            "status": device.status(),
            "requests": device.requests,
            "pending": device.pending,
            "hwtype": self.card.hwtype,
            "depth": self.card.depth,
            "functions": self.card.functions.map(Functions::letters),
            "driver": device.driver,
            "se_state": self.queue.filter(|_| has_states).map(|_| self.state()),
        })
    }
}

fn or_dash(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn table(rows: &[&Row<'_>], all_columns: bool, has_states: bool) -> String {
    let mut head = format!("{:<8} {:<5} {:<11} {:<10} {:>8}", "CARD.DOM", "TYPE", "MODE", "STATUS", "REQUESTS");
    if all_columns {
        head += &format!(" {:>8} {:>6} {:>6} {:<10} {:<11}", "PENDING", "HWTYPE", "QDEPTH", "FUNCTIONS", "DRIVER");
        if has_states {
            head += &format!(" {:<11}", "SESTAT");
        }
    }
    let mut text = format!("{head}\n{}\n", "-".repeat(head.len()));
    for row in rows {
        text += &if all_columns { row.long(has_states) } else { row.short() };
        text.push('\n');
    }
    text
}
