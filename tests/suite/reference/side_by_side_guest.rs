//! Side by side in the guest: the same commands in two guests that begin alike, and each side with the other's files.

use crate::differences::Differences;
use crate::guest::server;
use crate::recorded::Line;
use crate::recorded_inputs::{Inputs, request_file};
use crate::side_by_side::{Report, Side};
use crate::support::{Run, Scratch};
use openssl::sha::sha256;
use pvsim::open::AttestationRequest;
use pvsim::seal::{AttestDraft, Draft, UserData};
use pvsim::{GuestServer, HostKey, Machine};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Id, tool and arguments of what both sides do, one after the other in the same guest.
pub(crate) const COMMANDS: [(&str, &str); 33] = [
    ("guest/info", "pvinfo supported-flags"),
    ("guest/limits", "pvinfo --limits --format yaml"),
    ("guest/list-empty", "pvsecret list"),
    ("guest/list-empty-yaml", "pvsecret list --format yaml"),
    ("guest/list-empty-file", "pvsecret list -o list.yaml --format yaml"),
    ("guest/list-empty-bin", "pvsecret list -o list.bin --format bin"),
    ("guest/add", "pvsecret add association"),
    ("guest/add-again", "pvsecret add association"),
    ("guest/add-forced", "pvsecret add --force association"),
    ("guest/add-plain", "pvsecret add -q plain"),
    ("guest/add-aes", "pvsecret add -v aes"),
    ("guest/add-meta", "pvsecret add meta"),
    ("guest/add-other-machine", "pvsecret add other-machine"),
    ("guest/add-other-image", "pvsecret add other-image"),
    ("guest/add-cut", "pvsecret add cut"),
    ("guest/add-garbage", "pvsecret add garbage"),
    ("guest/add-no-file", "pvsecret add no-such-file"),
    ("guest/list", "pvsecret list"),
    ("guest/list-yaml", "pvsecret list --format yaml"),
    ("guest/list-file", "pvsecret list list.yaml --format yaml"),
    ("guest/list-bin", "pvsecret list -o list.bin --format bin"),
    ("guest/retrieve-plain", "pvsecret retrieve --inform name plain -o secret --outform bin"),
    ("guest/retrieve-aes", "pvsecret retrieve --inform name aes -o secret"),
    ("guest/retrieve-index", "pvsecret retrieve --inform idx 2 -o secret --outform bin"),
    ("guest/retrieve-association", "pvsecret retrieve --inform name association -o secret"),
    ("guest/retrieve-nothing", "pvsecret retrieve --inform name nothing -o secret"),
    ("guest/perform", "pvattest perform -i request -o response -u data"),
    ("guest/perform-positional", "pvattest perform request response"),
    ("guest/perform-garbage", "pvattest perform -i garbage -o response"),
    ("guest/lock", "pvsecret lock"),
    ("guest/lock-again", "pvsecret lock"),
    ("guest/add-locked", "pvsecret add late"),
    ("guest/list-locked", "pvsecret list --format yaml"),
];

/// What a workstation of the machine has.
const TRUST: &str = "-k host.crt --cert signing-key.crt,intermediate.crt \
                     --crl signing-key.crl,intermediate.crl,root-ca.crl --root-ca root-ca.crt --offline";

/// Requests that either side makes, and how the other verifies them.
const REQUESTS: [(&str, &str, &str); 8] = [
    ("meta", "meta", ""),
    ("association", "association name --input-secret key", ""),
    ("random association", "association name", ""),
    ("plaintext", "--user-data data retrievable name --type plain --secret data", ""),
    ("AES key", "--extension-secret key retrievable name --type aes --secret key", ""),
    ("signed with EC", "--user-sign-key sign_ec.key --user-data data meta", "--user-cert sign_ec.crt"),
    ("signed with RSA 2048", "--user-sign-key sign_rsa2048.key meta", "--user-cert sign_rsa2048.crt"),
    ("signed with RSA 3072", "--user-sign-key sign_rsa3072.key --user-data data meta", "--user-cert sign_rsa3072.crt"),
];

