//! The files that host keys are judged by. Each is read once, as it may be a pipe.

use crate::shared::host_keys::HostKeyArgs;
use crate::shared::input;
use anyhow::{Context, anyhow, bail};
use hostkey::{CertificateFile, Error, Evidence, HostKeyDocument, Roots, Sourced};
use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use uvtypes::text::shown_path;

/// No certificate file is larger; a CRL may be.
const MAX_CERTIFICATE_FILE: usize = 1 << 20;
const MAX_CRL_FILE: usize = 64 << 20;

/// Reads all files that `args` name beside the documents.
pub(super) fn load(args: &HostKeyArgs) -> anyhow::Result<Evidence> {
    let mut evidence = Evidence { certificates: Vec::new(), crls: Vec::new(), roots: Roots::System };
    for path in &args.certs {
        let file = load_certificates(path, "certificate", MAX_CERTIFICATE_FILE)?;
        if file.certificates.is_empty() && file.crls.is_empty() {
            bail!(unusable(path, "certificate file", Error::NoCertificate));
        }
        evidence.certificates.extend(sourced(path, file.certificates));
        evidence.crls.extend(sourced(path, file.crls));
    }
    for path in &args.crls {
        let file = load_certificates(path, "CRL", MAX_CRL_FILE)?;
        if file.crls.is_empty() {
            bail!(unusable(path, "CRL file", Error::NoCrlInFile));
        }
        evidence.crls.extend(sourced(path, file.crls));
    }
    if let Some(path) = &args.root_ca {
        let file = load_certificates(path, "root CA certificate", MAX_CERTIFICATE_FILE)?;
        if file.certificates.is_empty() {
            bail!(unusable(path, "root CA", Error::NoCertificate));
        }
        evidence.roots = Roots::Given(sourced(path, file.certificates).collect());
        evidence.crls.extend(sourced(path, file.crls));
    } else if let Some(path) = &args.system_roots {
        // OpenSSL reads the roots in this file by itself; its CRLs count as well.
        if let Some(file) = load_system_roots(path)? {
            evidence.crls.extend(sourced(path, file.crls));
        }
    }
    Ok(evidence)
}

/// Reads a host-key document.
pub(crate) fn load_document(path: &Path) -> anyhow::Result<HostKeyDocument> {
    let bytes = input::read(path, MAX_CERTIFICATE_FILE, "host-key document")?;
    HostKeyDocument::parse(&bytes).map_err(|error| unusable(path, "host-key document", error))
}

fn load_certificates(path: &Path, what: &str, limit: usize) -> anyhow::Result<CertificateFile> {
    // Not as files are read that may hold a secret: wiping a CRL of 100,000 entries takes its time.
    let file = input::open(path, what)?;
    let size = file.metadata().map_or(0, |found| found.len());
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(limit).min(limit) + 1);
    input::read_within(file, limit, &mut bytes).with_context(|| input::cannot_read(path, what))?;
    let file = CertificateFile::parse(&bytes).map_err(|error| unusable(path, &format!("{what} file"), error))?;
    // Never freed: entry by entry, that takes a fourth as long as parsing, at the end of a process that ends anyway.
    file.crls.iter().for_each(|crl| std::mem::forget(Arc::clone(crl)));
    Ok(file)
}

/// The file in `SSL_CERT_FILE`, which OpenSSL opens again by its name: a pipe would keep it waiting for ever. That there is
/// none, or that a part of it is damaged, is for OpenSSL to make the best of, as everywhere.
fn load_system_roots(path: &Path) -> anyhow::Result<Option<CertificateFile>> {
    let cannot = || format!("Cannot read the roots of the system at '{}', which SSL_CERT_FILE names", shown_path(path));
    let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(cannot)?,
    };
    if !file.metadata().with_context(cannot)?.is_file() {
        return Err(anyhow!("expected a regular file").context(cannot()));
    }
    let mut bytes = Vec::new();
    input::read_within(file, MAX_CRL_FILE, &mut bytes).with_context(cannot)?;
    Ok(CertificateFile::parse(&bytes).ok())
}

fn unusable(path: &Path, what: &str, error: Error) -> anyhow::Error {
    anyhow!(error).context(format!("Cannot use '{}' as {what}", shown_path(path)))
}

fn sourced<T>(path: &Path, items: Vec<T>) -> impl Iterator<Item = Sourced<T>> {
    let origin = shown_path(path);
    items.into_iter().map(move |item| Sourced { origin: origin.clone(), item })
}
