//! Chains of certificates with up to six changes, made by the simulator's generator: the verifier's verdict, held against
//! OpenSSL's and against the rules of docs/security-hostkeys.md, written a second time here from what was asked of the
//! generator.
//!
//! OpenSSL is asked three times: about the chain without CRLs, where both verdicts must be the same but for our own rules;
//! about the chain with CRLs, and about a document below a signing key that is a CA. There it accepts what we accept, but:
//!
//! - With several CRLs of one issuer it takes one by its looks and says no if the signature does not hold; we take each
//!   whose checks hold.
//! - It knows the name of a signing key as it stands in the certificate alone; we know the older forms, too.
//!
//! We refuse what it accepts: CRLs that do not say until when they are valid, are signed with SHA-1, or cover a part of
//! the certificates; a certificate that any CRL lists, also as removed; all that `may_sign` and `document` below say.
#![no_main]

use hostkey::{Evidence, HostKeyDocument, Roots, Sourced, Verifier};
use libfuzzer_sys::fuzz_target;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::store::{X509Lookup, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509Crl, X509PurposeId, X509Ref, X509StoreContext};
use pvsim::pki::{
    Authority, AuthorityId, CertificateSpec, CrlSpec, DAY, Entries, Reason, common_name, signing_key_name,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// 2027-01-15 08:00:00 UTC.
const NOW: i64 = 1_800_000_000;
/// Root, three intermediates, signing key, document.
const CERTIFICATES: usize = 6;
const SIGNING_KEY: usize = 4;
const DOCUMENT: usize = 5;
const TIMES: [i64; 6] = [NOW - DAY, NOW - 1, NOW, NOW + 1, NOW + DAY, NOW + 400 * DAY];
const ANOTHER_KEY_ID: [u8; 4] = *b"else";

struct Keys {
    of: Vec<PKey<Private>>,
    other: PKey<Private>,
    weak: PKey<Private>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let ec = |curve| {
        let group = EcGroup::from_curve_name(curve).expect("a known curve");
        PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
    };
    let mut of: Vec<_> = (0..DOCUMENT).map(|_| ec(Nid::X9_62_PRIME256V1)).collect();
    of.push(ec(Nid::SECP521R1));
    let weak = PKey::from_rsa(Rsa::generate(1024).expect("a key")).expect("a key");
    Keys { of, other: ec(Nid::X9_62_PRIME256V1), weak }
});
/// Where OpenSSL reads CRLs from.
static CRL_FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("pvtools-fuzz-{}.crl", std::process::id()))
});
thread_local! {
    /// Signing takes longer than the rest: what was made is kept, by what it was made from.
    static MADE: RefCell<HashMap<String, Authority>> = RefCell::default();
    static MADE_CRLS: RefCell<HashMap<String, Arc<X509Crl>>> = RefCell::default();
}

/// Bytes that decide.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, limit: usize) -> usize {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        usize::from(*first) % limit
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A certificate, and what the generator is not told by its own type.
struct Certificate {
    spec: CertificateSpec,
    /// The key of somebody else signs it.
    forged: bool,
    /// All changes in words: what it is kept by.
    changes: String,
}

struct Crl {
    /// The certificate whose key signs it.
    by: usize,
    spec: CrlSpec,
    forged: bool,
    changes: String,
}

fn certificates() -> Vec<Certificate> {
    let authority = |number: usize| {
        let name = common_name(&format!("authority {number}"));
        CertificateSpec::authority(name, KEYS.of[number].clone(), 1 + number as u32, NOW)
    };
    let mut specs: Vec<_> = (0..SIGNING_KEY).map(authority).collect();
    specs.push(CertificateSpec::end(signing_key_name("Armonk"), KEYS.of[SIGNING_KEY].clone(), 5, NOW));
    specs.push(CertificateSpec::end(common_name("host key"), KEYS.of[DOCUMENT].clone(), 6, NOW));
    specs.into_iter().map(|spec| Certificate { spec, forged: false, changes: String::new() }).collect()
}