/// The ids of all that is compared here.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> + Clone {
    COMMANDS.into_iter().map(|(id, _)| id)
}

/// The reference, and a machine of which each side gets copies.
pub(crate) struct Guests {
    theirs: PathBuf,
    original: Machine,
    scratch: Scratch,
    /// Whether the reference's guest commands run here.
    guest_commands: bool,
}

/// Exit code, what came of it, standard error.
type Outcome = (i32, Option<Vec<u8>>, String);

/// A guest of one side.
struct Guest {
    machine: Machine,
    server: GuestServer,
    /// Must outlive the guest.
    _folder: Scratch,
}

impl Guest {
    /// Puts `other` into the state of this one.
    fn take_over(&self, other: &Self) {
        let state = "guest.json";
        fs::copy(self.machine.folder().join(state), other.machine.folder().join(state)).unwrap();
    }

    fn state(&self) -> Value {
        let shown: Value = serde_json::from_str(&self.machine.show().unwrap().to_json().unwrap()).unwrap();
        shown["guest"].clone()
    }
}

impl Guests {
    pub(crate) fn new(theirs: &Path) -> Self {
        let scratch = Scratch::new();
        let original = Machine::init(&scratch.join("machine"), None).unwrap();
        let mut guests = Self { theirs: theirs.to_owned(), original, scratch, guest_commands: false };
        guests.guest_commands = guests.has_guest_commands();
        guests
    }

    /// A guest that begins as all others.
    fn boot(&self) -> Guest {
        let folder = Scratch::new();
        copy(&self.scratch.join("machine"), &folder.join("machine"));
        let machine = Machine::open(&folder.join("machine")).unwrap();
        Guest { server: server(&machine), machine, _folder: folder }
    }

    /// Whether the reference's guest commands can be compared. Says why if not.
    fn has_guest_commands(&self) -> bool {
        if !Side::Theirs(&self.theirs).has("pvsecret") {
            crate::support::left_out(format!("guest commands, as pvsecret is not in {}", self.theirs.display()));
            return false;
        }
        let guest = self.boot();
        let list = run_in(&Scratch::new(), Side::Theirs(&self.theirs).in_guest(&guest.server, "pvsecret"), "list");
        if cfg!(not(target_arch = "s390x")) && list.status != 0 {
            crate::support::left_out(format!(
                "the reference's guest commands, which refuse to run here: {}",
                list.stderr.trim_end()
            ));
            return false;
        }
        true
    }

    /// Runs [`COMMANDS`] in a guest for each side. Before each, the two ultravisors know the same; and after it, but for
    /// known differences.
    pub(crate) fn compare_commands(&self, differences: impl Fn(&str) -> Differences) -> Report {
        let mut report = Report::default();
        if !self.guest_commands {
            return report;
        }
        let inputs = self.requests();
        let (theirs, ours) = (self.boot(), self.boot());
        let mut tables = BTreeMap::new();
        for (id, words) in COMMANDS {
            let (tool, arguments) = words.split_once(' ').unwrap();
            if !Side::Theirs(&self.theirs).has(tool) {
                crate::support::left_out(format!("{tool} is not in {}", self.theirs.display()));
                continue;
            }
            let argv = arguments.split(' ').map(ToOwned::to_owned).collect();
            let line = Line { id: id.to_owned(), argv, stdin: None, existing: None };
            let table = tables.entry(tool).or_insert_with(|| differences(tool));
            let their_program = || Side::Theirs(&self.theirs).in_guest(&theirs.server, tool);
            let our_program = || Side::Ours.in_guest(&ours.server, tool);
            report.compare(&line, &inputs, table, [&their_program, &our_program]);
            let [their_state, our_state] = [theirs.state(), ours.state()];
            match (their_state == our_state, table.leaves_other_state(id)) {
                (true, false) | (false, true) => {}
                (true, true) => report.findings.push(format!("{id}: the ultravisor's state does not differ any more")),
                (false, false) => report.findings.push(format!(
                    "{id}: the ultravisor's state differs\n  theirs: {their_state}\n  ours:   {our_state}"
                )),
            }
            ours.take_over(&theirs);
        }
        report
    }

