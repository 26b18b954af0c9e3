//! Bad input to pvsecret create and verify: one clear line, the right exit code, nothing half-written, nothing lost.

use crate::pvsecret_workstation::workstation;
use crate::support::Scratch;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use std::fs;
use std::os::unix::fs::symlink;

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

/// Everything that the rows name, beside what every workstation has.
fn files() -> Scratch {
    let scratch = workstation();
    for size in [0, 1, 15, 16, 17, 24, 31, 32, 33, 64, 65, 127, 128, 129, 256, 257, 512, 513, 8190, 8191] {
        scratch.write(&format!("b{size}"), vec![0xb5; size]);
    }
    scratch.write("huge", vec![0xb5; 80_000]);
    scratch.write("text", "some text\n");
    fs::create_dir(scratch.join("folder")).unwrap();
    symlink("nowhere/at/all", scratch.join("dangling")).unwrap();
    let header = scratch.read("se.hdr");
    scratch.write("cut.hdr", &header[..600]);
    let mut changed = header.clone();
    changed[0x27] = 9;
    scratch.write("slots.hdr", &changed);
    changed.clone_from(&header);
    changed[0x0a] = 2;
    scratch.write("version.hdr", &changed);
    changed[0x0c] = 0x7f;
    scratch.write("absurd.hdr", &changed);
    let certificate = scratch.read("host.crt");
    scratch.write("cut.crt", &certificate[..certificate.len() / 2]);
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let keys =
        [("p521", ec(Nid::SECP521R1)), ("p256", ec(Nid::X9_62_PRIME256V1)), ("k256", ec(Nid::SECP256K1)), ("rsa", rsa)];
    for (name, key) in keys {
        scratch.write(&format!("{name}.key"), key.private_key_to_pem_pkcs8().unwrap());
        scratch.write(&format!("{name}.crt"), crate::pvsecret_workstation::certificate(&key));
        scratch.write(&format!("{name}.pub"), key.public_key_to_pem().unwrap());
    }
    scratch.write("cuid-short.yaml", "cuid: '0x0011'\n");
    scratch.write("cuid-list.yaml", "- cuid\n");
    scratch
        .run("pvsecret", &words("create -q -k host.crt --no-verify --hdr se.hdr -o good --user-data b128 meta"))
        .succeeds();
    let request = scratch.read("good");
    scratch.write("cut.req", &request[..1000]);
    scratch.write("long.req", [&request[..], b"x"].concat());
    scratch.write("arcb.req", [&[0; 8], &request[8..]].concat());
    let mut kind = request.clone();
    kind[7] = 9;
    scratch.write("kind.req", &kind);
    let sign =
        "create -q -k host.crt --no-verify --hdr se.hdr -o signed --user-sign-key p521.key --user-data b128 meta";
    scratch.run("pvsecret", &words(sign)).succeeds();
    let mut signed = scratch.read("signed");
    signed[0x220] ^= 1;
    scratch.write("tampered", &signed);
    scratch.write("request", "precious");
    scratch
}

/// A command line; `''` is an empty word.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(|word| if word == "''" { String::new() } else { word.to_owned() }).collect()
}