fn names() -> Vec<Entries> {
    let company = signing_key_name("Armonk");
    let order = [0, 3, 4, 2, 1, 5];
    let reordered = |town| order.map(|at: usize| signing_key_name(town)[at].clone()).to_vec();
    let names = ["authority 0", "authority 1", "somebody else"].map(common_name);
    let mut names = names.to_vec();
    names.extend([company, signing_key_name("Poughkeepsie"), signing_key_name("Albany")]);
    names.extend([reordered("Armonk"), reordered("Poughkeepsie")]);
    names
}

/// An extended key usage: code signing, server authentication, any.
fn extended_key_usage(choice: usize) -> Vec<u8> {
    let id: &[u8] = match choice {
        0 => &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3],
        1 => &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1],
        _ => &[0x06, 4, 0x55, 0x1d, 0x25, 0],
    };
    [&[0x30, id.len() as u8], id].concat()
}
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const NAME_CONSTRAINTS: &str = "2.5.29.30";

fn change_certificate(certificate: &mut Certificate, choices: &mut Choices) {
    let Certificate { spec, forged, changes } = certificate;
    let (kind, choice) = (choices.below(16), choices.below(256));
    changes.push_str(&format!(" {kind}/{choice}"));
    let bit = |bit: usize| choice >> bit & 1 == 1;
    match kind {
        0 => spec.not_before = TIMES[choice % TIMES.len()],
        1 => spec.not_after = TIMES[choice % TIMES.len()],
        2 => spec.basic_constraints = None,
        3 => {
            let length = [None, Some(0), Some(1), Some(2)][choice >> 2 & 3];
            spec.basic_constraints = Some((bit(0), bit(1), length.filter(|_| bit(1))));
        }
        4 => spec.key_usage = None,
        5 => spec.key_usage = Some([bit(0), bit(1), bit(2)]),
        6 => spec.subject_key_id = false,
        7 => {
            let another = [&[0x30, 6, 0x80, 4], &ANOTHER_KEY_ID[..]].concat();
            let ids = [AuthorityId::Absent, AuthorityId::Full, AuthorityId::Raw(another)];
            spec.authority_id = ids[choice % 3].clone();
        }
        8 => spec.issuer = Some(names()[choice % names().len()].clone()),
        9 => spec.subject = names()[choice % names().len()].clone(),
        10 => spec.unknown_critical = true,
        11 => spec.digest = [MessageDigest::sha1(), MessageDigest::sha384()][choice % 2],
        12 => *forged = true,
        13 if spec.extensions.is_empty() => {
            let (id, value) = match choice >> 1 & 3 {
                3 => (NAME_CONSTRAINTS, vec![0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, b'x']),
                usage => (EXTENDED_KEY_USAGE, extended_key_usage(usage)),
            };
            spec.extensions.push((id, bit(0), value));
        }
        14 => spec.key = KEYS.weak.clone(),
        _ => spec.serial = 1 + (choice % CERTIFICATES) as u32,
    }
}

fn change_crl(crl: &mut Crl, choices: &mut Choices) {
    let Crl { spec, forged, changes, .. } = crl;
    let (kind, choice) = (choices.below(11), choices.below(256));
    changes.push_str(&format!(" {kind}/{choice}"));
    match kind {
        0 => spec.last_update = TIMES[choice % TIMES.len()],
        1 => spec.next_update = Some(TIMES[choice % TIMES.len()]),
        2 => spec.next_update = None,
        3 => spec.authority_key_id = None,
        4 => spec.authority_key_id = Some(Some(ANOTHER_KEY_ID.to_vec())),
        5 => spec.only_authorities = true,
        6 => spec.unknown_critical = true,
        7 => {
            [&mut spec.sha1, &mut spec.broken, forged].into_iter().nth(choice % 3).into_iter().for_each(|it| *it = true)
        }
        8 => spec.issuer = names()[choice % names().len()].clone(),
        _ => {
            let reason = [Reason::Unspecified, Reason::Hold, Reason::RemoveFromCrl][choice >> 3 & 1];
            spec.revoked.push((1 + (choice % CERTIFICATES) as u32, reason));
        }
    }
}

