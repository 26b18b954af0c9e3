//! The story of the demo in booted guests: a real kernel, its drivers, and the product's s390x programs.

use crate::boot::{self, GuestArguments};
use anyhow::Context;
use pvsim::Machine;
use pvsim_machine::{Agent, Done, Job};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const MASTER_KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// As many queues as the firmware lets a guest bind.
const QUEUES: u8 = 12;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The s390x kernel to boot
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// Folder with pvtools for s390x
    #[arg(long, value_name = "DIR")]
    tools: PathBuf,
    #[command(flatten)]
    guest: GuestArguments,
}

/// Walks through the story; success if every command ends as it should.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("cannot make a folder for the machine")?;
    let dir = folder.path().join("machine");
    Machine::init(&dir, Some(&inventory()))?;
    let mut guest = arguments.guest.clone();
    guest.add.push(arguments.tools.join("pvtools"));
    let work = folder.path().to_owned();
    boot::in_kernel(&dir, &arguments.kernel, &guest, |agent, release| first_boot(agent, release, &dir, &work))?;
    say("\nThe guest is started again: a new CUID, an empty store, unbound queues\n")?;
    let before = Machine::open(&dir)?.guest()?.cuid;
    boot::in_kernel(&dir, &arguments.kernel, &guest, |agent, _| {
        let mut lab = Lab { agent };
        lab.expect(&["pvsecret", "list"], 0, "Total number of secrets: 0")?;
        lab.expect(&["lszcrypt", "-V"], 0, "unbound")?;
        Ok(())
    })?;
    anyhow::ensure!(Machine::open(&dir)?.guest()?.cuid != before, "the CUID is the same after a new start");
    Ok(ExitCode::SUCCESS)
}

fn inventory() -> String {
    let queues: Vec<_> = (0..QUEUES).map(|card| format!("'{:02x}.0014': {{mk: A}}", 0x20 + card)).collect();
    format!("master_keys: {{A: {MASTER_KEY}3b773619640a1a75a9161cec00000001}}\nqueues: {{{}}}\n", queues.join(", "))
}

fn first_boot(agent: &mut Agent, release: &str, dir: &Path, work: &Path) -> anyhow::Result<()> {
    let mut lab = Lab { agent };
    say(&format!("Linux {release}\n"))?;
    lab.expect(&["pvinfo"], 0, "Secure Execution Guest")?;
    let host_key = dir.join("host.crt").display().to_string();
    let header = dir.join("se.hdr").display().to_string();
    let file = |name: &str| work.join(name).display().to_string();

    say("\nAttestation: the request is made outside, the guest is measured, the answer is verified outside\n")?;
    let (request, key) = (file("attreq"), file("arpk"));
    outside(work, &["pvattest", "create", "-k", &host_key, "--no-verify", "-o", &request, "-a", &key])?;
    lab.give("/tmp/attreq", &fs::read(&request)?)?;
    lab.expect(&["pvattest", "perform", "/tmp/attreq", "/tmp/attresp"], 0, "")?;
    let answer = lab.take("/tmp/attresp")?;
    fs::write(file("attresp"), answer)?;
    outside(work, &["pvattest", "verify", "-i", &file("attresp"), "--hdr", &header, "-a", &key])?;

    say("\nSecrets: made outside for this image, added by the guest\n")?;
    let mut config = String::new();
    for number in 0..QUEUES {
        let name = format!("lab {number}");
        let secret = file("secret");
        let _ = fs::remove_file(&secret);
        let made_for = ["-k", &host_key, "--no-verify", "--hdr", &header, "-o", &secret];
        outside(work, &[&["pvsecret", "create"], &made_for[..], &["association", &name]].concat())?;
        lab.give("/tmp/secret", &fs::read(&secret)?)?;
        lab.expect(&["pvsecret", "add", "/tmp/secret"], 0, "Successfully added")?;
        config += &format!("- {{mode: EP11, name: lab {number}, mkvp: {MASTER_KEY}}}\n");
    }
    lab.expect(&["pvsecret", "list"], 0, "Total number of secrets: 12")?;
    retrieve(&mut lab, release, &host_key, &header, work)?;

    say("\nCrypto: twelve EP11 queues\n")?;
    lab.expect(&["lszcrypt", "-V"], 0, "unbound")?;
    lab.give("/tmp/apconfig.yaml", config.as_bytes())?;
    lab.expect(&["pvapconfig", "-v", "-c", "/tmp/apconfig.yaml"], 0, "")?;
    lab.expect(&["lszcrypt", "-V"], 0, "usable")?;
    lab.expect(&["pvapconfig", "-c", "/tmp/apconfig.yaml"], 0, "")?;
    lab.expect(&["chzcrypt", "--se-unbind", "20.0014"], 0, "")?;

    say("\nThe store is locked\n")?;
    lab.expect(&["pvsecret", "lock"], 0, "Successfully locked")?;
    lab.expect(&["pvsecret", "lock"], 1, "0x0102")?;
    lab.expect(&["pvsecret", "add", "--force", "/tmp/secret"], 1, "0x0102")?;
    Ok(())
}

