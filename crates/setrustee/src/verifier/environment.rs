//! The environment variables of the verifier.

use crate::Finding;
use crate::verifier::{CERTIFICATES, CRLS, HEADER, HOST_KEY_DOCUMENTS, ROOT_CA, RSA_PRIVATE, RSA_PUBLIC};

/// Folder that the verifier reads when no environment variable names another.
pub const DEFAULT_BASE: &str = "/run/confidential-containers/ibmse";

/// Variable and what it stands for, below the folder.
const PATHS: [(&str, &str); 7] = [
    ("SE_MEASUREMENT_ENCR_KEY_PRIVATE", RSA_PRIVATE),
    ("SE_MEASUREMENT_ENCR_KEY_PUBLIC", RSA_PUBLIC),
    // The name is as the verifier has it.
    ("DEFAULT_SE_HOST_KEY_DOCUMENTS_ROOT", HOST_KEY_DOCUMENTS),
    ("SE_CERTIFICATES_ROOT", CERTIFICATES),
    ("SE_CERTIFICATE_REVOCATION_LISTS_ROOT", CRLS),
    ("SE_CERTIFICATE_ROOT_CA", ROOT_CA),
    ("SE_IMAGE_HEADER_FILE", HEADER),
];

/// Switch and the value that it should have.
const SWITCHES: [(&str, &str, &str); 2] = [
    ("SE_SKIP_CERTS_VERIFICATION", "false", "with 'true', host-key documents are not verified"),
    (
        "CERTS_OFFLINE_VERIFICATION",
        "true",
        "with 'false', the CRLs are downloaded at each challenge, and a silent server blocks all guests",
    ),
];

/// An environment file, `NAME=value` a line, for a verifier that sees the folder at `base`.
pub fn environment(base: &str) -> String {
    let base = base.trim_end_matches('/');
    let paths = PATHS.iter().map(|(name, path)| format!("{name}={base}/{path}\n"));
    let switches = SWITCHES.iter().map(|(name, value, _)| format!("{name}={value}\n"));
    paths.chain(switches).collect()
}

/// Names that have no effect, and values that silently mean something else.
pub fn check_environment(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let (name, place) = (name.trim(), format!("{place}, line {}", number + 1));
        if let Some((_, wanted, why)) = SWITCHES.iter().find(|(switch, ..)| *switch == name) {
            if !["true", "false"].contains(&value) {
                let problem =
                    format!("{name} is {value:?}: only the words true and false count, anything else is false");
                findings.push(Finding::error(place, problem, format!("write {name}={wanted}")));
            } else if value != *wanted {
                findings.push(Finding::warning(
                    place,
                    format!("{name} is {value}: {why}"),
                    format!("write {name}={wanted}"),
                ));
            }
        } else if !PATHS.iter().any(|(path, _)| *path == name) && (name.contains("SE_") || name.starts_with("CERTS_")) {
            let problem = format!("{} has no effect: the verifier knows no such variable", name.escape_debug());
            let advice = match name {
                "SE_HOST_KEY_DOCUMENTS_ROOT" => "its name is DEFAULT_SE_HOST_KEY_DOCUMENTS_ROOT".to_owned(),
                _ => format!("the names are {}", PATHS.map(|(name, _)| name).join(", ")),
            };
            findings.push(Finding::error(place, problem, advice));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    #[test]
    fn own_file_has_no_findings() {
        let text = environment("/a/b/");
        assert_eq!(check_environment("env", &text), []);
        assert!(text.contains("\nDEFAULT_SE_HOST_KEY_DOCUMENTS_ROOT=/a/b/hkds\n"), "{text}");
    }

    #[test]
    fn traps_are_found() {
        let rows = [
            ("SE_HOST_KEY_DOCUMENTS_ROOT=/x", Severity::Error, "DEFAULT_SE_HOST_KEY_DOCUMENTS_ROOT"),
            ("export SE_CERT_ROOT=/x", Severity::Error, "no such variable"),
            ("CERTS_OFFLINE_VERIFICATION=True", Severity::Error, "anything else is false"),
            ("CERTS_OFFLINE_VERIFICATION=1", Severity::Error, "anything else is false"),
            ("SE_SKIP_CERTS_VERIFICATION=yes", Severity::Error, "anything else is false"),
            ("SE_SKIP_CERTS_VERIFICATION=true", Severity::Warning, "not verified"),
            ("CERTS_OFFLINE_VERIFICATION=false", Severity::Warning, "downloaded at each challenge"),
        ];
        for (text, severity, part) in rows {
            let findings = check_environment("env", text);
            let [finding] = findings.as_slice() else { panic!("{text}: {findings:?}") };
            assert_eq!(finding.severity, severity, "{text}");
            assert!(finding.to_string().contains(part), "{finding}");
        }
        assert_eq!(check_environment("env", "# SE_X=1\nPATH=/bin\n"), []);
    }
}
