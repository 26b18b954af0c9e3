//! Situations of host-key verification as whole programs: what is about files, and a few of each other sort. All others are
//! in `crates/hostkey/tests/matrix`, at a pinned time. Keys, certificates and CRLs are made anew by the simulator's generator.

use crate::support::{Run, Scratch};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509Crl;
use pvsim::pki::{CertificateSpec, CrlSpec, Keys, Pki, Plan, Reason};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Keys that all rows share: making RSA keys is slow.
struct Pool {
    keys: Keys,
    other_host: PKey<Private>,
    header: Vec<u8>,
}

static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let keys = Keys::generate().unwrap();
    let secrets = pvsim::image::HeaderSecrets::random().unwrap();
    let header = pvsim::image::header(std::slice::from_ref(&keys.host_key), &secrets, 0, 1).unwrap();
    Pool { other_host: ec(Nid::SECP521R1), keys, header }
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
    ("ok-commas", SOUND, |_, _, f| f.commas = true, OK),
    ("ok-two-hkds", SOUND, |plan, pki, f| f.hkds.push(("second", another_hkd(plan, pki, 9))), OK),
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
        "ok-garbage-among-certs",
        SOUND,
        |_, _, f| f.certs.push(("text", b"some text".to_vec())),
        "'text' as certificate file: it contains no certificate",
    ),
    (
        "hkd-revoked",
        |p| p.signing_key_crl.revoked = vec![(4, Reason::Unspecified)],
        AS_IS,
        "'host.crt': it is revoked: since",
    ),
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
        "hkd-missing",
        SOUND,
        |_, _, f| f.hkds[0] = ("missing", Vec::new()),
        "host-key document at 'missing': No such file",
    ),
    ("hkd-is-directory", SOUND, |_, _, f| f.hkds[0] = ("folder", Vec::new()), "'folder': it is a directory"),
    ("signer-no-cert", SOUND, |_, _, f| f.certs[0] = ("missing", Vec::new()), "certificate at 'missing': No such file"),
    (
        "signer-is-garbage",
        SOUND,
        |_, _, f| f.certs[0].1 = b"text".to_vec(),
        "'ibm.crt' as certificate file: it contains no certificate",
    ),
    ("chain-no-root", SOUND, |_, _, f| f.root = None, "(level 1 of the chain): unable to get local issuer certificate"),
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
    (
        "own-distribution-point-named",
        |p| p.host_key.distribution_points = vec![vec!["http://crl.example/ibm.crl".to_owned()]],
        |_, _, f| drop(f.crls.pop()),
        "it can be downloaded from http://crl.example/ibm.crl",
    ),
];

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
fn rows_are_those_of_the_matrix() {
    let matrix = include_str!("../../fixtures/certificate-matrix.txt");
    let net = |row: &&str| row.starts_with("net-") && !row.starts_with("net-offline ");
    for line in matrix.lines() {
        let Some((id, verdict)) = line.split_once(' ') else { continue };
        let accepted = verdict == "accept";
        if let Some(row) = ROWS.iter().find(|row| row.0 == id) {
            assert_eq!(row.3.is_empty(), accepted, "{id}");
        }
        // That of '--offline' is a test of its own: it is about what is not asked.
        if net(&line) {
            let row = crate::crl_download::ROWS.iter().find(|row| row.0 == id);
            assert_eq!(row.unwrap_or_else(|| panic!("no row {id}")).2.is_empty(), accepted, "{id}");
        }
    }
}
