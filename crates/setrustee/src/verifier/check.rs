//! Does everything in a folder fit together? The server says nothing until the first guest comes, and then only in its log.

use super::environment::check_environment;
use super::expiry::Expiry;
use super::{CERTIFICATES, CRLS, HEADER, HOST_KEY_DOCUMENTS, ROOT_CA, RSA_PRIVATE, RSA_PUBLIC};
use crate::{Error, Finding, MeasurementKeyPair, PublicHalf, RSA_BITS, Severity};
use hostkey::{CertificateFile, Evidence, HostKeyDocument, Roots, Sourced, Verifier};
use openssl::x509::{X509, X509Crl};
use sehdr::{SeHeader, Search};
use serde::Serialize;
use std::io::Cursor;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Machines that a challenge can be for, at most: the key slots of an attestation request.
pub const MAX_HOST_KEYS: usize = 255;

/// What is in a folder. Paths are relative to it.
#[derive(Debug, Default)]
pub struct Folder {
    /// Everything but the folders themselves.
    pub entries: Vec<Entry>,
}

/// A file or folder below the verifier's folder.
pub struct Entry {
    /// Path below the verifier's folder.
    pub path: String,
    /// Sort of entry; a link counts as what it leads to.
    pub kind: EntryKind,
    /// Permission bits, as in `st_mode`.
    pub mode: u32,
    /// Content of the file; of a large one, the beginning.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Size of the whole.
    pub size: u64,
}

/// Sort of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file that the verifier would read.
    File,
    /// A folder where the verifier expects files: it is ignored.
    Folder,
    /// Anything else, or a link to nothing: the verifier fails at it or waits.
    Other,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry('{}', {:?}, {:o}, {} bytes)", self.path, self.kind, self.mode, self.size)
    }
}

/// A key slot of the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// The host key it is for.
    pub image_phkh: String,
    /// The file of that host key's document, if it is there.
    pub file: Option<String>,
}

/// Outcome of the check of a verifier's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Faults of the folder, present and to come.
    pub findings: Vec<Finding>,
    /// Tag of the header.
    pub tag: Option<String>,
    /// Key slots of the header, each with its host-key document if there is one.
    pub slots: Vec<Slot>,
    /// Certificates and CRLs with the time at which they end, the first to end first.
    pub expiries: Vec<Expiry>,
}

impl Report {
    /// Whether there is a fault for which guests cannot attest.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn error(&mut self, place: &str, problem: impl Into<String>, advice: impl Into<String>) {
        self.findings.push(Finding::error(place, problem, advice));
    }

    fn warning(&mut self, place: &str, problem: impl Into<String>, advice: impl Into<String>) {
        self.findings.push(Finding::warning(place, problem, advice));
    }
}

/// Checks a folder as the verifier will read it in offline mode at `now`, in seconds since 1970, and warns of what ends
/// within `warn_days`. `environment` is the text of an environment file, with what it is called. Without a root CA in the
/// folder, that of this system is taken, as the verifier takes that of its own.
pub fn check(folder: &Folder, environment: Option<(&str, &str)>, now: i64, warn_days: i32) -> Report {
    let mut report = Report::default();
    folder.check_entries(&mut report);
    folder.check_rsa(&mut report);
    let header = folder.check_header(&mut report);
    let documents = folder.check_documents(&mut report);
    folder.check_trust(&documents, now, &mut report);
    if let Some(header) = header {
        check_slots(&header, &documents, &mut report);
    }
    if let Some((place, text)) = environment {
        report.findings.extend(check_environment(place, text));
    }
    report.expiries.sort_by_key(|expiry| expiry.days);
    for expiry in &report.expiries {
        // What is over, the checks above have said.
        if (0..=warn_days).contains(&expiry.days) {
            let problem = format!("the {} ends in {} days, on {}", expiry.what, expiry.days, expiry.date);
            report.findings.push(Finding::warning(&expiry.file, problem, "get the next one in time"));
        }
    }
    report
}