/// What is given to a verifier.
struct Situation {
    certificates: Vec<Certificate>,
    issued: Vec<Option<Authority>>,
    crls: Vec<(Crl, Arc<X509Crl>)>,
    /// Numbers of those that are given as certificates, and as roots.
    given: Vec<usize>,
    roots: Vec<usize>,
}

impl Situation {
    fn make(choices: &mut Choices) -> Self {
        let mut certificates = certificates();
        let intermediates = choices.of(&[1, 1, 2, 0, 3]);
        let is_used = |number: usize| number == 0 || number >= SIGNING_KEY || number <= intermediates;
        let issuer = |number: usize| match number {
            0 => None,
            SIGNING_KEY => Some(intermediates),
            number => Some(number - 1),
        };
        let new_crl = |by: usize, certificates: &[Certificate]| {
            let spec = CrlSpec::new(certificates[by].spec.subject.clone(), NOW);
            Crl { by, spec, forged: false, changes: String::new() }
        };
        let mut crl_changes = Vec::new();
        for _ in 0..choices.below(7) {
            if choices.below(3) < 2 {
                let number = choices.below(CERTIFICATES);
                change_certificate(&mut certificates[number], choices);
            } else {
                crl_changes.push(choices.below(2 * DOCUMENT));
            }
        }
        let mut crls: Vec<_> = (0..DOCUMENT).filter(|by| is_used(*by)).map(|by| new_crl(by, &certificates)).collect();
        for number in crl_changes {
            // Beyond the end: a further CRL of the same key.
            if number >= DOCUMENT && is_used(number - DOCUMENT) {
                crls.push(new_crl(number - DOCUMENT, &certificates));
                crls.last_mut().into_iter().for_each(|crl| change_crl(crl, choices));
            } else {
                crls.iter_mut().filter(|crl| crl.by == number).for_each(|crl| change_crl(crl, choices));
            }
        }
        if choices.below(4) == 1 {
            let missing = choices.below(crls.len());
            crls.remove(missing);
        }
        let mut issued: Vec<Option<Authority>> = Vec::new();
        for (number, certificate) in certificates.iter().enumerate() {
            let made = is_used(number).then(|| {
                let issuer = issuer(number).and_then(|issuer| issued[issuer].clone());
                issue(number, certificate, issuer)
            });
            issued.push(made);
        }
        let crls = crls.into_iter().map(|crl| {
            let made = sign(&crl, issued[crl.by].as_ref().expect("only those that are used have CRLs"));
            (crl, made)
        });
        let crls = crls.collect();
        let mut given: Vec<_> = (1..DOCUMENT).filter(|number| is_used(*number)).collect();
        let first = choices.below(given.len());
        given.rotate_left(first);
        match choices.below(8) {
            1 => given.push(0),
            2 => given.push(SIGNING_KEY),
            3 => drop(given.pop()),
            4 => given.push(DOCUMENT),
            _ => {}
        }
        let roots = match choices.below(8) {
            1 => vec![SIGNING_KEY, 0],
            2 => vec![],
            3 => vec![0, 1.min(intermediates)],
            4 => vec![intermediates],
            _ => vec![0],
        };
        Self { certificates, issued, crls, given, roots }
    }

    fn certificate(&self, number: usize) -> &X509 {
        &self.issued[number].as_ref().expect("only those that are used are given").certificate
    }

    fn spec(&self, number: usize) -> &CertificateSpec {
        &self.certificates[number].spec
    }

