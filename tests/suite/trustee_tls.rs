//! The key broker behind TLS: `--ca-file`, and every certificate that must not get a token.

use crate::crl_download::KEYS;
use crate::trustee::World;
use crate::trustee_server::{Broker, Fault};
use openssl::ssl::{SslAcceptor, SslMethod};
use pvsim::pki::{Authority, CertificateSpec, DAY, common_name};
use std::time::{SystemTime, UNIX_EPOCH};

/// DER of the subject's alternative names: one address, or one DNS name.
fn alternative_name(tag: u8, name: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    [&[0x30, length(name.len() + 2), tag, length(name.len())], name].concat()
}

fn acceptor(server: &Authority) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_private_key(&server.key).unwrap();
    builder.set_certificate(&server.certificate).unwrap();
    builder.build()
}

#[test]
fn token_goes_to_the_server_of_the_ca_file_alone() {
    let world = World::new().with_requests();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
    let ca = CertificateSpec::authority(common_name("KBS CA"), KEYS.root.clone(), 1, now).issue(None).unwrap();
    let other = CertificateSpec::authority(common_name("other CA"), KEYS.intermediate.clone(), 1, now);
    let other = other.issue(None).unwrap();
    world.scratch.write("ca.crt", ca.certificate.to_pem().unwrap());
    world.scratch.write("other.crt", other.certificate.to_pem().unwrap());
    world.scratch.write("both.crt", [other.certificate.to_pem().unwrap(), ca.certificate.to_pem().unwrap()].concat());
    let here = || alternative_name(0x87, &[127, 0, 0, 1]);
    let spec = |name: Vec<u8>| CertificateSpec {
        extensions: vec![("2.5.29.17", false, name)],
        ..CertificateSpec::end(common_name("kbs"), KEYS.signing_key.clone(), 2, now)
    };
    let issue = |spec: CertificateSpec| spec.issue(Some(&ca)).unwrap();
    let good = issue(spec(here()));
    let by_name = issue(spec(alternative_name(0x82, b"localhost")));
    let expired = issue(CertificateSpec { not_before: now - 9 * DAY, not_after: now - DAY, ..spec(here()) });
    let early = issue(CertificateSpec { not_before: now + DAY, ..spec(here()) });
    let elsewhere = issue(spec(alternative_name(0x82, b"kbs.example.com")));
    let other_address = issue(spec(alternative_name(0x87, &[127, 0, 0, 2])));
    let own = spec(here()).issue(None).unwrap();
    let rows: [(&str, &Authority, &str, Result<(), &str>); 11] = [
        ("good", &good, "--ca-file ca.crt", Ok(())),
        ("one of two CAs", &good, "--ca-file both.crt", Ok(())),
        ("by name", &by_name, "--ca-file ca.crt", Ok(())),
        ("wrong CA", &good, "--ca-file other.crt", Err("unable to get local issuer certificate")),
        ("roots of the system", &good, "", Err("unable to get local issuer certificate")),
        ("expired", &expired, "--ca-file ca.crt", Err("certificate has expired")),
        ("not yet valid", &early, "--ca-file ca.crt", Err("certificate is not yet valid")),
        ("another host's", &elsewhere, "--ca-file ca.crt", Err("IP address mismatch")),
        ("another address", &other_address, "--ca-file ca.crt", Err("IP address mismatch")),
        ("address for a name", &good, "--ca-file ca.crt --name", Err("hostname mismatch")),
        ("signed by itself", &own, "--ca-file ca.crt", Err("self-signed certificate")),
    ];
    for (name, server, trust, expected) in rows {
        let broker = Broker::start_tls(world.token(), Fault::None, acceptor(server));
        let by_name = name == "by name" || trust.ends_with("--name");
        let url = if by_name { broker.url.replace("127.0.0.1", "localhost") } else { broker.url.clone() };
        let trust = trust.trim_end_matches("--name");
        let words = format!("policy --image one/se.img --url {url} --token-file token --timeout 5 {trust}");
        let run = world.run(&words);
        match expected {
            Ok(()) => {
                run.succeeds();
                assert_eq!(broker.accepted().len(), 2, "{name}");
            }
            Err(part) => {
                assert!(run.stderr.contains(part), "{name}: {run:#?}");
                run.refuses(1, &[part, "'--ca-file'"]);
                assert_eq!(broker.asked(), 0, "{name}: a request got through");
            }
        }
    }
    // A server that speaks no TLS, and a client that does not.
    let plain = Broker::start(world.token(), Fault::None);
    let words = "policy --image one/se.img --token-file token --timeout 2";
    let url = plain.url.replace("http://", "https://");
    world.run(&format!("{words} --url {url} --ca-file ca.crt")).refuses(1, &["in 3 attempts"]);
    assert_eq!(plain.accepted().len(), 0);
}