impl Folder {
    fn file(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path && entry.kind == EntryKind::File)
    }

    /// The files in a folder, which the verifier reads all.
    fn files<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Entry> {
        let inside = move |entry: &&Entry| entry.path.rsplit_once('/').is_some_and(|(parent, _)| parent == folder);
        self.entries.iter().filter(inside).filter(|entry| entry.kind == EntryKind::File)
    }

    fn check_entries(&self, report: &mut Report) {
        for entry in &self.entries {
            let name = &entry.path;
            let known = [ROOT_CA, HEADER, RSA_PRIVATE, RSA_PUBLIC].contains(&name.as_str());
            let parent = name.rsplit_once('/').map(|(parent, _)| parent);
            let in_list = parent.is_some_and(|parent| [HOST_KEY_DOCUMENTS, CERTIFICATES, CRLS].contains(&parent));
            match entry.kind {
                EntryKind::Other if known || in_list => {
                    report.error(name, "it is no file, or a link to nothing", "remove it: the verifier cannot read it");
                }
                EntryKind::Folder if in_list => {
                    report.warning(name, "it is a folder, which the verifier does not look into", "move its files up");
                }
                EntryKind::File if !known && !in_list && parent.is_some() => {
                    report.warning(name, "a stray file: nothing reads it", "remove it");
                }
                _ => {}
            }
        }
    }

    fn check_rsa(&self, report: &mut Report) {
        let (private, public) = (self.file(RSA_PRIVATE), self.file(RSA_PUBLIC));
        let advice = "let 'pvtools trustee verifier' make a pair";
        for (path, entry) in [(RSA_PRIVATE, private), (RSA_PUBLIC, public)] {
            let Some(entry) = entry else {
                report.error(path, "it is missing", advice);
                continue;
            };
            if entry.mode & 0o007 != 0 {
                let what = if path == RSA_PUBLIC { ": who reads this 'public' key can forge evidence" } else { "" };
                report.error(
                    path,
                    format!("everybody can read it (mode {:04o}){what}", entry.mode),
                    "chmod 0600, or 0640 with the pod's group",
                );
            }
        }
        let private = private.and_then(|entry| match MeasurementKeyPair::from_pem(&entry.bytes) {
            Ok(pair) => Some(pair),
            Err(error) => {
                report.error(RSA_PRIVATE, error.to_string(), advice);
                None
            }
        });
        let public = public.and_then(|entry| match PublicHalf::from_pem(&entry.bytes) {
            Ok(public) => Some(public),
            Err(error) => {
                report.error(RSA_PUBLIC, error.to_string(), advice);
                None
            }
        });
        if let Some(private) = &private {
            if private.bits() < RSA_BITS {
                let problem = format!("an RSA key of {} bits; expected {RSA_BITS}", private.bits());
                report.warning(RSA_PRIVATE, problem, advice);
            }
            if let Some(Err(error)) = public.map(|public| private.belongs_to(&public)) {
                report.error(RSA_PUBLIC, error.to_string(), "take both halves of one pair, and restart the verifier");
            }
        }
    }

    fn check_header(&self, report: &mut Report) -> Option<SeHeader> {
        let Some(entry) = self.file(HEADER) else {
            report.error(HEADER, "it is missing", "extract it with 'pvextract-hdr', or run 'pvtools trustee verifier'");
            return None;
        };
        let header = sehdr::locate(&mut Cursor::new(entry.bytes.as_slice()), Search::Everywhere)
            .and_then(|found| SeHeader::parse(&found.bytes));
        let header = match header {
            Ok(header) => header,
            Err(error) => {
                report.error(HEADER, error.to_string(), "extract it from the image with 'pvextract-hdr'");
                return None;
            }
        };
        if entry.size != u64::from(header.size()) {
            let problem = format!(
                "it has {} bytes, the header in it {}: a whole image, of which other tools print wrong values",
                entry.size,
                header.size()
            );
            report.warning(HEADER, problem, "extract the header with 'pvextract-hdr'");
        }
        report.tag = Some(hex::encode(header.boot_tags().tag));
        Some(header)
    }

    fn check_documents(&self, report: &mut Report) -> Vec<(String, HostKeyDocument)> {
        let mut documents: Vec<(String, HostKeyDocument)> = Vec::new();
        let mut files = 0;
        for entry in self.files(HOST_KEY_DOCUMENTS) {
            files += 1;
            match HostKeyDocument::parse(&entry.bytes) {
                Ok(document) => {
                    if document.ignored_certificates() > 0 {
                        report.warning(&entry.path, "it has several certificates: the first one counts", "");
                    }
                    documents.push((entry.path.clone(), document));
                }
                Err(error) => {
                    report.error(
                        &entry.path,
                        format!("{error}: it stops all attestation"),
                        "remove the file, or replace it",
                    );
                }
            }
        }
        if files == 0 {
            report.error(HOST_KEY_DOCUMENTS, "there is no host-key document", "add that of each machine");
        } else if files > MAX_HOST_KEYS {
            let problem = format!("there are {files} files; a challenge is for {MAX_HOST_KEYS} machines at most");
            report.error(HOST_KEY_DOCUMENTS, problem, "use several verifiers");
        }
        documents
    }

    fn certificates(&self, report: &mut Report) -> Vec<Sourced<X509>> {
        let mut certificates = Vec::new();
        for entry in self.files(CERTIFICATES) {
            match CertificateFile::parse(&entry.bytes) {
                Ok(file) if file.certificates.is_empty() => {
                    report.warning(&entry.path, "there is no certificate in it: the verifier ignores it", "remove it");
                }
                Ok(file) => {
                    let items = file.certificates.into_iter();
                    certificates.extend(items.map(|item| Sourced { origin: entry.path.clone(), item }));
                }
                Err(error) => report.error(&entry.path, error.to_string(), "replace the file"),
            }
        }
        certificates
    }

    fn crls(&self, report: &mut Report) -> Vec<Sourced<Arc<X509Crl>>> {
        let mut crls = Vec::new();
        for entry in self.files(CRLS) {
            match CertificateFile::parse(&entry.bytes) {
                Ok(file) if !file.crls.is_empty() => {
                    crls.extend(file.crls.into_iter().map(|item| Sourced { origin: entry.path.clone(), item }));
                }
                Ok(_) => report.error(&entry.path, "there is no CRL in it: it stops all attestation", "remove it"),
                Err(error) => {
                    report.error(&entry.path, format!("{error}: it stops all attestation"), "replace the file")
                }
            }
        }
        crls
    }

    fn roots(&self, report: &mut Report) -> Roots {
        let Some(entry) = self.file(ROOT_CA) else {
            let problem = "it is missing: the roots of the verifier's system are trusted instead";
            report.warning(ROOT_CA, problem, "put the root CA there");
            return Roots::System;
        };
        match CertificateFile::parse(&entry.bytes) {
            Ok(file) if !file.certificates.is_empty() => {
                let items = file.certificates.into_iter();
                Roots::Given(items.map(|item| Sourced { origin: ROOT_CA.to_owned(), item }).collect())
            }
            Ok(_) => {
                report.error(ROOT_CA, "there is no certificate in it", "replace the file");
                Roots::Given(Vec::new())
            }
            Err(error) => {
                report.error(ROOT_CA, error.to_string(), "replace the file");
                Roots::Given(Vec::new())
            }
        }
    }

    /// As `hostkey` judges, and where the verifier is stricter.
    fn check_trust(&self, documents: &[(String, HostKeyDocument)], now: i64, report: &mut Report) {
        let certificates = self.certificates(report);
        let crls = self.crls(report);
        let roots = self.roots(report);
        if let Err(error) = list_ends(documents, &certificates, &crls, &roots, now, report) {
            report.error(".", Error::OpenSsl(error).to_string(), "");
        }
        let keys: Vec<_> = certificates.iter().filter(|source| hostkey::is_signing_key(&source.item)).collect();
        if keys.len() > 1 {
            let files: Vec<_> = keys.iter().map(|source| source.origin.as_str()).collect();
            let problem =
                format!("there are {} IBM Z signing keys ({}); expected exactly one", keys.len(), files.join(", "));
            report.error(CERTIFICATES, problem, "remove the others, also copies of the same one");
        }
        match Verifier::new(&Evidence { certificates, crls, roots }, now) {
            // Said above: several different ones.
            Err(hostkey::Error::SeveralSigningKeys { .. }) => {}
            Err(error) => {
                let place = if matches!(error, hostkey::Error::ChainNoCrl { .. }) { CRLS } else { CERTIFICATES };
                report.error(place, error.to_string(), advice_for(&error));
            }
            Ok(verifier) => {
                for (file, document) in documents {
                    if let Err(error) = verifier.verify(document) {
                        let problem = format!("{error}: it stops all attestation");
                        report.error(file, problem, advice_for(&error));
                    }
                }
            }
        }
    }
}

