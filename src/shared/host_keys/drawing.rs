//! The chain of trust, drawn as text.

use crate::shared::host_keys::Judged;
use hostkey::{Chain, HostKeyDocument, Link, Roots, Sourced, distribution_points, show_name};
use openssl::x509::{X509, X509Crl};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use uvtypes::text::{escaped, shown, shown_path};

/// A host-key document as it was asked for: its file, and what is in it or why it cannot be used.
pub(crate) type Document<'a> = (&'a PathBuf, anyhow::Result<HostKeyDocument>);

/// One paragraph for each certificate of the chain, from the host-key documents up, with the CRLs that the verdict was made
/// of; at the end what failed, if anything did. Without a chain, the certificates that were given.
pub(crate) fn draw(documents: &[Document<'_>], judged: &Judged) -> String {
    let mut text = String::new();
    for (path, document) in documents {
        let file = shown_path(path);
        match document {
            Ok(document) => {
                let verdict = match judged.verifier() {
                    Ok(verifier) => match verifier.verify(document) {
                        Ok(_) => "may be used".to_owned(),
                        Err(error) => format!("REFUSED: {error}"),
                    },
                    Err(_) => "not judged: the chain above it does not hold".to_owned(),
                };
                certificate(&mut text, "host-key document", &file, document.certificate());
                if let Some(chain) = &judged.chain {
                    crls(&mut text, document.certificate(), chain.links().first());
                }
                end(&mut text, Some(&verdict));
            }
            Err(error) => line(&mut text, &format!("host-key document {file}: {}", escaped(&format!("{error:#}")))),
        }
    }
    match &judged.chain {
        Some(chain) => draw_chain(&mut text, chain),
        None => draw_given(&mut text, judged),
    }
    if let Err(error) = judged.verifier() {
        line(&mut text, &format!("FAILED: Host-key verification failed: {}", escaped(&error.to_string())));
    }
    text
}

fn draw_chain(text: &mut String, chain: &Chain) {
    let root = chain.links().len().saturating_sub(1);
    for (depth, link) in chain.links().iter().enumerate() {
        let what = match depth {
            0 => "IBM Z signing key",
            depth if depth == root => "trusted root",
            _ => "certificate authority",
        };
        let Sourced { origin, item } = link.certificate();
        certificate(text, what, origin, item);
        crls(text, item, chain.links().get(chain.issuer_depth(depth)));
        end(text, None);
    }
}

/// There is no chain: what there is to build one from.
fn draw_given(text: &mut String, judged: &Judged) {
    for Sourced { origin, item } in &judged.evidence.certificates {
        let what = if hostkey::is_signing_key(item) { "IBM Z signing key" } else { "certificate authority" };
        certificate(text, what, origin, item);
        end(text, None);
    }
    match &judged.evidence.roots {
        Roots::Given(roots) => {
            for Sourced { origin, item } in roots {
                certificate(text, "trusted root", origin, item);
                end(text, None);
            }
        }
        Roots::System => line(text, "trusted root: those of the system"),
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn certificate(text: &mut String, what: &str, origin: &str, certificate: &X509) {
    line(text, &format!("{what} in '{}'", shown(origin)));
    line(text, &format!("  subject   {}", show_name(certificate.subject_name())));
    line(text, &format!("  issuer    {}", show_name(certificate.issuer_name())));
    line(text, &format!("  validity  {} to {}", certificate.not_before(), certificate.not_after()));
}

/// The CRLs that say whether `certificate` is revoked: those of its `issuer` in the chain.
fn crls(text: &mut String, certificate: &X509, issuer: Option<&Link>) {
    let Some(issuer) = issuer else { return };
    for crl in issuer.usable_crls() {
        let Sourced { origin, item }: &Sourced<Arc<X509Crl>> = crl;
        let until = item.next_update().map_or_else(|| "without end".to_owned(), |time| format!("to {time}"));
        line(text, &format!("  CRL       '{}', {} {until}", shown(origin), item.last_update()));
    }
    for (origin, reason) in issuer.unusable_crls() {
        line(text, &format!("  CRL       not used: '{}' {reason}", shown(origin)));
    }
    if issuer.usable_crls().is_empty() && issuer.unusable_crls().is_empty() {
        let points = distribution_points(certificate);
        let place =
            points.first().map_or_else(String::new, |point| format!(": it can be downloaded from {}", shown(point)));
        line(text, &format!("  CRL       none of this issuer was given{place}"));
    }
}

fn end(text: &mut String, verdict: Option<&str>) {
    if let Some(verdict) = verdict {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  verdict   {}", escaped(verdict));
    }
    text.push_str("    |\n");
}
