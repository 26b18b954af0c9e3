//! `pvsim`: a Secure Execution guest on any Linux machine.

#![forbid(unsafe_code)]

mod boot;
mod demo;
mod lab;
mod run;
mod scenarios;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use pvsim::open::Request;
use pvsim::{Fault, HostKey, Kin, Machine};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A simulated Secure Execution guest
#[derive(Parser)]
#[command(name = "pvsim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a machine with a host key, an SE image and a running guest
    ///
    /// In DIR, host.crt is the machine's host-key document, se.img and se.hdr are the guest's image and header, cck.bin
    /// is its CCK. The inventory is a YAML mapping. 'guest:' has max_association, max_retrievable, max_secrets (what
    /// the store holds), cck_extension_secret, cck_update, dump_allowed (what the header says), kernel (current,
    /// one-page-list, one-page-list-with-retrieve, attest-only), secure_execution and facilities. 'secrets:' lists
    /// association secrets that are in the store from the beginning, 'faults:' what is to go wrong; see 'pvsim fault'.
    /// 'cards:' and 'queues:' are what is on the AP bus, 'master_keys:' names for their keys, 'bus:' how the bus behaves,
    /// 'events:' what will happen to it; see docs/simulator.md. Without an inventory: two EP11 queues with one master key, and an
    /// accelerator.
    Init {
        /// Folder for its files; must not exist or be empty
        dir: PathBuf,
        /// What the machine has: limits, secrets, cards, queues, faults
        #[arg(long, value_name = "FILE")]
        inventory: Option<PathBuf>,
        /// FILE is a list of scenarios, see 'pvsim scenario': make the machine of this row
        #[arg(long, value_name = "ID", requires = "inventory")]
        row: Option<String>,
        /// Be the machine of this folder, with another image
        #[arg(long, value_name = "DIR")]
        machine: Option<PathBuf>,
        /// Have a host-key document from the authorities of the machine in this folder
        #[arg(long, value_name = "DIR", conflicts_with = "machine")]
        authorities: Option<PathBuf>,
        /// Let certificates name CRLs below this address: root-ca.crl, intermediate.crl, signing-key.crl
        #[arg(long, value_name = "URL", conflicts_with = "machine")]
        crl_address: Option<String>,
    },
    /// Boot a real s390x kernel on the machine, from a Secure Execution image, in QEMU
    ///
    /// The firmware below the kernel is the machine's: it opens the image with its host key, keeps the secrets and has
    /// the cards and queues. The console is standard output. A line 'pvsim: exit status N' on it, the last one, gives
    /// the exit status; a ramdisk made here prints it. Without it: 0 when the guest switched itself off, 1 when secure
    /// mode was refused; 124 when the time was over. 'pvsim ap', 'pvsim fault' and 'pvsim show' work meanwhile.
    Boot(boot::Arguments),
    /// Run a program in the guest: any that is linked dynamically, with all that it starts. Ends as the program does
    ///
    /// With --in-kernel, a real kernel is booted for it, as with 'pvsim boot'; the program is one of that guest.
    Run {
        /// Boot this s390x kernel and run the program there
        #[arg(long, value_name = "KERNEL")]
        in_kernel: Option<PathBuf>,
        #[command(flatten)]
        guest: Box<boot::GuestArguments>,
        /// Folder of the machine
        dir: PathBuf,
        /// The program and its arguments
        #[arg(last = true, required = true, value_name = "PROGRAM")]
        program: Vec<OsString>,
    },
    /// Run a shell in the guest: $SHELL, or else sh
    Shell {
        /// Folder of the machine
        dir: PathBuf,
    },
    /// Show what the ultravisor knows, decrypted secrets included
    Show {
        /// Folder of the machine
        dir: PathBuf,
        /// How to show it
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Start the guest again: a new CUID and an empty secret store
    Reboot {
        /// Folder of the machine
        dir: PathBuf,
        /// Start this image from now on, if the firmware takes it
        #[arg(long, value_name = "FILE")]
        image: Option<PathBuf>,
    },
    /// Let something happen on the AP bus
    ///
    /// The host resets queues (reset), takes them (take: they are listed until the next bus scan), gives them back
    /// (give), makes them illicit (illicit), check-stops them and ends that (chkstop, recover), puts them out of the
    /// configuration and into it (deconfigure, configure); somebody sets them offline or online; another master key is
    /// set: a name of the inventory, 64 or 32 hex digits, or none. 'wait' puts the clock of the bus forward.
    #[command(override_usage = "pvsim ap <DIR> <EVENT> <QUEUE>\n       pvsim ap <DIR> mk <NAME> <QUEUE>\n       \
                                pvsim ap <DIR> wait <MS>")]
    Ap {
        /// Folder of the machine
        dir: PathBuf,
        /// What happens, then the queue (28.0014) or card (28) that it happens to
        #[arg(required = true, num_args = 2..=3, value_names = ["EVENT", "QUEUE"])]
        event: Vec<String>,
    },
    /// Order that something goes wrong
    Fault(FaultArguments),
    /// Run pvapconfig in each machine of a list, and compare what comes out of it
    Scenario(scenarios::Arguments),
    /// Walk through the whole story with the real programs, in a folder that is removed afterwards
    Demo,
    /// Start an image as far as the firmware goes: open its header, decrypt its pages, compare its lists
    ///
    /// Prints what is in it, secrets included; or ends with 1 and the reason for which the firmware refuses it.
    Unpack {
        /// Boot image
        image: PathBuf,
        /// The machine's private key (EC P-521, PEM)
        host_key: PathBuf,
    },
    /// Walk through the whole story in booted guests: a real kernel, its drivers, and the product's s390x programs
    Lab(lab::Arguments),
    /// Decode an add-secret or attestation request as the machine would, secrets included
    Decode {
        /// Add-secret request, attestation request or attestation exchange file
        request: PathBuf,
        /// The machine's private key (EC P-521, PEM)
        host_key: PathBuf,
    },
}

