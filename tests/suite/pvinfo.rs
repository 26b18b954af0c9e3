//! pvinfo on a workstation and in a simulated guest.

use crate::guest::front;
use crate::recorded;
use crate::support::{Run, Scratch, clean};
use pvsim::Machine;
use serde_json::Value;

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvinfo", |_| true);
}

#[test]
fn tells_all_that_the_ultravisor_of_a_guest_says() {
    let scratch = Scratch::new();
    let machine = Machine::init(&scratch.join("machine"), Some("guest: {max_association: 7}")).unwrap();
    let guest = front(&machine);
    let run = |args: &[&str]| {
        let mut command = guest.command(scratch.link_tool("pvinfo".as_ref()));
        clean(&mut command);
        Run::of(command.args(args), b"").succeeds()
    };
    let json: Value = serde_json::from_str(run(&["--format", "json"]).stdout()).unwrap();
    assert_eq!(json["limits"]["Maximal Address for a SE-Guest"], (1_u64 << 42) - 1, "{json}");
    assert_eq!(json["limits"]["Maximal number of associated secrets"], 7, "{json}");
    assert!(json["facilities"].as_array().unwrap().contains(&"Add Secret".into()), "{json}");
    let text = run(&[]);
    assert!(text.stdout().starts_with("Secure Execution Guest"), "{text:?}");
    assert!(text.stdout().contains("\nMaximal Address for a SE-Guest 4398046511103\n"), "{text:?}");
    assert_eq!(run(&["--limits"]).stdout().lines().filter(|line| line.contains("Maximal")).count(), 6);
}
