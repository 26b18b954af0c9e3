//! One situation: what is given, and what the verifier says of it.

use hostkey::{CertificateFile, Error, Evidence, HostKeyDocument, Roots, Sourced, Verifier};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509Crl;
use pvsim::pki::{
    AuthorityId, CertificateSpec, CrlSpec, DAY, Entries, Keys, Pki, Plan, Reason, common_name, signing_key_name,
};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// When all of this happens: 2027-01-15 08:00:00 UTC.
pub(crate) const NOW: i64 = 1_800_000_000;

thread_local! {
    /// When the situation of this thread happens.
    static TIME: Cell<i64> = const { Cell::new(NOW) };
}

pub(crate) fn now() -> i64 {
    TIME.get()
}

/// Keys that all rows share: making RSA keys is slow.
pub(crate) struct Pool {
    pub(crate) keys: Keys,
    /// Another RSA key.
    pub(crate) other: PKey<Private>,
    pub(crate) rsa1024: PKey<Private>,
    pub(crate) rsa3072: PKey<Private>,
    pub(crate) other_host: PKey<Private>,
}

pub(crate) static POOL: LazyLock<Pool> = LazyLock::new(|| {
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let keys = Keys::generate().unwrap();
    Pool { other: rsa(2048), rsa1024: rsa(1024), rsa3072: rsa(3072), other_host: ec(Nid::SECP521R1), keys }
});

pub(crate) fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

