//! The options that name and judge host keys, shared by all tools that take them.

use crate::System;
use crate::shared::crls::{self, Places};
use crate::shared::input;
use anyhow::{Context, anyhow, bail};
use clap::{ArgGroup, Args};
use hostkey::{CertificateFile, Error, Evidence, HostKeyDocument, Roots, Source, TrustedHostKey, Verifier};
use openssl::x509::X509;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// No certificate file is larger; a CRL may be.
const MAX_CERTIFICATE_FILE: usize = 1 << 20;
const MAX_CRL_FILE: usize = 64 << 20;
const FAILED: &str = "Host-key verification failed";

/// Host keys, and what they are judged by.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("pv_verify").args(["no_verify", "certs"]).required(true))]
pub(crate) struct HostKeyArgs {
    /// Encrypt for the machine with this host-key document; may be repeated
    #[arg(short = 'k', long, value_name = "FILE", value_delimiter = ',', required = true)]
    host_key_document: Vec<PathBuf>,
    /// Use the host keys without any check of who made them
    #[arg(long)]
    no_verify: bool,
    /// Certificates between host key and root CA: the IBM Z signing key and intermediate CAs
    ///
    /// PEM or DER; a file may also hold CRLs. Exactly one of the certificates must be an IBM Z signing key.
    #[arg(short = 'C', long = "cert", alias = "crt", value_name = "FILE", value_delimiter = ',')]
    certs: Vec<PathBuf>,
    /// Certificate revocation lists; may be repeated
    #[arg(long = "crl", value_name = "FILE", value_delimiter = ',')]
    crls: Vec<PathBuf>,
    /// Do not download CRLs
    #[arg(long)]
    offline: bool,
    /// Trust this root CA instead of those of the system
    #[arg(long, value_name = "ROOT_CA")]
    root_ca: Option<PathBuf>,
}

impl HostKeyArgs {
    /// Every file that these options name.
    pub(crate) fn inputs(&self) -> Vec<&Path> {
        let lists = [&self.host_key_document, &self.certs, &self.crls];
        lists.into_iter().flatten().chain(&self.root_ca).map(PathBuf::as_path).collect()
    }

    /// The host keys, in the order of the command line, each verified or trusted by explicit wish.
    /// `protects` says in the warning what a wrong key would give away.
    pub(crate) fn load(&self, protects: &str, system: &mut System) -> anyhow::Result<Vec<TrustedHostKey>> {
        let mut documents = Vec::new();
        for (path, document) in all_or_errors(self.host_key_document.iter().map(|path| (path, load_document(path))))? {
            if document.ignored_certificates() > 0 {
                system.warn(&format!(
                    "The host-key document in '{}' contains more than one certificate! The first one is used.",
                    path.display()
                ));
            }
            documents.push((path, document));
        }
        if self.no_verify {
            self.warn_unverified(protects, system);
            let trust = |(path, document): (&PathBuf, HostKeyDocument), system: &mut System| {
                system.info(&format!("Use host-key document at '{}'", path.display()));
                document.trust_unverified()
            };
            return Ok(documents.into_iter().map(|document| trust(document, system)).collect());
        }
        let only: Vec<_> = documents.iter().map(|(_, document)| document).collect();
        let verifier = self.verifier(&only, system)?;
        let verified = documents.iter().map(|(path, document)| {
            let cannot = || format!("{FAILED}: '{}'", path.display());
            (path, verifier.verify(document).with_context(cannot))
        });
        let trusted = all_or_errors(verified)?;
        for (path, _) in &trusted {
            system.debug("HKD: verified");
            system.info(&format!("Use host-key document at '{}'", path.display()));
        }
        Ok(trusted.into_iter().map(|(_, key)| key).collect())
    }

    /// Whether the documents are to be used without any check.
    pub(crate) fn no_verify(&self) -> bool {
        self.no_verify
    }

    /// The files of the host-key documents.
    pub(crate) fn documents(&self) -> &[PathBuf] {
        &self.host_key_document
    }

    pub(crate) fn warn_unverified(&self, protects: &str, system: &mut System) {
        system.warn(&format!("Host-key document verification is disabled. The {protects} may not be protected."));
        let ignored =
            [("--crl", !self.crls.is_empty()), ("--offline", self.offline), ("--root-ca", self.root_ca.is_some())];
        for (option, _) in ignored.iter().filter(|(_, given)| *given) {
            system.warn(&format!("'{option}' has no effect together with '--no-verify'."));
        }
    }

    /// The judge of `documents`. CRLs are looked for where certificates say, in the cache first; when something in the
    /// cache does not verify, once more without it.
    pub(crate) fn verifier(&self, documents: &[&HostKeyDocument], system: &mut System) -> anyhow::Result<Verifier> {
        let now = (system.now)().duration_since(UNIX_EPOCH).context("The clock is set before 1970")?.as_secs();
        let now = i64::try_from(now).context("The clock is set too late")?;
        let places = if self.offline { Places::Cache } else { Places::CacheThenNetwork };
        let (verifier, cached) = self.verifier_from(documents, places, now, system)?;
        let sound = |verifier: &Verifier| {
            !documents.iter().any(|document| matches!(verifier.verify(document), Err(Error::NoCrl(_))))
        };
        if places == Places::Cache || !cached || verifier.as_ref().is_ok_and(sound) {
            return verifier.context(FAILED);
        }
        self.verifier_from(documents, Places::Network, now, system)?.0.context(FAILED)
    }

