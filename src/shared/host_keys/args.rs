//! The options that name and judge host keys, shared by all tools that take them.

use crate::System;
use crate::shared::host_keys::Judged;
use crate::shared::host_keys::crl_lookup::Places;
use crate::shared::host_keys::evidence::{self, load_document};
use anyhow::bail;
use clap::{ArgGroup, Args};
use hostkey::{HostKeyDocument, TrustedHostKey};
use std::path::{Path, PathBuf};
use uvtypes::text::shown_path;

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
    pub(super) certs: Vec<PathBuf>,
    /// Certificate revocation lists; may be repeated
    #[arg(long = "crl", value_name = "FILE", value_delimiter = ',')]
    pub(super) crls: Vec<PathBuf>,
    /// Do not download CRLs
    #[arg(long)]
    offline: bool,
    /// Download CRLs also where a usable one is at hand
    #[arg(long, conflicts_with = "offline")]
    refresh: bool,
    /// Trust this root CA instead of those of the system
    #[arg(long, value_name = "ROOT_CA")]
    pub(super) root_ca: Option<PathBuf>,
    /// The file that OpenSSL takes the system's roots from, if the environment names one.
    #[arg(skip = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from))]
    pub(super) system_roots: Option<PathBuf>,
}

impl HostKeyArgs {
    /// Every file that these options name, and the one of the environment if it counts.
    pub(crate) fn inputs(&self) -> Vec<&Path> {
        let lists = [&self.host_key_document, &self.certs, &self.crls];
        let system_roots = self.system_roots.as_ref().filter(|_| self.root_ca.is_none() && !self.no_verify);
        lists.into_iter().flatten().chain(&self.root_ca).chain(system_roots).map(PathBuf::as_path).collect()
    }

    /// Whether the documents are to be used without any check.
    pub(crate) fn no_verify(&self) -> bool {
        self.no_verify
    }

    /// The files of the host-key documents.
    pub(crate) fn documents(&self) -> &[PathBuf] {
        &self.host_key_document
    }

    /// The host keys, in the order of the command line, each verified or trusted by explicit wish.
    /// `protects` says in the warning what a wrong key would give away.
    pub(crate) fn load(&self, protects: &str, system: &mut System) -> anyhow::Result<Vec<TrustedHostKey>> {
        let documents = self.load_documents()?;
        for (path, document) in &documents {
            if document.ignored_certificates() > 0 {
                system.warn(&format!(
                    "The host-key document in '{}' contains more than one certificate! The first one is used.",
                    shown_path(path)
                ));
            }
        }
        let keys: Vec<_> = if self.no_verify {
            self.warn_unverified(protects, system);
            documents.iter().map(|(_, document)| document.clone().trust_unverified()).collect()
        } else {
            let only: Vec<_> = documents.iter().map(|(_, document)| document).collect();
            let judged = self.judge(&only, system)?;
            all_or_errors(documents.iter().map(|(path, document)| judged.verify(path, document)))?
        };
        for (path, _) in &documents {
            if !self.no_verify {
                system.debug("HKD: verified");
            }
            system.info(&format!("Use host-key document at '{}'", shown_path(path)));
        }
        Ok(keys)
    }

    /// All documents, in the order of the command line.
    pub(crate) fn load_documents(&self) -> anyhow::Result<Vec<(&Path, HostKeyDocument)>> {
        all_or_errors(self.host_key_document.iter().map(|path| Ok((path.as_path(), load_document(path)?))))
    }

    /// Reads what `documents` are judged by, looks for CRLs that are missing, and judges the chain.
    ///
    /// # Errors
    /// When a file cannot be used. That the chain does not hold is a verdict, in [`Judged`].
    pub(crate) fn judge(&self, documents: &[&HostKeyDocument], system: &mut System) -> anyhow::Result<Judged> {
        let places = match (self.offline, self.refresh) {
            (true, _) => Places::Cache,
            (false, false) => Places::CacheThenNetwork,
            (false, true) => Places::Network,
        };
        Judged::new(evidence::load(self)?, documents, places, system)
    }

    /// Says what '--no-verify' means, and which options it makes void.
    pub(crate) fn warn_unverified(&self, protects: &str, system: &mut System) {
        system.warn(&format!("Host-key document verification is disabled. The {protects} may not be protected."));
        let ignored = [
            ("--crl", !self.crls.is_empty()),
            ("--offline", self.offline),
            ("--refresh", self.refresh),
            ("--root-ca", self.root_ca.is_some()),
        ];
        for (option, _) in ignored.iter().filter(|(_, given)| *given) {
            system.warn(&format!("'{option}' has no effect together with '--no-verify'."));
        }
    }
}

/// Everything, or in one line what is wrong with each that failed.
fn all_or_errors<T>(results: impl Iterator<Item = anyhow::Result<T>>) -> anyhow::Result<Vec<T>> {
    let (mut good, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(item) => good.push(item),
            Err(error) => errors.push(error),
        }
    }
    if errors.len() > 1 {
        let lines: Vec<_> = errors.iter().map(|error| format!("{error:#}")).collect();
        bail!(lines.join("; "));
    }
    errors.pop().map_or(Ok(good), Err)
}