/// What is given: names with their content.
pub(crate) struct Files {
    pub(crate) hkds: Vec<(&'static str, Vec<u8>)>,
    pub(crate) certs: Vec<(&'static str, Vec<u8>)>,
    pub(crate) crls: Vec<(&'static str, Vec<u8>)>,
    /// `None`: the system's roots, of which none is ours.
    pub(crate) root: Option<(&'static str, Vec<u8>)>,
}

pub(crate) fn pem(crl: &X509Crl) -> Vec<u8> {
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
        }
    }

    /// Leaves the situation in `folder` for another verifier: the files, and in `situation` what each is for and our
    /// verdict. `compat/` has IBM's library judge the same.
    pub(crate) fn keep(&self, folder: &Path, accepted: bool) {
        fs::create_dir_all(folder).unwrap();
        let mut situation = format!("verdict {}\n", if accepted { "accepted" } else { "refused" });
        let root: Vec<_> = self.root.iter().cloned().collect();
        let lists = [("hkd", &self.hkds), ("cert", &self.certs), ("crl", &self.crls), ("root", &root)];
        for (role, list) in lists {
            for (name, bytes) in list {
                situation.push_str(&format!("{role} {name}\n"));
                if *name != "missing" {
                    fs::write(folder.join(name), bytes).unwrap();
                }
            }
        }
        fs::write(folder.join("situation"), situation).unwrap();
    }

    /// Parses everything and judges every document; the first error counts.
    fn verify(&self, unix_time: i64) -> Result<(), Error> {
        let documents =
            self.hkds.iter().map(|(_, bytes)| HostKeyDocument::parse(bytes)).collect::<Result<Vec<_>, _>>()?;
        let mut evidence = Evidence { certificates: Vec::new(), crls: Vec::new(), roots: Roots::System };
        for (name, bytes) in &self.certs {
            let file = CertificateFile::parse(bytes)?;
            evidence.certificates.extend(sourced(name, file.certificates));
            evidence.crls.extend(sourced(name, file.crls));
        }
        for (name, bytes) in &self.crls {
            evidence.crls.extend(sourced(name, CertificateFile::parse(bytes)?.crls));
        }
        if let Some((name, bytes)) = &self.root {
            let file = CertificateFile::parse(bytes)?;
            evidence.roots = Roots::Given(sourced(name, file.certificates).collect());
            evidence.crls.extend(sourced(name, file.crls));
        }
        let verifier = Verifier::new(&evidence, unix_time)?;
        for document in &documents {
            let key = verifier.verify(document)?;
            assert_eq!(key.hash(), document.hash());
        }
        Ok(())
    }
}

fn sourced<'a, T: 'a>(name: &'a str, items: Vec<T>) -> impl Iterator<Item = Sourced<T>> + 'a {
    items.into_iter().map(move |item| Sourced { origin: name.to_owned(), item })
}

pub(crate) type Change = fn(&mut Plan);
pub(crate) type Arrange = fn(&Plan, &Pki, &mut Files);

pub(crate) const SOUND: Change = |_| {};
pub(crate) const AS_IS: Arrange = |_, _, _| {};

/// Accepted.
pub(crate) const OK: &str = "";

/// Its name, what is different, how the files differ, the error's variant (`-` when it is accepted), a part of its words.
pub(crate) struct Row(
    pub(crate) &'static str,
    pub(crate) Change,
    pub(crate) Arrange,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// Judges a situation now. Where `PVTOOLS_KEEP_MATRIX` names a folder, the situation is left there under its name.
pub(crate) fn judge(id: &str, change: Change, arrange: Arrange) -> Result<(), Error> {
    let Some(folder) = std::env::var_os("PVTOOLS_KEEP_MATRIX") else { return files(change, arrange).verify(NOW) };
    // Another verifier has the clock of the machine.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
    TIME.set(now);
    let files = files(change, arrange);
    let verdict = files.verify(now);
    files.keep(&Path::new(&folder).join(id), verdict.is_ok());
    verdict
}

/// Judges at `unix_time` what was made for now.
pub(crate) fn judge_at(unix_time: i64, change: impl Fn(&mut Plan), arrange: Arrange) -> Result<(), Error> {
    files(change, arrange).verify(unix_time)
}

fn files(change: impl Fn(&mut Plan), arrange: Arrange) -> Files {
    let mut plan = Plan::new(&POOL.keys, now());
    change(&mut plan);
    let pki = plan.build().unwrap();
    let mut files = Files::of(&pki);
    arrange(&plan, &pki, &mut files);
    files
}

/// The name of an error's variant.
pub(crate) fn variant(error: &Error) -> &'static str {
    match error {
        Error::NoCertificate => "NoCertificate",
        Error::NoCrlInFile => "NoCrlInFile",
        Error::Damaged { .. } => "Damaged",
        Error::Trailing { .. } => "Trailing",
        Error::NotP521 { .. } => "NotP521",
        Error::NoSigningKey => "NoSigningKey",
        Error::SeveralSigningKeys { .. } => "SeveralSigningKeys",
        Error::Chain { .. } => "Chain",
        Error::ChainTooShort { .. } => "ChainTooShort",
        Error::SigningKeyUse { .. } => "SigningKeyUse",
        Error::ChainRevoked { .. } => "ChainRevoked",
        Error::ChainNoCrl { .. } => "ChainNoCrl",
        Error::ChainNoCrlSigner { .. } => "ChainNoCrlSigner",
        Error::NotYetValid(_) => "NotYetValid",
        Error::Expired(_) => "Expired",
        Error::AuthorityKeyId { .. } => "AuthorityKeyId",
        Error::Issuer { .. } => "Issuer",
        Error::Signature { .. } => "Signature",
        Error::WeakSignature(_) => "WeakSignature",
        Error::CriticalExtension(_) => "CriticalExtension",
        Error::Revoked(_) => "Revoked",
        Error::NoCrl(_) => "NoCrl",
        Error::OpenSsl(_) => "OpenSsl",
        _ => "a new one",
    }
}

pub(crate) fn named(plan: &mut Plan, name: Entries) {
    plan.signing_key_crl.issuer = name.clone();
    plan.signing_key.subject = name;
}

pub(crate) fn armonk(plan: &mut Plan) {
    named(plan, signing_key_name("Armonk"));
}

pub(crate) fn entry(plan: &mut Plan, nid: Nid, value: &str) {
    let mut name = plan.signing_key.subject.clone();
    // In a pair of rows, the other one may have taken it away.
    if let Some(entry) = name.iter_mut().find(|entry| entry.0 == nid) {
        entry.1 = value.to_owned();
    }
    named(plan, name);
}

pub(crate) fn unit(plan: &mut Plan, value: &str) {
    entry(plan, Nid::ORGANIZATIONALUNITNAME, value);
}

/// C, O, OU, L, ST, CN.
pub(crate) fn reordered(town: &str) -> Entries {
    let name = signing_key_name(town);
    [0, 3, 4, 2, 1, 5].map(|at| name[at].clone()).to_vec()
}

pub(crate) fn expired(crl: &CrlSpec) -> CrlSpec {
    CrlSpec { last_update: now() - 2 * DAY, next_update: Some(now() - 60), ..crl.clone() }
}

pub(crate) fn signer_crl(pki: &Pki, spec: CrlSpec) -> Vec<u8> {
    pem(&spec.sign(&pki.signing_key).unwrap())
}

pub(crate) fn another_hkd(plan: &Plan, pki: &Pki, serial: u32) -> Vec<u8> {
    let spec = CertificateSpec { serial, key: POOL.other_host.clone(), ..plan.host_key.clone() };
    spec.issue(Some(&pki.signing_key)).unwrap().certificate.to_pem().unwrap()
}

pub(crate) fn revoke(plan: &Plan, pki: &Pki, files: &mut Files, serial: u32) {
    let spec = CrlSpec { revoked: vec![(serial, Reason::Unspecified)], ..plan.signing_key_crl.clone() };
    files.crls[2].1 = signer_crl(pki, spec);
}

/// A host-key document that another key signed; its key identifier is the genuine one, or that key's.
pub(crate) fn forge(plan: &Plan, pki: &Pki, files: &mut Files, authority_id: AuthorityId, genuine_id: bool) {
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
pub(crate) fn intermediates(plan: &Plan, pki: &Pki, files: &mut Files, count: u32) {
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

pub(crate) fn self_signed_signer(plan: &Plan, files: &mut Files, authority: bool) {
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