fn advice_for(error: &hostkey::Error) -> &'static str {
    match error {
        hostkey::Error::NoCrl(_) | hostkey::Error::ChainNoCrl { .. } => {
            "the offline mode needs three current CRLs: of root, intermediate and signing key; run 'pvtools trustee verifier' again"
        }
        hostkey::Error::NoSigningKey => "add the certificate of the IBM Z signing key",
        hostkey::Error::Expired(_) | hostkey::Error::Revoked(_) => {
            "remove the document, or get the machine's next one from IBM"
        }
        hostkey::Error::Chain { .. } => "add the intermediate CA and the root that belong to the signing key",
        _ => "replace the file",
    }
}

fn list_ends(
    documents: &[(String, HostKeyDocument)],
    certificates: &[Sourced<X509>],
    crls: &[Sourced<Arc<X509Crl>>],
    roots: &Roots,
    now: i64,
    report: &mut Report,
) -> Result<(), openssl::error::ErrorStack> {
    for (file, document) in documents {
        report.expiries.push(Expiry::new(file, "host-key document", document.certificate().not_after(), now)?);
    }
    for Sourced { origin, item } in certificates {
        report.expiries.push(Expiry::new(origin, "certificate", item.not_after(), now)?);
    }
    if let Roots::Given(roots) = roots {
        for Sourced { origin, item } in roots {
            report.expiries.push(Expiry::new(origin, "root CA", item.not_after(), now)?);
        }
    }
    for Sourced { origin, item } in crls {
        if let Some(next_update) = item.next_update() {
            report.expiries.push(Expiry::new(origin, "CRL", next_update, now)?);
        }
    }
    Ok(())
}

fn check_slots(header: &SeHeader, documents: &[(String, HostKeyDocument)], report: &mut Report) {
    let file_of = |hash| documents.iter().find(|(_, document)| document.hash() == hash);
    for hash in header.host_key_hashes() {
        let file = file_of(hash).map(|(file, _)| file.clone());
        if file.is_none() {
            let problem =
                format!("the key slot {hash:x} is for a machine without a host-key document in '{HOST_KEY_DOCUMENTS}'");
            report.warning(HEADER, problem, "guests on that machine cannot attest: add its document");
        }
        report.slots.push(Slot { image_phkh: format!("{hash:x}"), file });
    }
    for (file, document) in documents {
        if !header.host_key_hashes().any(|hash| hash == document.hash()) {
            let problem = format!("the header has no key slot for this machine ({:x})", document.hash());
            report.warning(file, problem, "the image does not start there: build it with this document too");
        }
    }
    if !report.slots.is_empty() && report.slots.iter().all(|slot| slot.file.is_none()) && !documents.is_empty() {
        report.error(
            HEADER,
            "it has a key slot for none of the host-key documents",
            "it is the header of an image for other machines",
        );
    }
}
