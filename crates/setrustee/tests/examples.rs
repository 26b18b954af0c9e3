//! The examples for those who write agents and key brokers, run against the simulator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use hostkey::HostKeyDocument;
use pvsim::{GuestServer, Machine, ap};
use sehdr::SeHeader;
use setrustee::{SecretIdentity, SecretPair, mkvp};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use uvrequest::secret::{AddSecretRequest, GuestSecret};
use uvtypes::SecretId;

/// Cargo builds examples along with all tests, but not along with this one alone.
static BUILT: LazyLock<()> = LazyLock::new(|| {
    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--examples"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(cargo.unwrap().success());
});

fn example(name: &str) -> PathBuf {
    LazyLock::force(&BUILT);
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples").join(name)
}

/// A pair for the queues of a machine with this pattern.
fn write_pair(machine: &Machine, pattern: &str, folder: &Path) {
    let read = |name: &str| fs::read(machine.folder().join(name)).unwrap();
    let host = HostKeyDocument::parse(&read("host.crt")).unwrap().trust_unverified();
    let header = SeHeader::parse(&read("se.hdr")).unwrap();
    let id = SecretId::of_name("domain");
    let secret = GuestSecret::Association { id, secret: [7; 32].into() };
    let request = AddSecretRequest::new(header.boot_tags().clone(), secret).seal(&[host]).unwrap();
    let identity = SecretIdentity { name: Some("domain".into()), id };
    let pair = SecretPair::new(mkvp(pattern).unwrap(), request, &identity).unwrap();
    for (path, bytes) in pair.resources() {
        let file = folder.join(path.parts().iter().collect::<PathBuf>());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

#[test]
fn agent_associates_queues_and_adds_a_secret_once() {
    let scratch = tempfile::tempdir().unwrap();
    let machine = Machine::init(&scratch.path().join("m"), None).unwrap();
    let guest = GuestServer::start(machine.clone(), ap::parts(&machine, |error| println!("{error}")), |error| {
        println!("{error}")
    })
    .unwrap();
    let shell = |command: &str| {
        let output = guest.command("sh").args(["-c", command]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, queues) = shell("ls /sys/bus/ap/devices");
    let queues: Vec<_> = queues.lines().filter(|name| name.contains('.')).collect();
    let types = queues.iter().map(|queue| shell(&format!("cat /sys/bus/ap/devices/card{}/type", &queue[..2])).1);
    let ep11: Vec<_> =
        queues.iter().zip(types).filter(|(_, kind)| kind.trim().ends_with('P')).map(|(name, _)| *name).collect();
    assert_eq!(ep11.len(), 2, "{queues:?}");
    // Bound by somebody else before: no reason to fail.
    let (bound, mkvps) = shell(&format!(
        "echo 1 > /sys/bus/ap/devices/{0}/se_bind && sleep 1 && cat /sys/bus/ap/devices/{0}/mkvps",
        ep11[0]
    ));
    assert!(bound, "{mkvps}");
    let resources = scratch.path().join("resources");
    write_pair(&machine, &mkvps, &resources);
    for round in 0..2 {
        for queue in &ep11 {
            let output = guest.command(example("kata_agent")).arg(queue).arg(&resources).output().unwrap();
            assert!(output.status.success(), "{round} {queue}: {}", String::from_utf8_lossy(&output.stderr));
            let (_, state) = shell(&format!("cat /sys/bus/ap/devices/{queue}/se_associate"));
            assert_eq!(state, "associated 0\n", "{round} {queue}");
        }
        assert_eq!(machine.guest().unwrap().secrets.len(), 1, "added once");
    }
    let output = guest.command(example("kata_agent")).arg(ep11[0]).arg(scratch.path()).output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("secret_id"));
}

#[test]
fn broker_verifies_an_answer_and_refuses_a_changed_one() {
    use setrustee::{Challenge, Evidence, MeasurementKeyPair};
    use uvdevice::{AttestInput, Ultravisor, UvDevice};
    use uvrequest::attest::Response;
    let scratch = tempfile::tempdir().unwrap();
    let machine = Machine::init(&scratch.path().join("m"), None).unwrap();
    let read = |name: &str| fs::read(machine.folder().join(name)).unwrap();
    let host = HostKeyDocument::parse(&read("host.crt")).unwrap().trust_unverified();
    let tags = SeHeader::parse(&read("se.hdr")).unwrap().boot_tags().clone();
    let rsa = MeasurementKeyPair::of_bits(2048).unwrap();
    let challenge = Challenge::new(tags, &[host], &rsa.public().unwrap()).unwrap();
    let device = UvDevice::new(pvsim::InProcess(machine.clone()));
    let input =
        AttestInput { request: &challenge.request, user_data: &[9; 64], measurement_size: 64, additional_size: 64 };
    let attested = device.attest(&input).unwrap();
    let response = Response {
        measurement: attested.measurement,
        additional: attested.additional,
        user_data: vec![9; 64],
        cuid: attested.cuid,
    };
    let mut evidence = Evidence::new(&challenge, response);
    let put = |name: &str, bytes: &[u8]| fs::write(scratch.path().join(name), bytes).unwrap();
    put("key", rsa.to_pem().unwrap().expose());
    put("challenge", challenge.to_json().as_bytes());
    let verify = |evidence: &Evidence| {
        put("evidence", evidence.to_json().as_bytes());
        let files = ["evidence", "key", "m/se.hdr", "challenge"];
        let output = Command::new(example("verify_evidence")).args(files).current_dir(scratch.path()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert!(verify(&evidence).0);
    evidence.boot_tags.tag[0] ^= 1;
    let (verified, said) = verify(&evidence);
    assert!(!verified && said.starts_with("image_hdr_tags: tag differ"), "{said}");
}