/// What stands behind `pvsecret create -q` and what the one line on stderr must hold. `HKD` and `HDR` are good ones.
const CREATE: &[(&str, &[&str])] = &[
    ("-k b0 --no-verify HDR meta", &["'b0'", "contains no certificate"]),
    ("-k text --no-verify HDR meta", &["'text'", "contains no certificate"]),
    ("-k cut.crt --no-verify HDR meta", &["'cut.crt'", "damaged"]),
    ("-k folder --no-verify HDR meta", &["'folder'", "directory"]),
    ("-k missing --no-verify HDR meta", &["'missing'", "No such file"]),
    ("-k dangling --no-verify HDR meta", &["'dangling'", "No such file"]),
    ("-k rsa.crt --no-verify HDR meta", &["'rsa.crt'", "RSA (2048 bits)", "P-521"]),
    ("-k p256.crt --no-verify HDR meta", &["'p256.crt'", "prime256v1", "P-521"]),
    ("-k p521.key --no-verify HDR meta", &["'p521.key'", "contains no certificate"]),
    ("HKD --hdr b0 meta", &["'b0'", "does not contain an SE header"]),
    ("HKD --hdr text meta", &["'text'", "does not contain an SE header"]),
    ("HKD --hdr folder meta", &["'folder'", "directory"]),
    ("HKD --hdr missing meta", &["'missing'", "No such file"]),
    ("HKD --hdr cut.hdr meta", &["'cut.hdr'", "640 bytes", "ends 40 bytes earlier"]),
    ("HKD --hdr slots.hdr meta", &["'slots.hdr'", "9 key slots"]),
    ("HKD --hdr version.hdr meta", &["'version.hdr'", "found 0x200"]),
    ("HKD --hdr absurd.hdr meta", &["'absurd.hdr'", "no SE header is larger"]),
    ("HKD HDR association N --input-secret b31", &["'b31' has 31", "exactly 32 bytes"]),
    ("HKD HDR association N --input-secret b33", &["'b33' has 33", "exactly 32 bytes"]),
    ("HKD HDR association N --input-secret b0", &["'b0' has 0", "exactly 32 bytes"]),
    ("HKD HDR association N --input-secret missing", &["'missing'", "No such file"]),
    ("HKD HDR association N --input-secret huge", &["'huge'", "larger than 65536 bytes"]),
    ("HKD HDR association N --output-secret folder", &["'folder'", "directory"]),
    ("HKD HDR association N --output-secret no/where", &["'no/where'", "No such file"]),
    ("HKD HDR association N --output-secret /dev/full", &["/dev/full", "No space left"]),
    ("HKD HDR association N --output-secret host.crt", &["would overwrite the input 'host.crt'"]),
    ("HKD HDR association N --output-secret request", &["both be written to 'request'"]),
    ("HKD HDR association N --output-secret ./request", &["both be written to"]),
    ("HKD HDR association N --output-secret N.yaml", &["both be written to 'N.yaml'"]),
    ("HKD HDR association ''", &["The name \"\""]),
    ("HKD HDR association a/b", &["The name \"a/b\""]),
    ("HKD HDR association ..", &["The name \"..\""]),
    ("HKD HDR association /etc/x", &["The name \"/etc/x\""]),
    ("HKD HDR retrievable .. --type plain --secret b1", &["The name \"..\""]),
    ("HKD HDR retrievable N --type plain --secret b8191", &["'b8191'", "found 8191", "8190"]),
    ("HKD HDR retrievable N --type aes --secret b31", &["'b31'", "found 31", "16, 24 or 32"]),
    ("HKD HDR retrievable N --type aes --secret b33", &["'b33'", "found 33"]),
    ("HKD HDR retrievable N --type aes-xts --secret b33", &["'b33'", "32 or 64"]),
    ("HKD HDR retrievable N --type aes-xts --secret b65", &["'b65'", "32 or 64"]),
    ("HKD HDR retrievable N --type hmac-sha --secret b65", &["'b65'", "64 or 128"]),
    ("HKD HDR retrievable N --type hmac-sha --secret b129", &["'b129'", "64 or 128"]),
    ("HKD HDR retrievable N --type ec --secret rsa.key", &["'rsa.key'", "RSA 2048"]),
    ("HKD HDR retrievable N --type ec --secret k256.key", &["'k256.key'", "secp256k1"]),
    ("HKD HDR retrievable N --type ec --secret p256.pub", &["'p256.pub'", "no unencrypted private key"]),
    ("HKD HDR retrievable N --type ec --secret b0", &["'b0'", "no unencrypted private key"]),
    ("HKD HDR update-cck --secret b31", &["'b31'", "found 31", "exactly 32"]),
    ("HKD HDR update-cck --secret b33", &["'b33'", "found 33", "exactly 32"]),
    ("HKD HDR --extension-secret b31 meta", &["'b31'", "the extension secret: expected exactly 32 bytes, found 31"]),
    ("HKD HDR --extension-secret b33 meta", &["'b33'", "the extension secret: expected exactly 32 bytes, found 33"]),
    ("HKD HDR --cck b31 meta", &["'b31'", "the CCK: expected exactly 32 bytes, found 31"]),
    ("HKD HDR --cck b33 meta", &["'b33'", "the CCK: expected exactly 32 bytes, found 33"]),
    ("HKD HDR --cck folder meta", &["'folder'", "directory"]),
    ("HKD HDR --cuid b15 meta", &["'b15'", "neither 16 bytes long nor YAML"]),
    ("HKD HDR --cuid b17 meta", &["'b17'", "neither 16 bytes long nor YAML"]),
    ("HKD HDR --cuid cuid-short.yaml meta", &["'cuid-short.yaml'", "found 4"]),
    ("HKD HDR --cuid cuid-list.yaml meta", &["'cuid-list.yaml'", "neither 16 bytes"]),
    ("HKD HDR --cuid-hex 001122 meta", &["'001122'", "32 hexadecimal digits", "found 6"]),
    ("HKD HDR --cuid-hex 0x0011223344556677889900112233445 meta", &["found 31"]),
    ("HKD HDR --cuid-hex zz112233445566778899001122334455 meta", &["found 'z'"]),
    ("HKD HDR --pcf 12345678901234567 meta", &["'12345678901234567'", "--pcf", "1 to 16"]),
    ("HKD HDR --pcf +1 meta", &["'+1'", "--pcf"]),
    ("HKD HDR --pcf 0x meta", &["'0x'", "--pcf"]),
    ("HKD HDR --user-data b513 meta", &["'b513'", "513 bytes", "512"]),
    ("HKD HDR --user-data missing meta", &["'missing'", "No such file"]),
    ("HKD HDR --user-data b257 --user-sign-key p521.key meta", &["'b257'", "257 bytes", "256"]),
    ("HKD HDR --user-data b257 --user-sign-key rsa.key meta", &["'b257'", "257 bytes", "256"]),
    ("HKD HDR --user-sign-key p256.key meta", &["'p256.key'", "prime256v1", "secp521r1"]),
    ("HKD HDR --user-sign-key p521.pub meta", &["'p521.pub'", "no unencrypted private key"]),
    ("HKD HDR --user-sign-key text meta", &["'text'", "no unencrypted private key"]),
    ("HKD HDR --policy missing meta", &["'missing'", "No such file"]),
    ("HKD HDR --policy text --user-sign-key p521.key meta", &["--policy", "--user-sign-key"]),
    ("HKD HDR --toc-policy folder meta", &["'folder'", "directory"]),
    ("HKD HDR --toc-policy no/where meta", &["'no/where'", "No such file"]),
    ("HKD HDR --toc-policy request meta", &["both be written to 'request'"]),
    ("HKD HDR -C host.crt meta", &["cannot be used with"]),
    ("HKD HDR association N --stdout --output-secret -", &["the secret and the name and id of the secret would both"]),
    ("HKD HDR --policy text association N --output-secret /dev/stdout", &["the secret and the hash of the policy"]),
    (
        "-k rsa.crt -k host.crt -k missing --no-verify HDR meta",
        &["'rsa.crt' as host-key document: expected an EC P-521 (secp521r1) key, found RSA", "; ", "'missing'"],
    ),
    ("-k host.crt -C text --offline HDR meta", &["'text'", "contains no certificate"]),
    ("-k host.crt -C host.crt --offline HDR meta", &["none of the certificates is an IBM Z signing key"]),
];

