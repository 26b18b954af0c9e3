//! Until when given documents hold.

use super::Finding;
use crate::shared::input;
use crate::shared::system::System;
use anyhow::Context;
use hostkey::{CertificateFile, show_name};
use openssl::asn1::Asn1TimeRef;
use setrustee::verifier::days_left;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// No file of certificates or CRLs is larger.
const MAX_FILE: usize = 64 << 20;
/// Days before its end from which something is said to end.
const SOON: i32 = 7;

pub(super) fn findings(files: &[PathBuf], system: &System) -> anyhow::Result<Vec<Finding>> {
    let now = (system.now)().duration_since(UNIX_EPOCH).context("The clock is set before 1970")?.as_secs();
    let now = i64::try_from(now).context("The clock is set too late")?;
    let mut findings = Vec::new();
    for path in files {
        let bytes = input::read(path, MAX_FILE, "document")?;
        let name = path.display().to_string();
        let file = CertificateFile::parse(&bytes).with_context(|| format!("Cannot use '{name}'"))?;
        if file.certificates.is_empty() && file.crls.is_empty() {
            findings.push(Finding::missing(&name, "no certificate and no CRL is in it", "give another file"));
        }
        for certificate in &file.certificates {
            let what = format!("certificate of {}", show_name(certificate.subject_name()));
            findings.push(end(&name, &what, Some(certificate.not_after()), now)?);
        }
        for crl in &file.crls {
            let what = format!("CRL of {}", show_name(crl.issuer_name()));
            findings.push(end(&name, &what, crl.next_update(), now)?);
        }
    }
    Ok(findings)
}

fn end(file: &str, what: &str, end: Option<&Asn1TimeRef>, now: i64) -> anyhow::Result<Finding> {
    let Some(end) = end else {
        return Ok(Finding::missing(file, format!("{what}, without end"), "it is not accepted: get another one"));
    };
    let days = days_left(end, now)?;
    Ok(match days {
        ..0 => Finding::missing(file, format!("{what}, expired on {end}"), "get the next one"),
        0..=SOON => {
            Finding::missing(file, format!("{what}, ends in {days} days, on {end}"), "get the next one in time")
        }
        _ => Finding::good(file, format!("{what}, until {end}")),
    })
}
