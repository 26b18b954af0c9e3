//! Situations of host-key verification, one a row: each with its verdict and its own reason. Keys, certificates and
//! CRLs are made anew by the simulator's generator, so nothing expires.

use crate::support::{Run, Scratch};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509Crl;
use pvsim::pki::{
    AuthorityId, CertificateSpec, CrlSpec, DAY, Entries, Keys, Pki, Plan, Reason, common_name, signing_key_name,
};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Keys that all rows share: making RSA keys is slow.
struct Pool {
    keys: Keys,
    /// Another RSA key.
    other: PKey<Private>,
    rsa1024: PKey<Private>,
    rsa3072: PKey<Private>,
    other_host: PKey<Private>,
    header: Vec<u8>,
}

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let keys = Keys::generate().unwrap();
    let secrets = pvsim::image::HeaderSecrets::random().unwrap();
    let header = pvsim::image::header(std::slice::from_ref(&keys.host_key), &secrets, 0, 1).unwrap();
    Pool { other: rsa(2048), rsa1024: rsa(1024), rsa3072: rsa(3072), other_host: ec(Nid::SECP521R1), keys, header }
});

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// What stands on the command line: file names with their content, and further words.
#[derive(Default)]
struct Files {
    hkds: Vec<(&'static str, Vec<u8>)>,
    certs: Vec<(&'static str, Vec<u8>)>,
    crls: Vec<(&'static str, Vec<u8>)>,
    root: Option<(&'static str, Vec<u8>)>,
    /// `SSL_CERT_FILE`.
    system_store: Option<Vec<u8>>,
    /// Lists separated by commas instead of repeated options.
    commas: bool,
}

fn pem(crl: &X509Crl) -> Vec<u8> {
    crl.to_pem().unwrap()
}

impl Files {
    fn of(pki: &Pki) -> Self {
        let [root, intermediate, signing_key] = &pki.crls;
        Self {
            hkds: vec![("host.crt", pki.host_key_document.to_pem().unwrap())],
            certs: vec![
                ("ibm.crt", pki.signing_key.certificate.to_pem().unwrap()),
                ("inter.crt", pki.intermediate.certificate.to_pem().unwrap()),
            ],
            crls: vec![("root.crl", pem(root)), ("inter.crl", pem(intermediate)), ("ibm.crl", pem(signing_key))],
            root: Some(("root.crt", pki.root.certificate.to_pem().unwrap())),
            ..Self::default()
        }
    }

    fn verify(&self) -> Run {
        let scratch = Scratch::new();
        scratch.write("se.hdr", &POOL.header);
        let mut command = scratch.command("pvsecret");
        command.args(["create", "--offline", "--hdr", "se.hdr", "-o", "request"]);
        for (option, list) in [("-k", &self.hkds), ("-C", &self.certs), ("--crl", &self.crls)] {
            let mut names = Vec::new();
            for (name, bytes) in list {
                match *bytes.as_slice() {
                    [] if *name == "folder" => std::fs::create_dir(scratch.join(name)).unwrap(),
                    [] if *name == "missing" => {}
                    _ => drop(scratch.write(name, bytes)),
                }
                names.push(*name);
            }
            if self.commas {
                command.args([option, &names.join(",")]);
            } else {
                command.args(names.iter().flat_map(|name| [option, name]));
            }
        }
        if let Some((name, bytes)) = &self.root {
            if *name != "missing" {
                scratch.write(name, bytes);
            }
            command.args(["--root-ca", name]);
        }
        if let Some(bytes) = &self.system_store {
            command.env("SSL_CERT_FILE", scratch.write("system.pem", bytes));
        }
        let run = Run::of(command.arg("meta"), b"");
        assert_eq!(scratch.join("request").exists(), run.status == 0, "a request without a verdict: {run:?}");
        run
    }
}

impl Files {
    /// Leaves the situation in `folder` for another verifier: the files, and in `situation` what each is for and our
    /// verdict. `compat/` has IBM's library judge the same.
    fn keep(&self, folder: &Path, accepted: bool) {
        std::fs::create_dir_all(folder).unwrap();
        let mut situation = format!("verdict {}\n", if accepted { "accepted" } else { "refused" });
        let root: Vec<_> = self.root.iter().cloned().collect();
        let store: Vec<_> = self.system_store.iter().map(|bytes| ("system.pem", bytes.clone())).collect();
        let lists =
            [("hkd", &self.hkds), ("cert", &self.certs), ("crl", &self.crls), ("root", &root), ("store", &store)];
        for (role, list) in lists {
            for (name, bytes) in list {
                situation.push_str(&format!("{role} {name}\n"));
                if *name != "missing" {
                    std::fs::write(folder.join(name), bytes).unwrap();
                }
            }
        }
        std::fs::write(folder.join("situation"), situation).unwrap();
    }
}

type Change = fn(&mut Plan);
type Arrange = fn(&Plan, &Pki, &mut Files);

const SOUND: Change = |_| {};
const AS_IS: Arrange = |_, _, _| {};

/// Accepted.
const OK: &str = "";

/// Rows of the same kind stand together: id, what is different, how the files differ, and a part of the reason.
const ROWS: &[(&str, Change, Arrange, &str)] = &[
    ("ok-plain", SOUND, AS_IS, OK),
    (
        "ok-order",
        SOUND,
        |_, _, f| {
            f.certs.reverse();
            f.crls.reverse();
        },
        OK,
    ),
    ("ok-commas", SOUND, |_, _, f| f.commas = true, OK),
    (
        "ok-der",
        SOUND,
        |_, pki, f| {
            f.hkds[0].1 = pki.host_key_document.to_der().unwrap();
            f.certs[0].1 = pki.signing_key.certificate.to_der().unwrap();
            f.certs[1].1 = pki.intermediate.certificate.to_der().unwrap();
            f.root.as_mut().unwrap().1 = pki.root.certificate.to_der().unwrap();
            for (file, crl) in f.crls.iter_mut().zip(&pki.crls) {
                file.1 = crl.to_der().unwrap();
            }
        },
        OK,
    ),
    (
        "ok-cert-bundle",
        SOUND,
        |_, _, f| {
            let both = [&f.certs[0].1[..], &f.certs[1].1].concat();
            f.certs = vec![("both", both)];
        },
        OK,
    ),
    (
        "ok-crl-bundle",
        SOUND,
        |_, _, f| {
            let all = f.crls.iter().flat_map(|c| c.1.clone()).collect();
            f.crls = vec![("all", all)];
        },
        OK,
    ),
    (
        "ok-crl-in-cert-files",
        SOUND,
        |_, _, f| {
            f.root.as_mut().unwrap().1.extend(&f.crls[0].1);
            f.certs[1].1.extend(&f.crls[1].1);
            f.certs[0].1.extend(&f.crls[2].1);
            f.crls.clear();
        },
        OK,
    ),
    ("ok-cert-in-crl-file", SOUND, |_, pki, f| f.crls[0].1.extend(pki.root.certificate.to_pem().unwrap()), OK),
    ("ok-two-certs-in-hkd", SOUND, |_, pki, f| f.hkds[0].1.extend(pki.root.certificate.to_pem().unwrap()), OK),
    ("ok-crl-before-hkd", SOUND, |_, _, f| f.hkds[0].1 = [&f.crls[0].1[..], &f.hkds[0].1].concat(), OK),
    ("ok-text-before-pem", SOUND, |_, _, f| f.hkds[0].1 = [b"some text\n", &f.hkds[0].1[..]].concat(), OK),
    (
        "ok-crlf",
        SOUND,
        |_, _, f| {
            let text = String::from_utf8(f.hkds[0].1.clone()).unwrap();
            f.hkds[0].1 = text.replace('\n', "\r\n").into_bytes();
        },
        OK,
    ),
    ("ok-two-hkds", SOUND, |plan, pki, f| f.hkds.push(("second", another_hkd(plan, pki, 9))), OK),
    ("ok-same-hkd-twice", SOUND, |_, _, f| f.hkds.push(f.hkds[0].clone()), OK),
    ("ok-hkd-no-akid", |p| p.host_key.authority_id = AuthorityId::Absent, AS_IS, OK),
    ("ok-hkd-no-dp", SOUND, AS_IS, OK),
    ("ok-armonk", armonk, AS_IS, OK),
    (
        "ok-armonk-pok-crl",
        |p| {
            armonk(p);
            p.signing_key_crl.issuer = signing_key_name("Poughkeepsie");
        },
        AS_IS,
        OK,
    ),
    (
        "ok-armonk-pok-hkd",
        |p| {
            armonk(p);
            p.host_key.issuer = Some(signing_key_name("Poughkeepsie"));
        },
        AS_IS,
        OK,
    ),
    ("ok-reordered-crl", |p| p.signing_key_crl.issuer = reordered("Poughkeepsie"), AS_IS, OK),
    (
        "ok-armonk-reordered-crl",
        |p| {
            armonk(p);
            p.signing_key_crl.issuer = reordered("Armonk");
        },
        AS_IS,
        OK,
    ),
    (
        "ok-armonk-pok-reordered-crl",
        |p| {
            armonk(p);
            p.signing_key_crl.issuer = reordered("Poughkeepsie");
        },
        AS_IS,
        OK,
    ),
    (
        "ok-crl-issuer-case",
        |p| {
            for (_, value) in &mut p.signing_key_crl.issuer {
                *value = value.to_uppercase().replace(' ', "  ");
            }
        },
        AS_IS,
        OK,
    ),
    ("ok-crl-no-akid", |p| p.signing_key_crl.authority_key_id = None, AS_IS, OK),
    (
        "ok-one-of-two-crls-expired",
        SOUND,
        |p, pki, f| f.crls.push(("old.crl", signer_crl(pki, expired(&p.signing_key_crl)))),
        OK,
    ),
    ("ok-plain-unit", |p| unit(p, "Key Signing Service"), AS_IS, OK),
    ("ok-glued-unit", |p| unit(p, "TheKey Signing Service"), AS_IS, OK),
    ("ok-subject-order", |p| named(p, reordered("Poughkeepsie")), AS_IS, OK),
    ("ok-ec-signer", |p| p.signing_key.key = ec(Nid::SECP384R1), AS_IS, OK),
    (
        "ok-no-intermediate",
        SOUND,
        |plan, pki, f| {
            let signer = plan.signing_key.issue(Some(&pki.root)).unwrap();
            let hkd = plan.host_key.issue(Some(&signer)).unwrap();
            f.hkds[0].1 = hkd.certificate.to_pem().unwrap();
            f.certs = vec![("ibm.crt", signer.certificate.to_pem().unwrap())];
            f.crls.remove(1);
            f.crls[1].1 = pem(&plan.signing_key_crl.sign(&signer).unwrap());
        },
        OK,
    ),
    ("ok-two-intermediates", SOUND, |plan, pki, f| intermediates(plan, pki, f, 2), OK),
    (
        "ok-root-bundle",
        SOUND,
        |_, _, f| {
            let other = CertificateSpec::authority(common_name("other root"), POOL.other.clone(), 7, now())
                .issue(None)
                .unwrap();
            let root = f.root.as_mut().unwrap();
            root.1 = [&other.certificate.to_pem().unwrap()[..], &root.1].concat();
        },
        OK,
    ),
    (
        "ok-unrelated-cert",
        SOUND,
        |_, _, f| {
            let other =
                CertificateSpec::authority(common_name("unrelated"), POOL.other.clone(), 7, now()).issue(None).unwrap();
            f.certs.push(("other.crt", other.certificate.to_pem().unwrap()));
        },
        OK,
    ),
    ("ok-system-store", SOUND, |_, _, f| f.system_store = f.root.take().map(|root| root.1), OK),
    (
        "ok-crl-in-system-store",
        SOUND,
        |_, _, f| {
            let root = f.root.take().unwrap().1;
            f.system_store = Some([root, f.crls.remove(0).1].concat());
        },
        OK,
    ),
    (
        "ok-crl-as-cert",
        SOUND,
        |_, _, f| {
            let crl = f.crls.remove(1);
            f.certs.push(crl);
        },
        OK,
    ),
    (
        "ok-der-crl-as-cert",
        SOUND,
        |_, pki, f| {
            f.crls.remove(1);
            f.certs.push(("inter.crl", pki.crls[1].to_der().unwrap()));
        },
        OK,
    ),
    (
        "ok-inter-trusted",
        SOUND,
        |_, pki, f| f.root.as_mut().unwrap().1.extend(pki.intermediate.certificate.to_pem().unwrap()),
        OK,
    ),
    ("ok-chain-crl-no-next", |p| p.intermediate_crl.next_update = None, AS_IS, "does not say until when it is valid"),
    (
        "ok-garbage-among-certs",
        SOUND,
        |_, _, f| f.certs.push(("text", b"some text".to_vec())),
        "'text' as certificate file: it contains no certificate",
    ),
    (
        "lax-issuer-name",
        |p| {
            p.host_key.issuer = Some(common_name("Someone Else"));
            p.host_key.authority_id = AuthorityId::Absent;
        },
        AS_IS,
        "its issuer is 'CN=Someone Else'",
    ),
    (
        "lax-issuer-name-akid",
        |p| p.host_key.issuer = Some(common_name("Someone Else")),
        AS_IS,
        "its issuer is 'CN=Someone Else'",
    ),
    (
        "lax-rsa3072-host",
        |p| p.host_key.key = POOL.rsa3072.clone(),
        AS_IS,
        "its key is RSA (3072 bits), but a host key is EC P-521",
    ),
    ("lax-p256-host", |p| p.host_key.key = ec(Nid::X9_62_PRIME256V1), AS_IS, "its key is prime256v1 (256 bits), but"),
    ("lax-p384-host", |p| p.host_key.key = ec(Nid::SECP384R1), AS_IS, "its key is secp384r1 (384 bits), but"),
    ("lax-sha1-hkd", |p| p.host_key.digest = MessageDigest::sha1(), AS_IS, "signed with sha1, which is too weak"),
    (
        "lax-critical-hkd",
        |p| p.host_key.unknown_critical = true,
        AS_IS,
        "an extension that must be understood but is not known: 1.3.6.1.4.1.99999.1",
    ),
    ("lax-usage-hkd", |p| p.host_key.key_usage = Some([false, false, false]), AS_IS, OK),
    ("lax-partial-crl", |p| p.signing_key_crl.only_authorities = true, AS_IS, "unknown critical extension"),
    (
        "lax-critical-crl",
        |p| p.signing_key_crl.unknown_critical = true,
        AS_IS,
        "unknown critical extension (1.3.6.1.4.1.99999.2)",
    ),
    (
        "lax-der-trailing",
        SOUND,
        |_, pki, f| f.hkds[0].1 = [&pki.host_key_document.to_der().unwrap()[..], b"xyz"].concat(),
        "3 bytes follow the certificate",
    ),
    ("lax-pem-trailing", SOUND, |_, _, f| f.hkds[0].1.extend(b"xyz"), OK),
    ("hkd-expired", |p| p.host_key.not_after = now() - 60, AS_IS, "'host.crt': it expired on"),
    ("hkd-early", |p| p.host_key.not_before = now() + DAY, AS_IS, "'host.crt': it is not valid before"),
    (
        "hkd-revoked",
        |p| p.signing_key_crl.revoked = vec![(4, Reason::Unspecified)],
        AS_IS,
        "'host.crt': it is revoked: since",
    ),
    (
        "hkd-removed-from-crl",
        |p| p.signing_key_crl.revoked = vec![(4, Reason::RemoveFromCrl)],
        AS_IS,
        "it is revoked: since",
    ),
    ("hkd-on-hold", |p| p.signing_key_crl.revoked = vec![(4, Reason::Hold)], AS_IS, "it is revoked: since"),
    (
        "hkd-revoked-in-one-of-two",
        SOUND,
        |p, pki, f| {
            let revoking = CrlSpec { revoked: vec![(4, Reason::Unspecified)], ..p.signing_key_crl.clone() };
            f.crls.push(("new.crl", signer_crl(pki, revoking)));
        },
        "says the CRL in 'new.crl'",
    ),
    (
        "hkd-forged",
        SOUND,
        |plan, pki, f| forge(plan, pki, f, AuthorityId::KeyId, true),
        "its signature was not made by the IBM Z signing key in 'ibm.crt'",
    ),
    (
        "hkd-forged-no-akid",
        SOUND,
        |plan, pki, f| forge(plan, pki, f, AuthorityId::Absent, true),
        "its signature was not made by",
    ),
    (
        "hkd-wrong-akid",
        SOUND,
        |plan, pki, f| forge(plan, pki, f, AuthorityId::KeyId, false),
        "its authority key identifier does not fit",
    ),
    // Key identifier absent, issuer absent, serial number 99.
    (
        "hkd-akid-serial",
        |p| p.host_key.authority_id = AuthorityId::Raw(vec![0x30, 3, 0x82, 1, 99]),
        AS_IS,
        "serial number does not fit",
    ),
    ("ok-akid-full", |p| p.host_key.authority_id = AuthorityId::Full, AS_IS, OK),
    (
        "hkd-akid-full-armonk",
        |p| p.host_key.authority_id = AuthorityId::Full,
        |plan, pki, f| {
            // The same key with a certificate of its own under the new name.
            let mut spec = plan.signing_key.clone();
            (spec.subject, spec.serial) = (signing_key_name("Armonk"), 33);
            f.certs[0].1 = spec.issue(Some(&pki.intermediate)).unwrap().certificate.to_pem().unwrap();
        },
        "serial number does not fit",
    ),
    (
        "hkd-tampered",
        SOUND,
        |_, pki, f| {
            let mut der = pki.host_key_document.to_der().unwrap();
            let at = der.windows(8).position(|window| window == b"test hos").unwrap();
            der[at] ^= 1;
            f.hkds[0].1 = der;
        },
        "its signature was not made by",
    ),
    ("hkd-rsa1024", |p| p.host_key.key = POOL.rsa1024.clone(), AS_IS, "its key is RSA (1024 bits)"),
    ("hkd-p192", |p| p.host_key.key = ec(Nid::X9_62_PRIME192V1), AS_IS, "its key is prime192v1 (192 bits)"),
    (
        "hkd-self-signed",
        SOUND,
        |plan, _, f| {
            let spec = CertificateSpec { issuer: Some(signing_key_name("Poughkeepsie")), ..plan.host_key.clone() };
            f.hkds[0].1 = spec.issue(None).unwrap().certificate.to_pem().unwrap();
        },
        "its signature was not made by",
    ),
    ("hkd-is-signer", SOUND, |_, _, f| f.hkds = vec![f.certs[0].clone()], "its key is RSA (2048 bits)"),
    (
        "hkd-second-bad",
        SOUND,
        |plan, pki, f| {
            f.hkds.push(("second", another_hkd(plan, pki, 5)));
            revoke(plan, pki, f, 5);
        },
        "'second': it is revoked",
    ),
    (
        "hkd-first-bad",
        SOUND,
        |plan, pki, f| {
            f.hkds.push(("second", another_hkd(plan, pki, 5)));
            revoke(plan, pki, f, 4);
        },
        "'host.crt': it is revoked",
    ),
    (
        "hkd-empty",
        SOUND,
        |_, _, f| f.hkds[0] = ("empty", Vec::new()),
        "'empty' as host-key document: it contains no certificate",
    ),
    ("hkd-text", SOUND, |_, _, f| f.hkds[0].1 = b"text".to_vec(), "it contains no certificate"),
    ("hkd-is-crl", SOUND, |_, _, f| f.hkds[0].1 = f.crls[0].1.clone(), "it contains no certificate"),
    (
        "hkd-is-key",
        SOUND,
        |_, _, f| f.hkds[0].1 = POOL.other_host.private_key_to_pem_pkcs8().unwrap(),
        "it contains no certificate",
    ),
    ("hkd-truncated-pem", SOUND, |_, _, f| f.hkds[0].1.truncate(400), "a certificate in it is damaged"),
    (
        "hkd-truncated-der",
        SOUND,
        |_, pki, f| f.hkds[0].1 = pki.host_key_document.to_der().unwrap()[..300].to_vec(),
        "the DER structure in it is damaged",
    ),
    ("hkd-bad-base64", SOUND, |_, _, f| f.hkds[0].1[100] = b'!', "a certificate in it is damaged"),
    (
        "hkd-missing",
        SOUND,
        |_, _, f| f.hkds[0] = ("missing", Vec::new()),
        "host-key document at 'missing': No such file",
    ),
    ("hkd-is-directory", SOUND, |_, _, f| f.hkds[0] = ("folder", Vec::new()), "'folder': it is a directory"),
    ("signer-missing", SOUND, |_, _, f| drop(f.certs.remove(0)), "none of the certificates is an IBM Z signing key"),
    ("signer-unit", |p| unit(p, "Key Signing Services"), AS_IS, "none of the certificates is an IBM Z signing key"),
    ("signer-unit-case", |p| unit(p, "IBM Z Host key signing service"), AS_IS, "none of the certificates is"),
    ("signer-town", |p| entry(p, Nid::LOCALITYNAME, "Endicott"), AS_IS, "none of the certificates is"),
    ("signer-state", |p| entry(p, Nid::STATEORPROVINCENAME, "NY"), AS_IS, "none of the certificates is"),
    ("signer-org", |p| entry(p, Nid::ORGANIZATIONNAME, "IBM"), AS_IS, "none of the certificates is"),
    ("signer-cn", |p| entry(p, Nid::COMMONNAME, "IBM"), AS_IS, "none of the certificates is"),
    ("signer-country", |p| entry(p, Nid::COUNTRYNAME, "DE"), AS_IS, "none of the certificates is"),
    (
        "signer-five",
        |p| {
            let mut name = p.signing_key.subject.clone();
            name.remove(2);
            named(p, name);
        },
        AS_IS,
        "none of the certificates is",
    ),
    (
        "signer-seven",
        |p| {
            let mut name = p.signing_key.subject.clone();
            name.push((Nid::SERIALNUMBER, "7".to_owned()));
            named(p, name);
        },
        AS_IS,
        "none of the certificates is",
    ),
    (
        "signer-two",
        SOUND,
        |plan, pki, f| {
            let mut spec = plan.signing_key.clone();
            (spec.key, spec.serial) = (POOL.other.clone(), 77);
            f.certs.push(("second.crt", spec.issue(Some(&pki.intermediate)).unwrap().certificate.to_pem().unwrap()));
        },
        "more than one of the certificates is an IBM Z signing key",
    ),
    ("signer-twice", SOUND, |_, _, f| f.certs.push(f.certs[0].clone()), OK),
    ("signer-no-cert", SOUND, |_, _, f| f.certs[0] = ("missing", Vec::new()), "certificate at 'missing': No such file"),
    (
        "signer-is-garbage",
        SOUND,
        |_, _, f| f.certs[0].1 = b"text".to_vec(),
        "'ibm.crt' as certificate file: it contains no certificate",
    ),
    (
        "chain-signer-expired",
        |p| p.signing_key.not_after = now() - 60,
        AS_IS,
        "(level 0 of the chain): certificate has expired",
    ),
    (
        "chain-signer-early",
        |p| p.signing_key.not_before = now() + DAY,
        AS_IS,
        "(level 0 of the chain): certificate is not yet valid",
    ),
    (
        "chain-signer-revoked",
        |p| p.intermediate_crl.revoked = vec![(3, Reason::Unspecified)],
        AS_IS,
        "(level 0 of the chain) is revoked: since",
    ),
    (
        "chain-no-intermediate",
        SOUND,
        |_, _, f| drop(f.certs.remove(1)),
        "(level 0 of the chain): unable to get local issuer certificate",
    ),
    (
        "chain-inter-expired",
        |p| p.intermediate.not_after = now() - 60,
        AS_IS,
        "(level 1 of the chain): certificate has expired",
    ),
    (
        "chain-inter-early",
        |p| p.intermediate.not_before = now() + DAY,
        AS_IS,
        "(level 1 of the chain): certificate is not yet valid",
    ),
    (
        "chain-inter-revoked",
        |p| p.root_crl.revoked = vec![(2, Reason::Unspecified)],
        AS_IS,
        "(level 1 of the chain) is revoked: since",
    ),
    ("chain-root-expired", |p| p.root.not_after = now() - 60, AS_IS, "(level 2 of the chain): certificate has expired"),
    (
        "chain-other-root",
        SOUND,
        |_, _, f| {
            let other = CertificateSpec::authority(common_name("other root"), POOL.other.clone(), 7, now())
                .issue(None)
                .unwrap();
            f.root.as_mut().unwrap().1 = other.certificate.to_pem().unwrap();
        },
        "(level 1 of the chain): unable to get local issuer certificate",
    ),
    ("chain-no-root", SOUND, |_, _, f| f.root = None, "(level 1 of the chain): unable to get local issuer certificate"),
    (
        "chain-root-untrusted",
        SOUND,
        |_, pki, f| {
            f.root = None;
            f.certs.push(("root.crt", pki.root.certificate.to_pem().unwrap()));
        },
        "(level 2 of the chain): self-signed certificate in certificate chain",
    ),
    (
        "chain-same-name-root",
        SOUND,
        |plan, _, f| {
            let spec = CertificateSpec { key: POOL.other.clone(), ..plan.root.clone() };
            f.root.as_mut().unwrap().1 = spec.issue(None).unwrap().certificate.to_pem().unwrap();
        },
        "(level 1 of the chain): unable to get local issuer certificate",
    ),
    (
        "chain-inter-forged",
        SOUND,
        |plan, pki, f| {
            let mut fake = pki.root.clone();
            fake.key = POOL.other.clone();
            f.certs[1].1 = plan.intermediate.issue(Some(&fake)).unwrap().certificate.to_pem().unwrap();
        },
        "(level 1 of the chain): certificate signature failure",
    ),
    (
        "chain-inter-other-key",
        SOUND,
        |plan, pki, f| {
            let spec = CertificateSpec { key: POOL.other.clone(), ..plan.intermediate.clone() };
            f.certs[1].1 = spec.issue(Some(&pki.root)).unwrap().certificate.to_pem().unwrap();
        },
        "(level 0 of the chain): unable to get local issuer certificate",
    ),
    (
        "chain-too-long",
        SOUND,
        |plan, pki, f| intermediates(plan, pki, f, 3),
        "(level 3 of the chain): certificate chain too long",
    ),
    (
        "chain-inter-rsa1024",
        |p| p.intermediate.key = POOL.rsa1024.clone(),
        AS_IS,
        "(level 1 of the chain): CA certificate key too weak",
    ),
    (
        "chain-signer-rsa1024",
        |p| p.signing_key.key = POOL.rsa1024.clone(),
        AS_IS,
        "(level 0 of the chain): EE certificate key too weak",
    ),
    (
        "chain-inter-sha1",
        |p| p.intermediate.digest = MessageDigest::sha1(),
        AS_IS,
        "(level 1 of the chain): CA signature digest algorithm too weak",
    ),
    (
        "chain-signer-sha1",
        |p| p.signing_key.digest = MessageDigest::sha1(),
        AS_IS,
        "(level 0 of the chain): CA signature digest algorithm too weak",
    ),
    (
        "chain-inter-not-ca",
        |p| p.intermediate.basic_constraints = Some((true, false, None)),
        AS_IS,
        "(level 1 of the chain): invalid CA certificate",
    ),
    (
        "chain-inter-no-cert-sign",
        |p| p.intermediate.key_usage = Some([false, true, false]),
        AS_IS,
        "(level 1 of the chain): invalid CA certificate",
    ),
    (
        "chain-inter-no-crl-sign",
        |p| p.intermediate.key_usage = Some([true, false, false]),
        AS_IS,
        "(level 0 of the chain) is revoked cannot be known: 'CN=pvtools test intermediate CA' may not sign CRLs",
    ),
    (
        "chain-signer-no-akid",
        |p| p.signing_key.authority_id = AuthorityId::Absent,
        AS_IS,
        "(level 0 of the chain): Missing Authority Key Identifier",
    ),
    (
        "chain-inter-no-skid",
        |p| {
            p.intermediate.subject_key_id = false;
            // Some identifier, which cannot be compared with one that is not there.
            p.signing_key.authority_id = AuthorityId::Raw([&[0x30, 22, 0x80, 20][..], &[1; 20]].concat());
        },
        AS_IS,
        "(level 1 of the chain): Missing Subject Key Identifier",
    ),
    (
        "chain-inter-bc-not-critical",
        |p| p.intermediate.basic_constraints = Some((false, true, None)),
        AS_IS,
        "(level 1 of the chain): Basic Constraints of CA cert not marked critical",
    ),
    (
        "chain-signer-critical",
        |p| p.signing_key.unknown_critical = true,
        AS_IS,
        "(level 0 of the chain): unhandled critical extension",
    ),
    (
        "chain-pathlen",
        |p| p.root.basic_constraints = Some((true, true, Some(0))),
        AS_IS,
        "path length constraint exceeded",
    ),
    ("chain-signer-is-root", SOUND, |plan, _, f| self_signed_signer(plan, f, false), "is itself a trusted root"),
    ("chain-signer-is-ca-root", SOUND, |plan, _, f| self_signed_signer(plan, f, true), "is itself a trusted root"),
    (
        "chain-root-is-inter",
        SOUND,
        |_, pki, f| f.root.as_mut().unwrap().1 = pki.intermediate.certificate.to_pem().unwrap(),
        "(level 1 of the chain): unable to get issuer certificate",
    ),
    (
        "root-missing",
        SOUND,
        |_, _, f| f.root = Some(("missing", Vec::new())),
        "root CA certificate at 'missing': No such file",
    ),
    (
        "root-garbage",
        SOUND,
        |_, _, f| f.root.as_mut().unwrap().1 = b"text".to_vec(),
        "'root.crt' as root CA: it contains no certificate",
    ),
    (
        "root-is-crl",
        SOUND,
        |_, _, f| f.root.as_mut().unwrap().1 = f.crls[0].1.clone(),
        "'root.crt' as root CA: it contains no certificate",
    ),
    (
        "chain-crl-none",
        SOUND,
        |_, _, f| f.crls.clear(),
        "(level 0 of the chain) is revoked is not known: no CRL of 'CN=pvtools test intermediate CA' was given",
    ),
    (
        "chain-crl-no-inter",
        SOUND,
        |_, _, f| drop(f.crls.remove(1)),
        "no CRL of 'CN=pvtools test intermediate CA' was given",
    ),
    (
        "chain-crl-no-root",
        SOUND,
        |_, _, f| drop(f.crls.remove(0)),
        "(level 1 of the chain) is revoked is not known: no CRL of 'CN=pvtools test root CA' was given",
    ),
    ("chain-crl-inter-expired", |p| p.intermediate_crl = expired(&p.intermediate_crl), AS_IS, "'inter.crl' expired on"),
    (
        "chain-crl-inter-early",
        |p| p.intermediate_crl.last_update = now() + DAY,
        AS_IS,
        "'inter.crl' is not valid before",
    ),
    (
        "chain-crl-inter-forged",
        SOUND,
        |plan, pki, f| {
            let mut fake = pki.intermediate.clone();
            fake.key = POOL.other.clone();
            f.crls[1].1 = pem(&plan.intermediate_crl.sign(&fake).unwrap());
        },
        "'inter.crl' has a signature that does not hold",
    ),
    ("chain-crl-root-expired", |p| p.root_crl = expired(&p.root_crl), AS_IS, "'root.crl' expired on"),
    (
        "chain-crl-root-revoked",
        |p| p.root_crl.revoked = vec![(1, Reason::Unspecified)],
        AS_IS,
        "(level 2 of the chain) is revoked: since",
    ),
    (
        "chain-crl-inter-critical",
        |p| p.intermediate_crl.unknown_critical = true,
        AS_IS,
        "'inter.crl' has an unknown critical extension",
    ),
    (
        "no-crl-none",
        SOUND,
        |_, _, f| drop(f.crls.pop()),
        "'host.crt': whether it is revoked is not known: no CRL of 'C=US, ",
    ),
    ("no-crl-expired", |p| p.signing_key_crl = expired(&p.signing_key_crl), AS_IS, "'ibm.crl' expired on"),
    ("no-crl-early", |p| p.signing_key_crl.last_update = now() + DAY, AS_IS, "'ibm.crl' is not valid before"),
    (
        "no-crl-no-next",
        |p| p.signing_key_crl.next_update = None,
        AS_IS,
        "'ibm.crl' does not say until when it is valid",
    ),
    (
        "no-crl-forged",
        SOUND,
        |plan, pki, f| {
            let mut fake = pki.signing_key.clone();
            fake.key = POOL.other.clone();
            f.crls[2].1 = pem(&plan.signing_key_crl.sign(&fake).unwrap());
        },
        "'ibm.crl' has a signature that does not hold",
    ),
    ("no-crl-bad-hash", |p| p.signing_key_crl.broken = true, AS_IS, "'ibm.crl' has a signature that does not hold"),
    (
        "no-crl-akid",
        |p| p.signing_key_crl.authority_key_id = Some(Some(vec![1; 20])),
        AS_IS,
        "'ibm.crl' names another key as its issuer's",
    ),
    ("no-crl-issuer", |p| p.signing_key_crl.issuer = common_name("Someone Else"), AS_IS, "no CRL of 'C=US, "),
    ("no-crl-armonk-for-pok", |p| p.signing_key_crl.issuer = signing_key_name("Armonk"), AS_IS, "no CRL of 'C=US, "),
    (
        "no-crl-first-name-wins",
        |p| {
            armonk(p);
            p.signing_key_crl = expired(&p.signing_key_crl);
        },
        |_, pki, f| {
            let good = CrlSpec::new(signing_key_name("Poughkeepsie"), now());
            f.crls.push(("pok.crl", signer_crl(pki, good)));
        },
        OK,
    ),
    ("no-crl-odd-order", |p| p.signing_key_crl.issuer.reverse(), AS_IS, "no CRL of 'C=US, "),
    (
        "crl-file-is-cert",
        SOUND,
        |_, pki, f| f.crls.push(("cert", pki.root.certificate.to_pem().unwrap())),
        "'cert' as CRL file: it contains no certificate revocation list",
    ),
    (
        "crl-file-empty",
        SOUND,
        |_, _, f| f.crls.push(("empty", Vec::new())),
        "'empty' as CRL file: it contains no certificate revocation list",
    ),
    (
        "crl-file-garbage",
        SOUND,
        |_, _, f| f.crls.push(("text", b"text".to_vec())),
        "'text' as CRL file: it contains no",
    ),
    ("crl-file-missing", SOUND, |_, _, f| f.crls.push(("missing", Vec::new())), "CRL at 'missing': No such file"),
    // Situations beyond those that the reference was tried with.
    ("own-crl-sha1", |p| p.signing_key_crl.sha1 = true, AS_IS, "'ibm.crl' is signed with sha1, which is too weak"),
    ("own-chain-crl-sha1", |p| p.root_crl.sha1 = true, AS_IS, "'root.crl' is signed with sha1, which is too weak"),
    (
        "own-distribution-point-named",
        |p| p.host_key.distribution_points = vec![vec!["http://crl.example/ibm.crl".to_owned()]],
        |_, _, f| drop(f.crls.pop()),
        "it can be had from http://crl.example/ibm.crl",
    ),
];

fn named(plan: &mut Plan, name: Entries) {
    plan.signing_key_crl.issuer = name.clone();
    plan.signing_key.subject = name;
}

fn armonk(plan: &mut Plan) {
    named(plan, signing_key_name("Armonk"));
}

fn entry(plan: &mut Plan, nid: Nid, value: &str) {
    let mut name = plan.signing_key.subject.clone();
    name.iter_mut().find(|entry| entry.0 == nid).unwrap().1 = value.to_owned();
    named(plan, name);
}

fn unit(plan: &mut Plan, value: &str) {
    entry(plan, Nid::ORGANIZATIONALUNITNAME, value);
}

/// C, O, OU, L, ST, CN.
fn reordered(town: &str) -> Entries {
    let name = signing_key_name(town);
    [0, 3, 4, 2, 1, 5].map(|at| name[at].clone()).to_vec()
}

fn expired(crl: &CrlSpec) -> CrlSpec {
    CrlSpec { last_update: now() - 2 * DAY, next_update: Some(now() - 60), ..crl.clone() }
}

fn signer_crl(pki: &Pki, spec: CrlSpec) -> Vec<u8> {
    pem(&spec.sign(&pki.signing_key).unwrap())
}

fn another_hkd(plan: &Plan, pki: &Pki, serial: u32) -> Vec<u8> {
    let spec = CertificateSpec { serial, key: POOL.other_host.clone(), ..plan.host_key.clone() };
    spec.issue(Some(&pki.signing_key)).unwrap().certificate.to_pem().unwrap()
}

fn revoke(plan: &Plan, pki: &Pki, files: &mut Files, serial: u32) {
    let spec = CrlSpec { revoked: vec![(serial, Reason::Unspecified)], ..plan.signing_key_crl.clone() };
    files.crls[2].1 = signer_crl(pki, spec);
}

/// A host-key document that another key signed; its key identifier is the genuine one, or that key's.
fn forge(plan: &Plan, pki: &Pki, files: &mut Files, authority_id: AuthorityId, genuine_id: bool) {
    let mut fake = pki.signing_key.clone();
    if !genuine_id {
        let spec = CertificateSpec { key: POOL.other.clone(), ..plan.signing_key.clone() };
        fake = spec.issue(Some(&pki.intermediate)).unwrap();
    }
    fake.key = POOL.other.clone();
    let spec = CertificateSpec { authority_id, ..plan.host_key.clone() };
    files.hkds[0].1 = spec.issue(Some(&fake)).unwrap().certificate.to_pem().unwrap();
}

/// `count` intermediates between root and signing key, each with its CRL.
fn intermediates(plan: &Plan, pki: &Pki, files: &mut Files, count: u32) {
    files.certs.clear();
    files.crls.truncate(1);
    let mut issuer = pki.root.clone();
    for number in 0..count {
        let name = common_name(&format!("intermediate {number}"));
        let spec = CertificateSpec::authority(name.clone(), POOL.other.clone(), 50 + number, now());
        let authority = spec.issue(Some(&issuer)).unwrap();
        let file = ["a", "b", "c"][number as usize];
        files.certs.push((file, authority.certificate.to_pem().unwrap()));
        files.crls.push((["x", "y", "z"][number as usize], pem(&CrlSpec::new(name, now()).sign(&authority).unwrap())));
        issuer = authority;
    }
    let signer = plan.signing_key.issue(Some(&issuer)).unwrap();
    files.certs.push(("ibm.crt", signer.certificate.to_pem().unwrap()));
    files.crls.push(("ibm.crl", pem(&plan.signing_key_crl.sign(&signer).unwrap())));
    files.hkds[0].1 = plan.host_key.issue(Some(&signer)).unwrap().certificate.to_pem().unwrap();
}

fn self_signed_signer(plan: &Plan, files: &mut Files, authority: bool) {
    let mut spec = plan.signing_key.clone();
    if authority {
        spec = CertificateSpec::authority(spec.subject, spec.key, spec.serial, now());
    }
    let signer = spec.issue(None).unwrap();
    let bytes = signer.certificate.to_pem().unwrap();
    files.certs = vec![("ibm.crt", bytes.clone())];
    files.root = Some(("root.crt", bytes));
    files.crls = vec![("ibm.crl", pem(&plan.signing_key_crl.sign(&signer).unwrap()))];
    files.hkds[0].1 = plan.host_key.issue(Some(&signer)).unwrap().certificate.to_pem().unwrap();
}

#[test]
fn every_situation_has_its_verdict_and_its_reason() {
    let mut wrong = Vec::new();
    for (id, change, arrange, reason) in ROWS {
        let mut plan = Plan::new(&POOL.keys, now());
        change(&mut plan);
        let pki = plan.build().unwrap();
        let mut files = Files::of(&pki);
        arrange(&plan, &pki, &mut files);
        let run = files.verify();
        if let Some(folder) = std::env::var_os("PVTOOLS_KEEP_MATRIX") {
            files.keep(&Path::new(&folder).join(id), run.status == 0);
        }
        let line = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        let right = match (reason.is_empty(), run.status) {
            (true, status) => status == 0,
            (false, 1) => line.contains(reason) && run.stderr.lines().count() == 1,
            (false, _) => false,
        };
        if !right {
            wrong.push(format!("{id}: expected '{reason}', exit {}: {}", run.status, run.stderr));
        }
    }
    println!("{} situations", ROWS.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
}

#[test]
fn rows_are_those_that_the_reference_was_tried_with() {
    let verdicts = std::fs::read_to_string(crate::support::fixture("reference/certificate-verdicts")).unwrap();
    let rows = verdicts.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let [id, _theirs, ours] = words[..] else { panic!("{line}") };
        (id.to_owned(), ours == "accept")
    });
    let (net, local): (Vec<_>, Vec<_>) = rows.partition(|(id, _)| id.starts_with("net-"));
    assert!(local.len() > 140 && net.len() > 20, "{} and {}", local.len(), net.len());
    for (id, accepted) in local {
        let row = ROWS.iter().find(|row| row.0 == id).unwrap_or_else(|| panic!("no row {id}"));
        assert_eq!(row.3.is_empty(), accepted, "{id}");
    }
    // That one is a test of its own: it is about what is not asked.
    for (id, accepted) in net.into_iter().filter(|(id, _)| id != "net-offline") {
        let row = crate::crl_download::ROWS.iter().find(|row| row.0 == id).unwrap_or_else(|| panic!("no row {id}"));
        assert_eq!(row.2.is_empty(), accepted, "{id}");
    }
}
