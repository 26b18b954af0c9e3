//! The product's binary in the simulated guest, many times at once.

use crate::support::{Run, Scratch};
use openssl::sha::sha256;
use pvsim::seal::Draft;
use pvsim::{GuestServer, Machine};
use std::fs;
use std::thread;

/// Each command has a server of its own, as with `pvsim run`.
#[test]
fn commands_that_add_at_once_lose_and_double_no_secret() {
    const PROCESSES: u16 = 8;
    const EACH: u16 = 4;
    let scratch = Scratch::new();
    let folder = scratch.join("machine");
    let machine = Machine::init(&folder, Some("guest: {max_association: 100}")).unwrap();
    let adders: Vec<_> = (0..PROCESSES)
        .map(|process| {
            let (machine, folder) = (machine.clone(), scratch.path().to_owned());
            thread::spawn(move || {
                for number in 0..EACH {
                    let name = format!("{process}-{number}");
                    let draft = Draft::new(machine.platform(), 2, Some(sha256(name.as_bytes())), &[0x5a; 32]);
                    let request = folder.join(&name);
                    fs::write(&request, draft.seal(&[&machine.platform().host_key]).unwrap()).unwrap();
                    let server = GuestServer::start(machine.clone(), vec![], |error| panic!("{error}")).unwrap();
                    let mut command = server.command(env!("CARGO_BIN_EXE_pvtools"));
                    Run::of(command.args(["pvsecret", "add"]).arg(request), b"").succeeds();
                }
            })
        })
        .collect();
    for adder in adders {
        adder.join().unwrap();
    }
    let secrets = machine.guest().unwrap().secrets;
    let mut ids: Vec<_> = secrets.iter().map(|secret| secret.id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), usize::from(PROCESSES * EACH));
    let indices: Vec<_> = secrets.iter().map(|secret| secret.index).collect();
    assert_eq!(indices, (0..PROCESSES * EACH).collect::<Vec<_>>());
}
