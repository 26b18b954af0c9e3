//! `pvattest create`, `perform` and `verify`, whole process. `perform` runs in the simulated guest, whose ultravisor really
//! opens the request: its time is mostly that.
//!
//! `cargo bench --bench attest` prints the times; nothing is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

use pvsim::{GuestServer, Machine};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
    let server = GuestServer::start(machine, vec![], |error| panic!("{error}")).unwrap();
    let mut perform = server.command(env!("CARGO_BIN_EXE_pvtools"));
    perform.args(["pvattest", "perform", "request", "response"]).current_dir(folder.path());
    perform.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(perform.status().unwrap().success());
    let mut verify = ours(folder.path());
    verify.args(["verify", "-i", "response", "--hdr", "machine/se.hdr", "-a", "arpk"]);
    let mut start = ours(folder.path());
    start.arg("--version");
    // Create comes last: its new key does not fit the response.
    for (name, mut command, status) in
        [("start-up", start, 0), ("perform", perform, 0), ("verify", verify, 0), ("create", create(&all), 0)]
    {
        println!("pvattest {name:<9} {:>9.2?}", median(&mut command, status));
    }
}

fn ours(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pvtools"));
    command.arg("pvattest").current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
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
