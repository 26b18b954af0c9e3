//! Resource policies.

use super::{Findings, Text, Word, line};
use crate::Finding;

pub(super) fn lint(text: &Text, findings: &mut Findings) {
    let mut found = |line: usize, finding: Finding| findings.push((line, finding));
    if text.defines("allow").is_none() {
        found(0, Finding::error("allow", "it is not defined: nobody gets a resource", "define the boolean 'allow'"));
    }
    for at in 0..text.0.len() {
        if text.name(at) != Some("allow") || !text.begins_rule(at) {
            continue;
        }
        let assigned = text.is(at + 1, ":=") || text.is(at + 1, "=");
        let is_true = assigned && text.name(at + 2) == Some("true");
        let unconditional = !matches!(text.name(at + 3), Some("if")) && !text.is(at + 3, "{");
        let next_is_else = text.name(at + 3) == Some("else");
        if is_true && unconditional && !next_is_else {
            let problem = "'allow' is true without any test: everybody gets every resource, also without a TEE";
            found(text.line(at), Finding::error(line(text.line(at)), problem, "begin with 'default allow := false'"));
        }
    }
    let status = text.0.iter().any(|token| matches!(&token.word, Word::Text(text) if text == "ear.status"));
    let affirming = text.0.iter().any(|token| matches!(&token.word, Word::Text(text) if text == "affirming"));
    if text.defines("allow").is_some() && !(status && affirming) {
        let problem = "no rule demands that 'ear.status' is 'affirming': resources go to guests that no policy affirms";
        found(0, Finding::error("ear.status", problem, "take the policy that 'pvtools trustee policy' writes"));
    }
    for path in text.paths(&["input"]) {
        if path.parts.get(1).is_some_and(|part| part == "se" || part.starts_with("se.") || part == "tee") {
            let problem =
                format!("'{}' does not exist here: the input of a resource policy is the token", path.shown());
            let advice = "the claims stand in input.submods.cpu0[\"ear.veraison.annotated-evidence\"].se";
            found(path.line, Finding::error(line(path.line), problem, advice));
        }
    }
}
