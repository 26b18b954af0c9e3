//! What a server swallows silently when a policy is uploaded.
//!
//! This is no Rego compiler, which the server is: it looks for what compiles, and then protects nothing, stops the worker,
//! or never lets a guest pass. A policy without findings can still be wrong.

mod attestation;
mod resource;
mod words;

use crate::Finding;
use std::collections::HashMap;
use words::{Token, Word};

/// Kind of policy: what it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An attestation policy, which decides what an evidence is worth.
    Attestation,
    /// A resource policy, which decides who gets a resource.
    Resource,
}

/// Which kind a policy looks like: only a resource policy looks at a token's appraisals or at what is asked for.
pub fn kind(policy: &str) -> Kind {
    let text = Text::new(policy);
    let is_resource = text.has_path(&["data", "plugin"])
        || text.has_path(&["data", "resource-path"])
        || text.has_path(&["input", "submods"])
        || (text.defines("allow").is_some() && !text.mentions_se() && text.defines("trust_claims").is_none());
    if is_resource { Kind::Resource } else { Kind::Attestation }
}

/// All findings, by line.
pub fn lint(policy: &str, kind: Kind) -> Vec<Finding> {
    let text = Text::new(policy);
    let mut findings = Vec::new();
    match text.package() {
        Some(name) if name == "policy" => {}
        found => {
            let found = found.map_or_else(|| "found none".to_owned(), |name| format!("found 'package {name}'"));
            findings.push((
                0,
                Finding::error(
                    "package",
                    format!("expected 'package policy', {found}"),
                    "the server looks at no other",
                ),
            ));
        }
    }
    match kind {
        Kind::Attestation => attestation::lint(&text, &mut findings),
        Kind::Resource => resource::lint(&text, &mut findings),
    }
    findings.sort_by_key(|(line, _)| *line);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

/// Findings with the line that they are sorted by.
type Findings = Vec<(usize, Finding)>;

/// A policy as a row of words.
struct Text(Vec<Token>);

/// A path such as `input.se.tag`, in whatever way it is written.
struct Path {
    line: usize,
    parts: Vec<String>,
    /// Written with a bracket: `input["se.tag"]`.
    bracketed: bool,
}

impl Text {
    fn new(policy: &str) -> Self {
        Self(words::split(policy))
    }

    fn word(&self, at: usize) -> Option<&Word> {
        self.0.get(at).map(|token| &token.word)
    }

    fn is(&self, at: usize, symbol: &str) -> bool {
        matches!(self.word(at), Some(Word::Symbol(found)) if found == symbol)
    }

    fn name(&self, at: usize) -> Option<&str> {
        match self.word(at) {
            Some(Word::Name(name)) => Some(name),
            _ => None,
        }
    }

    fn line(&self, at: usize) -> usize {
        self.0.get(at).map_or(0, |token| token.line)
    }

    fn package(&self) -> Option<String> {
        let at = (0..self.0.len()).find(|at| self.name(*at) == Some("package"))?;
        self.name(at + 1).map(str::to_owned)
    }

    /// Every path that begins with one of these names.
    fn paths(&self, roots: &[&str]) -> Vec<Path> {
        let mut paths = Vec::new();
        for at in 0..self.0.len() {
            let Some(root) = self.name(at).filter(|name| roots.contains(name)) else { continue };
            if at > 0 && self.is(at - 1, ".") {
                continue;
            }
            let mut path = Path { line: self.line(at), parts: vec![root.to_owned()], bracketed: false };
            let mut next = at + 1;
            loop {
                if let (true, Some(name)) = (self.is(next, "."), self.name(next + 1)) {
                    path.parts.push(name.to_owned());
                    next += 2;
                } else if let (true, Some(Word::Text(name)), true) =
                    (self.is(next, "["), self.word(next + 1), self.is(next + 2, "]"))
                {
                    path.parts.push(name.clone());
                    path.bracketed = true;
                    next += 3;
                } else {
                    break;
                }
            }
            paths.push(path);
        }
        paths
    }

    fn has_path(&self, start: &[&str]) -> bool {
        let Some(root) = start.first() else { return false };
        self.paths(&[root]).iter().any(|path| path.starts_with(start))
    }

    fn mentions_se(&self) -> bool {
        self.paths(&["input"])
            .iter()
            .any(|path| path.parts.get(1).is_some_and(|part| part == "se" || part.starts_with("se.")))
    }

    /// The line on which a rule of this name begins: the name at the start of a statement.
    fn defines(&self, rule: &str) -> Option<usize> {
        (0..self.0.len()).find(|at| self.name(*at) == Some(rule) && self.begins_rule(*at)).map(|at| self.line(at))
    }

    /// A name begins a rule when nothing else stands before it on its line but `default`, outside of braces.
    fn begins_rule(&self, at: usize) -> bool {
        let Some(token) = self.0.get(at) else { return false };
        let previous = at.checked_sub(1).and_then(|before| self.0.get(before));
        let after_default = matches!(previous.map(|token| &token.word), Some(Word::Name(name)) if name == "default");
        token.depth == 0 && (after_default || previous.is_none_or(|previous| previous.line < token.line))
    }

    /// Numbers that each rule can have, by its name, with their lines and whether each is its default.
    fn numbers(&self) -> HashMap<&str, Vec<(usize, f64, bool)>> {
        let mut numbers: HashMap<_, Vec<_>> = HashMap::new();
        let mut rule = None;
        for at in 0..self.0.len() {
            let Some(name) = self.name(at) else { continue };
            let begins = self.begins_rule(at);
            if begins {
                rule = Some(name);
            }
            // `rule := 3 if ...`, `rule = 3 { ... }`, `else := 5`
            let is_assigned = self.is(at + 1, ":=") || self.is(at + 1, "=");
            let (Some(rule), true) = (rule, is_assigned && (begins || name == "else")) else { continue };
            let is_default = begins && at > 0 && self.name(at - 1) == Some("default");
            let found = self.number(at + 2).map(|number| (self.line(at), number, is_default));
            numbers.entry(rule).or_default().extend(found);
        }
        numbers
    }

    /// A number at this place, with its sign.
    fn number(&self, at: usize) -> Option<f64> {
        match (self.word(at)?, self.word(at + 1)) {
            (Word::Number(number), _) => Some(*number),
            (Word::Symbol(minus), Some(Word::Number(number))) if minus == "-" => Some(-number),
            _ => None,
        }
    }
}

impl Path {
    fn starts_with(&self, start: &[&str]) -> bool {
        self.parts.len() >= start.len() && self.parts.iter().zip(start).all(|(part, wanted)| part == wanted)
    }

    fn shown(&self) -> String {
        self.parts.join(".")
    }
}

fn line(number: usize) -> String {
    format!("line {number}")
}
