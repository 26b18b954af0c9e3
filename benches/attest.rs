//! `pvattest verify` and `pvattest perform`, whole process. `perform` runs until it finds that there is no guest: what
//! the machine itself costs is not ours.
//!
//! `cargo bench --bench attest` prints the times; nothing is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

use pvsim::Machine;
use pvsim::ultravisor::Ultravisor;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use uvrequest::attest::{Exchange, Response};

const ROUNDS: usize = 100;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::init(&folder.path().join("machine"), None).unwrap();
    let document = folder.path().join("machine/host.crt");
    let create = |words: &[&str]| {
        let mut command = ours(folder.path());
        command.args(["create", "--no-verify", "-o", "request", "-a", "arpk", "-k"]).arg(&document).args(words);
        command
    };
    let all = ["--add-data", "phkh-img,phkh-att,secret-store-hash,firmware-state"];
    assert!(create(&all).status().unwrap().success());
    answer(&machine, folder.path());
    let mut verify = ours(folder.path());
    verify.args(["verify", "-i", "response", "--hdr", "machine/se.hdr", "-a", "arpk"]);
    let mut perform = ours(folder.path());
    perform.args(["perform", "request", "out"]);
    let mut start = ours(folder.path());
    start.arg("--version");
    // Create comes last: its new key does not fit the response.
    for (name, mut command, status) in
        [("start-up", start, 0), ("perform", perform, 1), ("verify", verify, 0), ("create", create(&all), 0)]
    {
        println!("pvattest {name:<9} {:>9.2?}", median(&mut command, status));
    }
}

fn ours(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pvtools"));
    command.arg("pvattest").current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn answer(machine: &Machine, folder: &Path) {
    let exchange = Exchange::parse(&std::fs::read(folder.join("request")).unwrap()).unwrap();
    let mut guest = machine.guest().unwrap();
    let cuid = guest.cuid.0;
    let uv = Ultravisor { platform: machine.platform(), guest: &mut guest };
    let attested = uv.attest(exchange.request(), b"", exchange.measurement_size(), exchange.additional_size()).unwrap();
    let response =
        Response { measurement: attested.measurement, additional: attested.additional, user_data: Vec::new(), cuid };
    std::fs::write(folder.join("response"), exchange.with_response(response).to_bytes()).unwrap();
}

fn median(command: &mut Command, status: i32) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let ended = command.status().unwrap();
            assert_eq!(ended.code(), Some(status));
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}