    /// The files that [`COMMANDS`] name.
    fn requests(&self) -> Inputs {
        let platform = self.original.platform();
        let host = &platform.host_key;
        let id = |name: &str| Some(sha256(name.as_bytes()));
        let association = |name| Draft::new(platform, 2, id(name), &[0x5a; 32]);
        let data = b"some data of the guest";
        let plain = [&(data.len() as u16).to_be_bytes(), &data[..], &[0; 8]].concat();
        let mut other_image = association("other image");
        other_image.header_tag[0] ^= 1;
        let mut asking = AttestDraft::new([3; 64], [4; 16]);
        asking.flags |= AttestationRequest::FLAG_IMAGE_HOST_KEY | AttestationRequest::FLAG_SECRET_STORE;
        let sealed = association("association").seal(&[host]).unwrap();

        let mut inputs = Inputs::default();
        inputs.add("cut", &sealed[..sealed.len() - 1]);
        inputs.add("association", sealed);
        inputs.add("late", association("late").seal(&[host]).unwrap());
        inputs.add("other-machine", association("x").seal(&[&HostKey::generate().unwrap()]).unwrap());
        inputs.add("other-image", other_image.seal(&[host]).unwrap());
        inputs.add("plain", Draft::new(platform, 3, id("plain"), &plain).seal(&[host]).unwrap());
        inputs.add("aes", Draft::new(platform, 6, id("aes"), &[0x5b; 32]).seal(&[host]).unwrap());
        let meta = Draft { user_data: UserData::Unsigned(data.to_vec()), ..Draft::new(platform, 1, None, &[]) };
        inputs.add("meta", meta.seal(&[host]).unwrap());
        inputs.add("garbage", b"not a request\n");
        inputs.add("data", data);
        inputs.add("request", request_file(&asking.seal(&[host]).unwrap(), 32 + 64));
        inputs
    }

    /// Each side's add-secret requests with the other's program.
    pub(crate) fn exchange_requests(&self) -> Report {
        let mut report = Report::default();
        let [ours, theirs] = [Side::Ours, Side::Theirs(&self.theirs)];
        if !theirs.has("pvsecret") {
            crate::support::left_out(format!("pvsecret is not in {}", self.theirs.display()));
            return report;
        }
        for (maker, taker) in [(ours, theirs), (theirs, ours)] {
            for (name, arguments, verified_with) in REQUESTS {
                report.compared += 1;
                if let Err(problem) = self.pass_request(maker, taker, arguments, verified_with) {
                    let sides = format!("'{name}' by {} with {}", maker.name(), taker.name());
                    report.findings.push(format!("{problem}: {sides}"));
                }
            }
        }
        report
    }

    /// Attestations whose steps are done by both sides in all mixtures.
    pub(crate) fn exchange_attestations(&self) -> Report {
        let mut report = Report::default();
        let sides = [Side::Ours, Side::Theirs(&self.theirs)];
        if !sides[1].has("pvattest") {
            crate::support::left_out(format!("pvattest is not in {}", self.theirs.display()));
            return report;
        }
        // Not those that one side does alone.
        for mixture in 1..7 {
            let [creator, performer, verifier] = [0, 1, 2].map(|bit| sides[mixture >> bit & 1]);
            if !self.guest_commands && matches!(performer, Side::Theirs(_)) {
                continue;
            }
            report.compared += 1;
            if let Err(problem) = self.attest(creator, performer, verifier) {
                let by = [creator, performer, verifier].map(Side::name).join(", ");
                report.findings.push(format!("{problem}: request, response, verdict by {by}"));
            }
        }
        report
    }

