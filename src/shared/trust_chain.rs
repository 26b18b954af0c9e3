//! The chain of trust, drawn as text.

use crate::shared::host_keys::{HostKeyArgs, load_document};
use hostkey::{Source, Verifier, crl_distribution_points, show_name};
use openssl::x509::{X509, X509Crl};
use std::fmt::Write;

/// One paragraph for each certificate, from the host-key documents up; at the end what failed, if anything did.
pub(crate) fn draw(args: &HostKeyArgs, verifier: Result<&Verifier, &anyhow::Error>) -> String {
    let mut text = String::new();
    let evidence = args.evidence().ok();
    let crls = evidence.as_ref().map(|evidence| evidence.crls.as_slice()).unwrap_or_default();
    for path in args.documents() {
        let file = path.display().to_string();
        match load_document(path) {
            Ok(document) => {
                let verdict = match verifier {
                    Ok(verifier) => match verifier.verify(&document) {
                        Ok(_) => "may be used".to_owned(),
                        Err(error) => format!("REFUSED: {error}"),
                    },
                    Err(_) => "not judged: the chain above it does not hold".to_owned(),
                };
                certificate(&mut text, "host-key document", &file, document.certificate(), crls, Some(&verdict));
            }
            Err(error) => line(&mut text, &format!("host-key document {file}: {error:#}")),
        }
    }
    let Some(evidence) = &evidence else { return text };
    for Source { file, item } in &evidence.certificates {
        let what = if hostkey::is_signing_key(item) { "IBM Z signing key" } else { "certificate authority" };
        certificate(&mut text, what, file, item, crls, None);
    }
    match &evidence.roots {
        hostkey::Roots::Given(roots) => {
            for Source { file, item } in roots {
                certificate(&mut text, "trusted root", file, item, crls, None);
            }
        }
        hostkey::Roots::System => line(&mut text, "trusted root: those of the system"),
    }
    if let Err(error) = verifier {
        line(&mut text, &format!("FAILED: {error:#}"));
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn certificate(
    text: &mut String,
    what: &str,
    file: &str,
    certificate: &X509,
    crls: &[Source<X509Crl>],
    verdict: Option<&str>,
) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{what} in '{file}'");
    let _ = writeln!(text, "  subject   {}", show_name(certificate.subject_name()));
    let _ = writeln!(text, "  issuer    {}", show_name(certificate.issuer_name()));
    let _ = writeln!(text, "  validity  {} to {}", certificate.not_before(), certificate.not_after());
    let same_issuer = |crl: &&Source<X509Crl>| {
        crl.item.issuer_name().try_cmp(certificate.issuer_name()).is_ok_and(|ordering| ordering.is_eq())
    };
    let covering: Vec<_> = crls.iter().filter(same_issuer).collect();
    for Source { file, item } in &covering {
        let until = item.next_update().map_or_else(|| "without end".to_owned(), |time| format!("to {time}"));
        let _ = writeln!(text, "  CRL       '{file}', {} {until}", item.last_update());
    }
    if covering.is_empty() {
        let points = crl_distribution_points(certificate);
        let place = points.first().map_or_else(String::new, |point| format!(": it can be had from {point}"));
        let _ = writeln!(text, "  CRL       none of this issuer was given{place}");
    }
    if let Some(verdict) = verdict {
        let _ = writeln!(text, "  verdict   {verdict}");
    }
    text.push_str("    |\n");
}