    fn evidence(&self) -> Evidence {
        let sourced = |number: &usize| Sourced { origin: format!("{number}"), item: self.certificate(*number).clone() };
        let crls = self.crls.iter().map(|(_, crl)| Sourced { origin: "crl".to_owned(), item: crl.clone() });
        Evidence {
            certificates: self.given.iter().map(sourced).collect(),
            crls: crls.collect(),
            roots: Roots::Given(self.roots.iter().map(sourced).collect()),
        }
    }

    /// OpenSSL's verdict on a certificate: the chain that it built, as numbers.
    fn openssl(&self, leaf: usize, depth: i32, with_crls: bool) -> Result<Option<Vec<usize>>, ErrorStack> {
        let mut untrusted = Stack::new()?;
        for number in self.given.iter().filter(|number| **number != leaf) {
            untrusted.push(self.certificate(*number).clone())?;
        }
        let mut builder = X509StoreBuilder::new()?;
        for root in &self.roots {
            builder.add_cert(self.certificate(*root).clone())?;
        }
        let mut param = X509VerifyParam::new()?;
        let mut flags = X509VerifyFlags::X509_STRICT
            | X509VerifyFlags::TRUSTED_FIRST
            | X509VerifyFlags::CHECK_SS_SIGNATURE
            | X509VerifyFlags::POLICY_CHECK;
        if with_crls && !self.crls.is_empty() {
            let pem = self.crls.iter().map(|(_, crl)| crl.to_pem()).collect::<Result<Vec<_>, _>>()?.concat();
            std::fs::write(&*CRL_FILE, pem).expect("a folder to write to");
            let lookup = builder.add_lookup(X509Lookup::file())?;
            lookup.load_crl_file(&*CRL_FILE, openssl::ssl::SslFiletype::PEM)?;
        }
        if with_crls {
            flags |= X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL;
        }
        param.set_flags(flags)?;
        param.set_depth(depth);
        param.set_auth_level(2);
        param.set_purpose(X509PurposeId::ANY)?;
        param.set_time(NOW);
        builder.set_param(&param)?;
        let number_of = |certificate: &X509Ref| {
            let is = |made: &Option<Authority>| made.as_ref().is_some_and(|made| *made.certificate == *certificate);
            self.issued.iter().position(is).expect("one of ours")
        };
        X509StoreContext::new()?.init(&builder.build(), self.certificate(leaf), &untrusted, |context| {
            let holds = context.verify_cert()?;
            let chain = context.chain().map(|chain| chain.iter().map(number_of).collect());
            Ok(chain.filter(|_| holds))
        })
    }

    /// Whether a CRL is of the key and name of this certificate, and good for something.
    fn is_usable(&self, crl: &Crl, of: usize) -> bool {
        let CrlSpec { issuer, last_update, next_update, authority_key_id, .. } = &crl.spec;
        let names =
            if of == SIGNING_KEY { old_names(&self.spec(of).subject) } else { vec![self.spec(of).subject.clone()] };
        let is_named = match authority_key_id {
            // Of the certificate that signs it.
            None | Some(None) => true,
            Some(Some(_)) => !self.spec(of).subject_key_id,
        };
        names.contains(issuer)
            && *last_update <= NOW
            && next_update.is_some_and(|end| end > NOW)
            && !crl.spec.only_authorities
            && !crl.spec.unknown_critical
            && !crl.spec.sha1
            && !crl.spec.broken
            && !crl.forged
            && crl.by == of
            && is_named
    }

    /// Whether CRLs of `issuer` are there, and none lists `number`.
    fn is_current(&self, number: usize, issuer: usize) -> bool {
        let serial = self.spec(number).serial;
        let mut usable = self.crls.iter().filter(|(crl, _)| self.is_usable(crl, issuer)).peekable();
        usable.peek().is_some() && usable.all(|(crl, _)| crl.spec.revoked.iter().all(|(listed, _)| *listed != serial))
    }

