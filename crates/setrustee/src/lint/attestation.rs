//! Attestation policies.

use super::{Findings, Path, Text, Word, line};
use crate::{Finding, TRUST_CLAIMS};

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
    for (at, name, values) in claims(text) {
        if !TRUST_CLAIMS.contains(&name.as_str()) {
            let problem = format!(
                "'{}' is no trust claim: the server's worker stops at each attestation",
                apbus::text::shown(&name)
            );
            found(at, Finding::error(line(at), problem, format!("the claims are {}", TRUST_CLAIMS.join(", "))));
        }
        for (at, value, is_default) in values {
            judge_value(at, &name, value, is_default, &mut found);
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
            let problem = "'input.se.cuid' is another one at each start of a guest";
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

/// The claims of `trust_claims`: line and name of each, and the numbers that it can have.
type Claim = (usize, String, Vec<(usize, f64, bool)>);

fn claims(text: &Text) -> Vec<Claim> {
    let mut claims = Vec::new();
    for at in 0..text.0.len() {
        // `"name": value` one level deep in `trust_claims := {`
        let (Some(Word::Text(name)), true) = (text.word(at), text.is(at + 1, ":")) else { continue };
        let opening = (0..at).rev().find(|before| text.begins_rule(*before) && text.name(*before).is_some());
        if opening.and_then(|opening| text.name(opening)) != Some("trust_claims") || text.0[at].depth != 1 {
            continue;
        }
        let mut values = Vec::new();
        if let Some(number) = text.number(at + 2) {
            values.push((text.line(at), number, true));
        } else if let Some(rule) = text.name(at + 2) {
            values = text.numbers_of(rule);
        }
        claims.push((text.line(at), name.clone(), values));
    }
    claims
}

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