/// Other places for the request.
const OUTPUTS: &[(&str, &[&str])] = &[
    ("no/where", &["'no/where'", "No such file"]),
    ("folder", &["'folder'", "directory"]),
    ("/dev/full", &["/dev/full", "No space left"]),
    ("se.hdr", &["would overwrite the input 'se.hdr'"]),
    ("./host.crt", &["would overwrite the input 'host.crt'"]),
    ("N.yaml", &["both be written to 'N.yaml'"]),
    ("host.crt/x", &["'host.crt/x'", "Not a directory"]),
    ("-", &["the request and the name and id of the secret would both be written to standard output"]),
    ("/dev/stdout", &["the request and the hash of the policy would both be written to standard output"]),
];

const VERIFY: &[(&str, &[&str])] = &[
    ("b0", &["'b0'", "not an add-secret request"]),
    ("text", &["'text'", "not an add-secret request"]),
    ("missing", &["'missing'", "No such file"]),
    ("folder", &["'folder'", "directory"]),
    ("cut.req", &["'cut.req'", "offset 0xc", "there are 1000"]),
    ("long.req", &["'long.req'", "offset 0xc"]),
    ("arcb.req", &["'arcb.req'", "not an add-secret request"]),
    ("kind.req", &["'kind.req'", "0x0009", "offset 0x6"]),
    ("good --user-cert p521.crt", &["not signed"]),
    ("good good", &["would overwrite the input 'good'"]),
    ("good ./good", &["would overwrite the input 'good'"]),
    ("signed", &["signed (EC secp521r1)", "no certificate"]),
    ("signed --user-cert rsa.crt", &["RSA 2048", "EC secp521r1"]),
    ("signed --user-cert host.crt", &["does not fit"]),
    ("tampered --user-cert p521.crt", &["does not fit"]),
    ("signed --user-cert text", &["'text'", "contains no certificate"]),
    ("signed --user-cert missing", &["'missing'", "No such file"]),
    ("good -o no/where", &["'no/where'", "No such file"]),
    ("good -o /dev/full", &["/dev/full", "No space left"]),
    ("good -o folder", &["'folder'", "directory"]),
];