/// A text for the guest alone: there and back.
fn retrieve(lab: &mut Lab<'_>, release: &str, host_key: &str, header: &str, work: &Path) -> anyhow::Result<()> {
    let file = |name: &str| work.join(name).display().to_string();
    let (secret, text) = (file("retrievable"), file("text"));
    fs::write(&text, "told to nobody else")?;
    let made_for = ["-k", host_key, "--no-verify", "--hdr", header, "-o", &secret];
    let kind = ["retrievable", "lab text", "--secret", &text, "--type", "plain"];
    outside(work, &[&["pvsecret", "create"], &made_for[..], &kind].concat())?;
    lab.give("/tmp/retrievable", &fs::read(&secret)?)?;
    lab.expect(&["pvsecret", "add", "/tmp/retrievable"], 0, "Successfully added")?;
    let retrieve = ["pvsecret", "retrieve", "--inform", "name", "lab text", "--outform", "bin"];
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(6), Some(13)) {
        // Linux retrieves secrets since 6.13.
        return lab.expect(&retrieve, 1, "error: ");
    }
    lab.expect(&retrieve, 0, "told to nobody else")
}

/// The guest, with somebody who watches.
struct Lab<'a> {
    agent: &'a mut Agent,
}

impl Lab<'_> {
    fn run(&mut self, words: &[&str]) -> anyhow::Result<Done> {
        let mut command: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        command[0] = format!("/bin/{}", words[0]);
        say(&format!("guest# {}\n", words.join(" ")))?;
        let done = self.agent.run(&Job { command, limit_ms: 120_000, ..Job::default() })?;
        say(&String::from_utf8_lossy(&[done.stdout.as_slice(), &done.stderr].concat()))?;
        let [took, user, system] = [done.took, done.user, done.system].map(|time| time.as_millis());
        say(&format!("       ({took} ms; of CPU {user} ms, in the kernel {system} ms)\n"))?;
        Ok(done)
    }

    fn expect(&mut self, words: &[&str], status: u8, text: &str) -> anyhow::Result<()> {
        let done = self.run(words)?;
        let said = String::from_utf8_lossy(&[done.stdout.as_slice(), &done.stderr].concat()).into_owned();
        anyhow::ensure!(
            done.status == Some(status) && said.contains(text),
            "'{}' ended with {:?}, expected {status} and '{text}'",
            words.join(" "),
            done.status
        );
        Ok(())
    }

    /// Puts a file into the guest.
    fn give(&mut self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        Ok(self.agent.put(path, content)?)
    }

    /// Takes a file out of the guest.
    fn take(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        Ok(self.agent.get(path)?)
    }
}

/// Runs a tool of the product here, which is beside this program, in the folder `work`.
fn outside(work: &Path, words: &[&str]) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("where is this program?")?;
    let pvtools = own.with_file_name("pvtools");
    say(&format!("host$  {}\n", words.join(" ")))?;
    let status = Command::new(&pvtools).args(words).current_dir(work).status();
    let status = status.with_context(|| format!("cannot start '{}'", pvtools.display()))?;
    anyhow::ensure!(status.success(), "'{}' ended with {status}", words.join(" "));
    Ok(())
}

fn say(text: &str) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