    /// One side makes a request, the other verifies and adds it as the maker itself does.
    fn pass_request(&self, maker: Side, taker: Side, arguments: &str, verified_with: &str) -> Result<(), String> {
        let workstation = self.workstation();
        let run = |side: Side, words: &str| run_in(&workstation, side.command("pvsecret"), words);
        let create = run(maker, &format!("create {TRUST} --hdr se.hdr -o request {arguments}"));
        if create.status != 0 {
            return Err(format!("create: {}", create.stderr));
        }
        let verify = |side: Side| {
            let run = run(side, &format!("verify request {verified_with} -o verified"));
            (run.status, fs::read(workstation.join("verified")).ok(), run.stderr)
        };
        let add = |side: Side| {
            let guest = self.boot();
            let run = run_in(&workstation, side.in_guest(&guest.server, "pvsecret"), "add request");
            (run.status, Some(guest.state().to_string().into_bytes()), run.stderr)
        };
        type Step<'a> = (&'a str, &'a dyn Fn(Side) -> Outcome);
        let steps: [Step; 2] = [("verify", &verify), ("add", &add)];
        let steps = &steps[..if self.guest_commands { 2 } else { 1 }];
        for (name, step) in steps {
            let [by_maker, by_taker] = [step(maker), step(taker)];
            if by_taker.0 != 0 {
                return Err(format!("{name}: exit {}: {}", by_taker.0, by_taker.2));
            }
            if by_maker.1 != by_taker.1 {
                let show = |(status, effect, _): &Outcome| {
                    format!("{status} {:?}", effect.as_deref().map(String::from_utf8_lossy))
                };
                return Err(format!("{name}: the maker {}, the taker {}", show(&by_maker), show(&by_taker)));
            }
        }
        Ok(())
    }

    fn attest(&self, creator: Side, performer: Side, verifier: Side) -> Result<(), String> {
        let workstation = self.workstation();
        let guest = self.boot();
        let add = "--add-data phkh-img,phkh-att,secret-store-hash,firmware-state";
        let steps = [
            (creator.command("pvattest"), format!("create {TRUST} -o request -a arpk {add}")),
            (performer.in_guest(&guest.server, "pvattest"), "perform -i request -o response -u data".to_owned()),
            (verifier.command("pvattest"), "verify -i response --hdr se.hdr -a arpk -o verified -u said".to_owned()),
        ];
        for (program, words) in steps {
            let run = run_in(&workstation, program, &words);
            if run.status != 0 {
                let step = words.split(' ').next().unwrap_or_default();
                return Err(format!("{step}: exit {}: {}", run.status, run.stderr));
            }
        }
        let verified: serde_yaml::Value = serde_yaml::from_slice(&workstation.read("verified")).unwrap();
        let cuid = format!("0x{}", guest.machine.guest().unwrap().cuid);
        if verified["cuid"].as_str() != Some(&cuid) || workstation.read("said") != workstation.read("data") {
            return Err(format!("the verdict is about another guest than {cuid}: {verified:?}"));
        }
        Ok(())
    }

    /// A folder with the machine's certificates, CRLs and SE header, and signing keys.
    fn workstation(&self) -> Scratch {
        let scratch = Scratch::new();
        let trust = ["signing-key.crt", "intermediate.crt", "root-ca.crt"];
        let crls = ["signing-key.crl", "intermediate.crl", "root-ca.crl"];
        for name in ["host.crt", "se.hdr"].into_iter().chain(trust).chain(crls) {
            fs::copy(self.original.folder().join(name), scratch.join(name)).unwrap();
        }
        for name in ["ec", "rsa2048", "rsa3072"] {
            for name in [format!("sign_{name}.key"), format!("sign_{name}.crt")] {
                scratch.write(&name, Inputs::ours().find(&name).unwrap());
            }
        }
        scratch.write("data", "data of the request's owner");
        scratch.write("key", [0x6b; 32]);
        scratch
    }
}

fn run_in(folder: &Scratch, mut program: std::process::Command, words: &str) -> Run {
    Run::of(program.current_dir(folder.path()).args(words.split_whitespace()), b"")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target: PathBuf = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