#[test]
fn every_bad_input_is_named_in_one_line_and_nothing_is_changed() {
    let scratch = files();
    let contents =
        |names: &[String]| -> Vec<_> { names.iter().map(|name| fs::read(scratch.join(name)).ok()).collect() };
    let before = scratch.names();
    let before = (contents(&before), before);
    let mut rows = 0;
    let mut check = |line: String, parts: &[&str]| {
        rows += 1;
        let run = scratch.run("pvsecret", &words(&line));
        let after = scratch.names();
        assert_eq!((contents(&after), after), before, "{line}: {run:#?}");
        let usage = run.stderr.contains("For more information");
        let first = run.stderr.lines().next().unwrap_or_default();
        assert_eq!((run.status, usage || run.stderr.lines().count() == 1), (1, true), "{line}: {run:#?}");
        assert!(first.starts_with("error: "), "{line}: {run:#?}");
        for part in parts {
            assert!(run.stderr.contains(part), "{line}: '{part}' is not in: {}", run.stderr);
        }
    };
    for (rest, parts) in CREATE {
        let rest = rest.replace("HKD", "-k host.crt --no-verify").replace("HDR", "--hdr se.hdr");
        check(format!("create -q -o request {rest}"), parts);
    }
    for (output, parts) in OUTPUTS {
        // Beside a device there is no place for NAME.yaml.
        let secret = match *output {
            "-" => "association N --stdout",
            "/dev/full" => "meta",
            "/dev/stdout" => "--policy text meta",
            _ => "association N",
        };
        check(format!("create -q -k host.crt --no-verify --hdr se.hdr -o {output} {secret}"), parts);
    }
    for (rest, parts) in VERIFY {
        check(format!("verify -q {rest}"), parts);
    }
    println!("{rows} bad inputs");
    assert!(rows >= 60);
}

#[test]
fn more_host_keys_than_a_request_has_room_for_are_refused() {
    let scratch = workstation();
    let keys = vec!["host.crt"; 256].join(",");
    let args = ["create", "-q", "--no-verify", "--hdr", "se.hdr", "-o", "request", "-k", &keys, "meta"];
    scratch.run("pvsecret", &args).refuses(1, &["expected 1 to 255 host keys, found 256"]);
    let keys = vec!["host.crt"; 255].join(",");
    let args = ["create", "-q", "--no-verify", "--hdr", "se.hdr", "-o", "request", "-k", &keys, "meta"];
    scratch.run("pvsecret", &args).succeeds();
    assert_eq!(scratch.read("request").len(), 1352 + 254 * 80);
}

#[test]
fn unreadable_file_is_named() {
    // Root reads everything, so the program runs as nobody.
    if !nix::unistd::Uid::effective().is_root() {
        crate::support::left_out("not root");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let scratch = workstation();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(scratch.join("host.crt"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = scratch.command("pvsecret");
    command
        .args(["create", "-q", "-k", "host.crt", "--no-verify", "--hdr", "se.hdr", "-o", "request", "meta"])
        .uid(65534);
    // The build folder may be closed to others: a copy is not.
    let copy = scratch.join("pvtools");
    fs::copy(env!("CARGO_BIN_EXE_pvtools"), &copy).unwrap();
    let mut as_nobody = std::process::Command::new(copy);
    as_nobody.arg0("pvsecret").args(command.get_args()).current_dir(scratch.path()).uid(65534);
    crate::support::Run::of(&mut as_nobody, b"").refuses(1, &["'host.crt'", "Permission denied"]);
    assert!(!scratch.join("request").exists());
}