    /// What the verifier must say of the chain.
    fn is_chain_good(&self) -> Result<bool, ErrorStack> {
        let signs = |number: &&usize| is_signing_key(&self.spec(**number).subject);
        let mut signing_keys: Vec<_> = self.given.iter().filter(signs).copied().collect();
        signing_keys.sort_unstable();
        signing_keys.dedup();
        let [signing_key] = signing_keys[..] else { return Ok(false) };
        let Some(chain) = self.openssl(signing_key, 2, false)? else { return Ok(false) };
        let issuers = chain.iter().skip(1).chain(chain.last());
        let may_sign_crls = |number: usize| self.spec(number).key_usage.is_none_or(|[_, crls, _]| crls);
        let are_current = chain
            .iter()
            .zip(issuers)
            .all(|(number, issuer)| may_sign_crls(*issuer) && self.is_current(*number, *issuer));
        Ok(chain.len() >= 2 && may_sign(self.spec(signing_key)) && are_current)
    }

    /// What the verifier must say of the document, when the chain is good.
    fn is_document_good(&self) -> bool {
        let (document, signing_key) = (self.spec(DOCUMENT), self.spec(SIGNING_KEY));
        let issuer = document.issuer.as_ref().unwrap_or(&signing_key.subject);
        let is_of_key = match &document.authority_id {
            AuthorityId::Raw(_) => !signing_key.subject_key_id,
            _ => true,
        };
        document.not_before <= NOW
            && document.not_after > NOW
            && is_of_key
            && old_names(&signing_key.subject).contains(issuer)
            && !self.certificates[DOCUMENT].forged
            && document.digest.type_() != Nid::SHA1
            && !document.unknown_critical
            && document.extensions.iter().all(|(_, critical, _)| !critical)
            && self.is_current(DOCUMENT, SIGNING_KEY)
    }

    fn has_several_crls(&self) -> bool {
        let of = |name: &Entries| self.crls.iter().filter(|(crl, _)| crl.spec.issuer == *name).count();
        self.crls.iter().any(|(crl, _)| of(&crl.spec.issuer) > 1)
    }
}

fn issue(number: usize, certificate: &Certificate, issuer: Option<Authority>) -> Authority {
    let signer = issuer.as_ref().map(|issuer| {
        let id = openssl::sha::sha256(&issuer.certificate.to_der().expect("DER"));
        hex(&id)
    });
    let made_from = format!("{number}{}{:?}", certificate.changes, signer);
    if let Some(made) = MADE.with_borrow(|made| made.get(&made_from).cloned()) {
        return made;
    }
    let issuer = match (issuer, certificate.forged) {
        (Some(issuer), true) => Some(Authority { key: KEYS.other.clone(), ..issuer }),
        (issuer, _) => issuer,
    };
    let made = certificate.spec.issue(issuer.as_ref()).expect("whatever the generator is asked for");
    keep(&MADE, made_from, made)
}

fn sign(crl: &Crl, signer: &Authority) -> Arc<X509Crl> {
    let id = openssl::sha::sha256(&signer.certificate.to_der().expect("DER"));
    let made_from = format!("{}{}{}{:?}", crl.by, crl.changes, hex(&id), crl.spec.issuer);
    if let Some(made) = MADE_CRLS.with_borrow(|made| made.get(&made_from).cloned()) {
        return made;
    }
    let mut signer = signer.clone();
    if crl.forged {
        signer.key = KEYS.other.clone();
    }
    let made = crl.spec.sign(&signer).expect("whatever the generator is asked for");
    keep(&MADE_CRLS, made_from, Arc::new(made))
}