#[derive(Args)]
struct FaultArguments {
    /// Folder of the machine
    dir: PathBuf,
    /// Order that nothing goes wrong any more, before anything else that is said here
    #[arg(long)]
    clear: bool,
    /// What goes wrong: an errno (EIO), slowness (delay:MS); of uv a return code (rc:0x010b or rc:0x010b,0x0001); on the
    /// AP bus ignore, vanish, illicit, hostreset, hang, text:... for reads, and never, async, drop, reset, other:N for
    /// associations
    #[arg(required_unless_present = "clear")]
    act: Option<String>,
    /// At what: uv is an ioctl of /dev/uv, uv_open its opening; bind, unbind, assoc are writes to a queue's attributes,
    /// read_ATTRIBUTE reads
    #[arg(long, default_value = "uv")]
    op: String,
    /// At this command alone: info, attest, add-secret, list-secrets, lock-secrets, retrieve-secret
    #[arg(long)]
    command: Option<String>,
    /// At this queue (28.0014), or all of this card (28), alone
    #[arg(long)]
    queue: Option<String>,
    /// Calls to leave alone first
    #[arg(long, default_value_t = 0)]
    skip: u64,
    /// Calls to strike
    #[arg(long, default_value_t = 1)]
    count: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done when stderr is gone.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Boot(arguments) => return boot::run(&arguments),
        Command::Run { dir, program, in_kernel: Some(kernel), guest } => {
            let words: Vec<_> = program.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            return boot::run_in_kernel(&dir, &kernel, &guest, &words);
        }
        Command::Run { dir, program, .. } => return run::run(&dir, &program),
        Command::Shell { dir } => return run::shell(&dir),
        Command::Init { dir, inventory, row, machine, authorities, crl_address } => {
            let kin = Kin { machine, authorities, crl_address };
            init(&dir, inventory.as_deref(), row.as_deref(), &kin)
        }
        Command::Scenario(arguments) => return scenarios::run(&arguments),
        Command::Show { dir, format } => show(&dir, format),
        Command::Reboot { dir, image } => reboot(&dir, image.as_deref()),
        Command::Ap { dir, event } => ap(&Machine::open(&dir)?, &event),
        Command::Fault(arguments) => fault(arguments),
        Command::Lab(arguments) => return lab::run(&arguments),
        Command::Demo => demo::run(),
        Command::Unpack { image, host_key } => unpack(&image, &host_key),
        Command::Decode { request, host_key } => decode(&request, &host_key),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn init(dir: &Path, inventory: Option<&Path>, row: Option<&str>, kin: &Kin) -> anyhow::Result<()> {
    let inventory = match (inventory, row) {
        (Some(file), Some(row)) => {
            let list = scenarios::read(file)?;
            Some(list.inventory(list.row(row)?)?)
        }
        (Some(file), None) => {
            Some(std::fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))?)
        }
        (None, _) => None,
    };
    Machine::init_among(dir, inventory.as_deref(), kin)?;
    Ok(())
}