    fn verifier_from(
        &self,
        documents: &[&HostKeyDocument],
        places: Places,
        now: i64,
        system: &mut System,
    ) -> anyhow::Result<(Result<Verifier, Error>, bool)> {
        let mut evidence = self.evidence()?;
        let own = evidence.certificates.iter().map(|source| &source.item);
        let certificates: Vec<_> = own.chain(documents.iter().map(|document| document.certificate())).collect();
        let gathered = crls::gather(&certificates, places, now, system);
        evidence.crls.extend(gathered.crls);
        evidence.failures = gathered.failures;
        Ok((Verifier::new(evidence, now), gathered.cached))
    }

    /// All that the documents are judged by.
    pub(crate) fn evidence(&self) -> anyhow::Result<Evidence> {
        let mut evidence =
            Evidence { certificates: Vec::new(), crls: Vec::new(), roots: Roots::System, failures: BTreeMap::new() };
        for path in &self.certs {
            let file = load_certificates(path, "certificate", MAX_CERTIFICATE_FILE)?;
            if file.certificates.is_empty() && file.crls.is_empty() {
                bail!(unusable(path, "certificate file", Error::NoCertificate));
            }
            evidence.certificates.extend(sources(path, file.certificates));
            evidence.crls.extend(sources(path, file.crls));
        }
        for path in &self.crls {
            let file = load_certificates(path, "CRL", MAX_CRL_FILE)?;
            if file.crls.is_empty() {
                bail!(unusable(path, "CRL file", Error::NoCrlInFile));
            }
            evidence.crls.extend(sources(path, file.crls));
        }
        if let Some(path) = &self.root_ca {
            let file = load_certificates(path, "root CA certificate", MAX_CERTIFICATE_FILE)?;
            if file.certificates.is_empty() {
                bail!(unusable(path, "root CA", Error::NoCertificate));
            }
            evidence.roots = Roots::Given(sources(path, file.certificates).collect());
            evidence.crls.extend(sources(path, file.crls));
        } else if let Some(path) = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from) {
            // OpenSSL reads the roots in this file by itself; its CRLs count as well.
            if let Ok(file) = load_certificates(&path, "certificate", MAX_CRL_FILE) {
                evidence.crls.extend(sources(&path, file.crls));
            }
        }
        Ok(evidence)
    }
}

/// Files in PEM that together verify host-key documents without a network.
pub(crate) struct Bundle {
    pub(crate) documents: Vec<Vec<u8>>,
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) crls: Vec<Vec<u8>>,
    /// All given roots in one; none when those of the system are trusted.
    pub(crate) root: Option<Vec<u8>>,
}

impl HostKeyArgs {
    /// Verifies the documents and gives all that this took.
    pub(crate) fn bundle(&self, system: &mut System) -> anyhow::Result<Bundle> {
        let documents: Vec<_> =
            self.host_key_document.iter().map(|path| load_document(path)).collect::<anyhow::Result<_>>()?;
        let references: Vec<_> = documents.iter().collect();
        let verifier = self.verifier(&references, system)?;
        for (path, document) in self.host_key_document.iter().zip(&documents) {
            verifier.verify(document).with_context(|| format!("{FAILED}: '{}'", path.display()))?;
        }
        let evidence = self.evidence()?;
        let pem = |certificate: &X509| -> anyhow::Result<Vec<u8>> { Ok(certificate.to_pem()?) };
        let sources = |sources: &[Source<X509>]| -> anyhow::Result<Vec<Vec<u8>>> {
            sources.iter().map(|source| pem(&source.item)).collect()
        };
        let root = match &evidence.roots {
            Roots::Given(roots) => Some(sources(roots)?),
            Roots::System => None,
        };
        Ok(Bundle {
            documents: documents.iter().map(|document| pem(document.certificate())).collect::<anyhow::Result<_>>()?,
            certificates: sources(&evidence.certificates)?,
            crls: verifier.crls().iter().map(|crl| Ok(crl.item.to_pem()?)).collect::<anyhow::Result<_>>()?,
            root: root.map(|roots| roots.concat()),
        })
    }
}

/// Everything, or in one line what is wrong with each that failed.
fn all_or_errors<P, T>(results: impl Iterator<Item = (P, anyhow::Result<T>)>) -> anyhow::Result<Vec<(P, T)>> {
    let (mut good, mut errors) = (Vec::new(), Vec::new());
    for (path, result) in results {
        match result {
            Ok(item) => good.push((path, item)),
            Err(error) => errors.push(error),
        }
    }
    if errors.len() > 1 {
        let lines: Vec<_> = errors.iter().map(|error| format!("{error:#}")).collect();
        bail!(lines.join("; "));
    }
    errors.pop().map_or(Ok(good), Err)
}

/// Reads a host-key document.
pub(crate) fn load_document(path: &Path) -> anyhow::Result<HostKeyDocument> {
    let bytes = input::read(path, MAX_CERTIFICATE_FILE, "host-key document")?;
    HostKeyDocument::parse(&bytes).map_err(|error| unusable(path, "host-key document", error))
}

fn load_certificates(path: &Path, what: &str, limit: usize) -> anyhow::Result<CertificateFile> {
    let bytes = input::read(path, limit, what)?;
    CertificateFile::parse(&bytes).map_err(|error| unusable(path, &format!("{what} file"), error))
}

fn unusable(path: &Path, what: &str, error: Error) -> anyhow::Error {
    anyhow!(error).context(format!("Cannot use '{}' as {what}", path.display()))
}

fn sources<T>(path: &Path, items: Vec<T>) -> impl Iterator<Item = Source<T>> {
    let file = path.display().to_string();
    items.into_iter().map(move |item| Source { file: file.clone(), item })
}