fn keep<T: Clone>(all: &'static std::thread::LocalKey<RefCell<HashMap<String, T>>>, key: String, made: T) -> T {
    all.with_borrow_mut(|all| {
        if all.len() > 20_000 {
            all.clear();
        }
        all.insert(key, made.clone());
    });
    made
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_signing_key(subject: &Entries) -> bool {
    ["Armonk", "Poughkeepsie"].iter().any(|town| {
        let (mut wanted, mut found) = (signing_key_name(town), subject.clone());
        [&mut wanted, &mut found].into_iter().for_each(|entries| {
            entries.sort_by(|one, other| one.1.cmp(&other.1).then(one.0.as_raw().cmp(&other.0.as_raw())))
        });
        wanted == found
    })
}

/// The names under which a signing key may have issued something.
fn old_names(subject: &Entries) -> Vec<Entries> {
    let mut names = vec![subject.clone()];
    let old = subject.iter().map(|(nid, value)| (*nid, value.replace("Armonk", "Poughkeepsie"))).collect();
    let order = ["C", "O", "OU", "L", "ST", "CN"];
    for name in [subject.clone(), old] {
        let find = |key: &str| name.iter().find(|(nid, _)| nid.short_name().is_ok_and(|short| short == key)).cloned();
        names.push(order.iter().filter_map(|key| find(key)).collect());
        names.push(name);
    }
    names
}

/// Whether what a signing key says of its use does not exclude it.
fn may_sign(spec: &CertificateSpec) -> bool {
    let may_sign = match spec.key_usage {
        None | Some([true, true, _]) => true,
        // The generator makes it "digital signature".
        Some(usage) => usage == [false; 3],
    };
    let fits = |(id, critical, value): &(&str, bool, Vec<u8>)| match *id {
        NAME_CONSTRAINTS => false,
        _ => !critical || *value != extended_key_usage(1),
    };
    may_sign && spec.extensions.iter().all(fits)
}

fn fuzz(bytes: &[u8]) {
    let situation = Situation::make(&mut Choices(bytes));
    let good = situation.is_chain_good().expect("OpenSSL has a verdict");
    let verifier = Verifier::new(&situation.evidence(), NOW);
    let words = || {
        let changes = |(number, certificate): (usize, &Certificate)| format!("{number}:{}", certificate.changes);
        let certificates: Vec<_> = situation.certificates.iter().enumerate().map(changes).collect();
        let crls: Vec<_> = situation.crls.iter().map(|(crl, _)| (crl.by, &crl.spec, crl.forged)).collect();
        format!("{certificates:?} {crls:?} given {:?} roots {:?}", situation.given, situation.roots)
    };
    assert_eq!(verifier.is_ok(), good, "{:?}: {}", verifier.as_ref().err(), words());
    let Ok(verifier) = verifier else { return };
    // OpenSSL looks for CRLs in its own way.
    let agrees = |leaf, depth| situation.openssl(leaf, depth, true).expect("OpenSSL has a verdict").is_some();
    let several = situation.has_several_crls();
    let signing_key = situation.given.iter().find(|number| is_signing_key(&situation.spec(**number).subject));
    let signing_key = *signing_key.expect("a good chain has one");
    assert!(several || agrees(signing_key, 2), "OpenSSL refuses the chain: {}", words());
    if signing_key != SIGNING_KEY {
        return;
    }
    let document = HostKeyDocument::from_certificate(situation.certificate(DOCUMENT).clone());
    let Ok(document) = document else {
        assert!(situation.spec(DOCUMENT).key.ec_key().is_err(), "{}", words());
        return;
    };
    let verdict = verifier.verify(&document);
    assert_eq!(verdict.is_ok(), situation.is_document_good(), "{:?}: {}", verdict.as_ref().err(), words());
    let key = situation.spec(SIGNING_KEY);
    let is_authority = matches!(key.basic_constraints, Some((true, true, None)))
        && key.key_usage.is_some_and(|[certificates, crls, _]| certificates && crls);
    let is_named = situation.spec(DOCUMENT).issuer.as_ref().is_none_or(|issuer| *issuer == key.subject);
    let crl_is_named =
        situation.crls.iter().any(|(crl, _)| situation.is_usable(crl, SIGNING_KEY) && crl.spec.issuer == key.subject);
    if verdict.is_ok() && is_authority && is_named && crl_is_named && !several {
        assert!(agrees(DOCUMENT, 3), "OpenSSL refuses the document: {}", words());
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
