//! Attestation policies.

use super::{Findings, Path, Text, Word, line};
use crate::{Finding, TRUST_CLAIMS};
use std::collections::HashSet;

/// Claims of the verifier below `input.se`.
const CLAIMS: [&str; 5] = ["cuid", "version", "image_phkh", "attestation_phkh", "tag"];

pub(super) fn lint(text: &Text, findings: &mut Findings) {
    let mut found = |line: usize, finding: Finding| findings.push((line, finding));
    match text.defines("trust_claims") {
        Some(_) => {}
        None => found(
            0,
            Finding::error(
                "trust_claims",
                "it is not defined: all claims are then 0 and the status is 'none'",
                "define the object 'trust_claims'; 'pvtools trustee policy' writes such a policy",
            ),
        ),
    }
    if let Some(at) = text.defines("allow") {
        let problem = "'allow' has no effect: the server reads 'trust_claims' alone";
        found(at, Finding::error(line(at), problem, "set claims instead"));
    }
    let paths = text.paths(&["input"]);
    for path in &paths {
        if let Some(finding) = judge_path(path) {
            found(path.line, finding);
        }
    }
    let tests = |claim: &str| paths.iter().any(|path| path.starts_with(&["input", "se", claim]));
    if !tests("tag") {
        found(
            0,
            Finding::error(
                "input.se.tag",
                "no rule tests it: every image that was made for one of the machines passes",
                "compare it with the tags of your images",
            ),
        );
    }
    for claim in ["image_phkh", "attestation_phkh"] {
        if !tests(claim) {
            let problem = "no rule tests it: guests on any machine of the verifier's folder pass";
            found(
                0,
                Finding::warning(
                    format!("input.se.{claim}"),
                    problem,
                    "compare it with the host keys of your machines",
                ),
            );
        }
    }
    let (rules, mut seen) = (text.numbers(), HashSet::new());
    for (at, name, value) in claims(text) {
        if !TRUST_CLAIMS.contains(&name) {
            let problem = format!(
                "'{}' is no trust claim: the server's worker stops at each attestation",
                uvtypes::text::shown(name)
            );
            found(at, Finding::error(line(at), problem, format!("the claims are {}", TRUST_CLAIMS.join(", "))));
            continue;
        }
        if let Some(number) = text.number(value) {
            judge_value(at, name, number, true, &mut found);
        }
        // Once for each rule: a policy that names one for ever is not told about for ever.
        let rule = text.name(value).filter(|rule| seen.insert((name, *rule)));
        for (at, number, is_default) in rule.and_then(|rule| rules.get(rule)).into_iter().flatten() {
            judge_value(*at, name, *number, *is_default, &mut found);
        }
    }
    judge_texts(text, &mut found);
}

fn judge_path(path: &Path) -> Option<Finding> {
    let place = line(path.line);
    let second = path.parts.get(1)?.as_str();
    if let Some(claim) = second.strip_prefix("se.") {
        let problem = format!("'input[\"{second}\"]' does not exist: the claims stand below 'se'");
        let advice = if CLAIMS.contains(&claim) { format!("write 'input.se.{claim}'") } else { String::new() };
        return Some(Finding::error(place, problem, advice));
    }
    let gone = |advice: &str| {
        Some(Finding::error(&place, format!("'{}' does not exist for these guests", path.shown()), advice))
    };
    match (second, path.parts.get(2).map(String::as_str)) {
        ("se", Some("user_data")) => gone("it is 'input.report_data' now, which the verifier has compared already"),
        ("se", Some("report_data")) => gone("it stands one level up: 'input.report_data'"),
        ("se", Some("version")) => {
            let problem = "'input.se.version' is a constant of the verifier: it says nothing about the guest";
            Some(Finding::warning(place, problem, "leave it out"))
        }
        ("se", Some("cuid")) => {
            let problem = "'input.se.cuid' differs at each start of a guest";
            Some(Finding::warning(place, problem, "leave it out, unless one boot alone is meant"))
        }
        ("se", Some(claim)) if !CLAIMS.contains(&claim) => {
            gone(&format!("the claims are {}", CLAIMS.map(|claim| format!("input.se.{claim}")).join(", ")))
        }
        ("init_data" | "init_data_claims", _) => gone("Secure Execution has no init data: its tests never hold"),
        ("sample", _) => {
            let problem = "'input.sample' is a TEE that anybody can be";
            Some(Finding::warning(place, problem, "leave it out of a policy for production"))
        }
        _ => None,
    }
}

/// The claims of `trust_claims`: line and name of each, and where its value stands.
fn claims(text: &Text) -> Vec<(usize, &str, usize)> {
    let mut claims = Vec::new();
    let mut rule = None;
    for (at, token) in text.0.iter().enumerate() {
        match &token.word {
            Word::Name(name) if text.begins_rule(at) => rule = Some(name.as_str()),
            // `"name": value` one level deep in `trust_claims := {`
            Word::Text(name) if rule == Some("trust_claims") && token.depth == 1 && text.is(at + 1, ":") => {
                claims.push((token.line, name.as_str(), at + 2));
            }
            _ => {}
        }
    }
    claims
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the lowest 8 bits are meant, or the range was checked"
)]
fn judge_value(at: usize, name: &str, value: f64, is_default: bool, found: &mut impl FnMut(usize, Finding)) {
    if value.fract() != 0.0 || value.is_nan() {
        let problem = format!("the claim '{name}' has a value that is no whole number");
        found(at, Finding::error(line(at), problem, "claims are whole numbers from -127 to 127"));
    } else if !(-127.0..=127.0).contains(&value) {
        // As the server does: the lowest 8 bits.
        let seen = (value as i64) as u8 as i8;
        let problem = format!("the claim '{name}' is {value}, which the server takes as {seen} ({})", tier(seen));
        found(at, Finding::error(line(at), problem, "claims are whole numbers from -127 to 127"));
    } else if is_default && tier(value as i8) == "affirming" {
        let problem = format!("the claim '{name}' is {value} (affirming) without any test");
        found(at, Finding::error(line(at), problem, "begin with a value that affirms nothing, such as 33, 97 or 36"));
    }
}

/// What a value means for the status (draft-ietf-rats-ar4si).
fn tier(value: i8) -> &'static str {
    match value {
        -1..=1 => "none",
        2..=31 | -32..=-2 => "affirming",
        32..=95 | -96..=-33 => "warning",
        _ => "contraindicated",
    }
}

/// Values that a claim never has.
fn judge_texts(text: &Text, found: &mut impl FnMut(usize, Finding)) {
    for token in &text.0 {
        let Word::Text(value) = &token.word else { continue };
        let digits = value.trim().trim_start_matches("0x").trim_start_matches("0X");
        let is_value = [32, 64].contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit());
        if is_value && *value != digits.to_lowercase() {
            let problem = "a value that never equals a claim: claims are lower-case hex without '0x' and white space";
            found(
                token.line,
                Finding::error(line(token.line), problem, format!("write \"{}\"", digits.to_lowercase())),
            );
        }
    }
}