fn show(dir: &Path, format: Format) -> anyhow::Result<()> {
    let shown = Machine::open(dir)?.show()?;
    print(&match format {
        Format::Text => shown.to_text(),
        Format::Json => shown.to_json()?,
    })
}

fn ap(machine: &Machine, words: &[String]) -> anyhow::Result<()> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (event, target) = match words.as_slice() {
        ["wait", time] => {
            let time = time.parse().with_context(|| format!("'{time}' is no number of milliseconds"))?;
            return Ok(machine.advance_clock(time)?);
        }
        ["mk", key, target] => (format!("mk {key}"), target),
        [event, target] => ((*event).to_owned(), target),
        _ => anyhow::bail!("'{}' is no event and a queue", words.join(" ")),
    };
    let event = event.parse().map_err(anyhow::Error::msg)?;
    let target = target.parse().map_err(anyhow::Error::msg)?;
    Ok(machine.apply_event(&event, target)?)
}

fn fault(arguments: FaultArguments) -> anyhow::Result<()> {
    let machine = Machine::open(&arguments.dir)?;
    if arguments.clear {
        machine.clear_faults()?;
    }
    let FaultArguments { op, command, queue, skip, count, .. } = arguments;
    if let Some(act) = arguments.act {
        machine.order(Fault { op, command, queue, act, skip, count })?;
    }
    Ok(())
}

fn decode(request: &Path, host_key: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read '{}'", path.display()));
    let key = HostKey::from_pem(&read(host_key)?).with_context(|| format!("'{}'", host_key.display()))?;
    let decoded = Request::open(&read(request)?, &key).with_context(|| format!("'{}'", request.display()))?;
    print(&decoded.to_yaml()?)
}

fn reboot(dir: &Path, image: Option<&Path>) -> anyhow::Result<()> {
    let mut machine = Machine::open(dir)?;
    let Some(path) = image else { return Ok(machine.reboot().map(drop)?) };
    let image = std::fs::read(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    machine.reboot_with(&image).with_context(|| format!("cannot start '{}'", path.display()))?;
    Ok(())
}

fn unpack(image: &Path, host_key: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read '{}'", path.display()));
    let key = HostKey::from_pem(&read(host_key)?).with_context(|| format!("'{}'", host_key.display()))?;
    let refused = || format!("'{}' does not start", image.display());
    let unpacked = pvsim::unpack::unpack(&read(image)?, &key).with_context(refused)?;
    let [kernel, ramdisk, command_line] = unpacked.started().with_context(refused)?;
    let sha256 = |bytes: &[u8]| hex::encode(openssl::sha::sha256(bytes));
    let mut text = format!("PCF: {:#018x}\n", unpacked.plaintext_control_flags);
    text += &format!("SCF: {:#018x}\n", unpacked.secrets.secret_control_flags);
    text += &format!(
        "CCK: {}\nimage key: {}\n",
        hex::encode(unpacked.secrets.cck),
        hex::encode(unpacked.secrets.image_key)
    );
    for (name, part) in [("kernel", &kernel), ("ramdisk", &ramdisk), ("command line", &command_line)] {
        text += &format!("{name}: {} bytes, SHA-256 {}\n", part.len(), sha256(part));
    }
    print(&text)
}

fn print(text: &str) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
