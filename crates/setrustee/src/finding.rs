use serde::Serialize;
use std::fmt;
use uvtypes::text::escaped;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// What was looked at works, but not as safely or as long as it should.
    Warning,
    /// What was looked at does not work, or protects nothing.
    Error,
}

/// A fault that a check found: how bad, where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Severity of the fault.
    pub severity: Severity,
    /// File, line or field with the fault.
    pub place: String,
    /// The fault, as a sentence.
    pub problem: String,
    /// What the administrator should do.
    pub advice: String,
}

impl Finding {
    /// Something that does not work.
    pub fn error(place: impl Into<String>, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place: place.into(), problem: problem.into(), advice: advice.into() }
    }

    /// Something that works, so far.
    pub fn warning(place: impl Into<String>, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, problem, advice) }
    }
}

/// One line, fit for a terminal whatever the names in it are.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}: {}", escaped(&self.place), escaped(&self.problem))?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "; {}", escaped(&self.advice)) }
    }
}
