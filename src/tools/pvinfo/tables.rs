//! What the bits of the ultravisor's answers mean. The names of facilities, features and secrets are those of
//! s390-tools, which scripts look for.

use uvdevice::{Bits, Error, Query};

/// A file with bits, and what is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Facilities,
    FeatureIndications,
    AttestationFlags,
    HeaderVersions,
    SecretTypes,
    ControlFlags,
    AttestationVersions,
    AddSecretVersions,
    AddSecretFlags,
}

/// The file with an address.
pub(super) const MAX_ADDRESS: &str = "max_address";

/// Files with numbers.
pub(super) const LIMITS: [(&str, &str); 6] = [
    (MAX_ADDRESS, "Maximal Address for a SE-Guest"),
    ("max_assoc_secrets", "Maximal number of associated secrets"),
    ("max_cpus", "Maximal number of CPUs in one SE-Guest"),
    ("max_guests", "Maximal number of SE-Guests"),
    ("max_retr_secrets", "Maximal number of retrievable secrets"),
    ("max_secrets", "Maximal number of secrets in the system"),
];

/// Names by bit. Bits between known ones are reserved.
type Table = &'static [(u32, &'static str)];

const FACILITIES: Table = &[
    (0, "Query Ultravisor Information"),
    (1, "Initialize Ultravisor"),
    (2, "Create Secure Configuration"),
    (3, "Destroy Secure Configuration"),
    (4, "Create Secure CPU"),
    (5, "Destroy Secure CPU"),
    (6, "Convert to Secure Storage"),
    (7, "Convert from Secure Storage"),
    (8, "Set Shared Access"),
    (9, "Remove Shared Access"),
    (11, "Set Secure Parameters"),
    (12, "Destroy Secure Storage"),
    (13, "Unpack Image"),
    (14, "Verify Image"),
    (15, "Perform CPU Reset"),
    (16, "Perform Initial CPU Reset"),
    (17, "Set CPU State"),
    (18, "Prepare for Reset"),
    (19, "Perform CPU Clear Reset"),
    (20, "Unshare All"),
    (21, "Pin Shared Storage"),
    (22, "Unpin Shared Storage"),
    (23, "Destroy Secure Configuration Fast"),
    (24, "Initiate Configuration Dump"),
    (25, "Dump Configuration Storage State"),
    (26, "Dump CPU State"),
    (27, "Complete Configuration Dump"),
    (28, "Retrieve Attestation Measurement"),
    (29, "Add Secret"),
    (30, "List Secrets"),
    (31, "Lock Secrets"),
    (32, "Verify Large Frame"),
    (33, "Retrieve Secret"),
];

const FEATURES: Table = &[
    (1, "Adapter interrupt virtualization is supported"),
    (4, "AP passthrough is supported"),
    (5, "AP interpretion passthrough is supported"),
];

const SECRET_TYPES: Table = &[
    (1, "Meta"),
    (2, "AP-association"),
    (3, "Plaintext"),
    (4, "AES 128"),
    (5, "AES 192"),
    (6, "AES 256"),
    (7, "AES 128 XTS"),
    (8, "AES 256 XTS"),
    (9, "HMAC SHA 256"),
    (10, "HMAC SHA 512"),
    (17, "ECDSA P256 private key"),
    (18, "ECDSA P384 private key"),
    (19, "ECDSA P521 private key"),
    (20, "EdDSA Ed25529 private key"),
    (21, "EdDSA Ed448 private key"),
    (22, "Update-CCK"),
];

const ATTESTATION_FLAGS: Table = &[
    (1, "A nonce in the request"),
    (2, "The hash of the host key that the image was started with, in the answer"),
    (3, "The hash of the host key that the request was opened with, in the answer"),
    (4, "The hash of the secret store, in the answer"),
    (5, "The state of the firmware, in the answer"),
];

const CONTROL_FLAGS: Table = &[
    (34, "Dumping of the secure execution guest is allowed"),
    (35, "The components of the image are not encrypted"),
    (56, "PCKMO encrypt-DEA/TDEA-key functions allowed"),
    (57, "PCKMO encrypt-AES-key functions allowed"),
    (58, "PCKMO encrypt-ECC-key functions allowed"),
    (62, "Temporary backup-host-key use allowed"),
];

const ADD_SECRET_FLAGS: Table = &[(0, "Disable dumping")];

impl Topic {
    /// In the order in which people see them; the limits come before the attestation flags.
    pub(super) const ALL: [Self; 9] = [
        Self::Facilities,
        Self::FeatureIndications,
        Self::AttestationFlags,
        Self::HeaderVersions,
        Self::SecretTypes,
        Self::ControlFlags,
        Self::AttestationVersions,
        Self::AddSecretVersions,
        Self::AddSecretFlags,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Facilities => "Facilities: Installed Ultravisor Calls",
            Self::FeatureIndications => "Feature Indications: Ultravisor Features",
            Self::AttestationFlags => "Supported Plaintext Attestation Flags:",
            Self::HeaderVersions => "Supported SE Header Versions:",
            Self::SecretTypes => "Supported secret types:",
            Self::ControlFlags => "Supported plaintext control flags:",
            Self::AttestationVersions => "Supported Attestation Request Versions:",
            Self::AddSecretVersions => "Supported Add Secret Request Versions:",
            Self::AddSecretFlags => "Supported plaintext add secret flags:",
        }
    }

    /// A line for each bit; none if the ultravisor says nothing or no bit is on.
    pub(super) fn lines(self, query: &Query) -> Result<Option<Vec<String>>, Error> {
        let (file, table) = match self {
            Self::Facilities => ("facilities", Some(FACILITIES)),
            Self::FeatureIndications => ("feature_indications", Some(FEATURES)),
            Self::AttestationFlags => ("supp_att_pflags", Some(ATTESTATION_FLAGS)),
            Self::SecretTypes => ("supp_secret_types", Some(SECRET_TYPES)),
            Self::ControlFlags => ("supp_se_hdr_pcf", Some(CONTROL_FLAGS)),
            Self::AddSecretFlags => ("supp_add_secret_pcf", Some(ADD_SECRET_FLAGS)),
            Self::HeaderVersions => ("supp_se_hdr_ver", None),
            Self::AttestationVersions => ("supp_att_req_hdr_ver", None),
            Self::AddSecretVersions => ("supp_add_secret_req_ver", None),
        };
        let Some(bits) = query.bits(file)?.filter(|bits| bits.ones().next().is_some()) else { return Ok(None) };
        Ok(Some(table.map_or_else(|| versions(bits), |table| names(bits, table))))
    }
}

/// Bit n is version (n + 1) * 0x100.
fn versions(bits: Bits) -> Vec<String> {
    bits.ones().map(|bit| format!("version {:x} hex is supported", (bit + 1) * 0x100)).collect()
}

fn names(bits: Bits, table: Table) -> Vec<String> {
    let last = table.last().map_or(0, |(bit, _)| *bit);
    let name = |bit: u32| match table.iter().find(|(known, _)| *known == bit) {
        Some((_, name)) => Some((*name).to_owned()),
        None => (bit < last).then(|| format!("Reserved Bit-{bit}")),
    };
    let named: Vec<_> = bits.ones().filter_map(name).collect();
    if !named.is_empty() {
        return named;
    }
    let first = "No matching messages. But these bits are ON:".to_owned();
    std::iter::once(first).chain(bits.ones().map(|bit| format!("- Bit {bit} is ON"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn lines(topic: Topic, file: &str, text: &str) -> Option<Vec<String>> {
        let sysfs = tempfile::tempdir().unwrap();
        let folder = sysfs.path().join("firmware/uv/query");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
        topic.lines(&Query::below(sysfs.path()).unwrap()).unwrap()
    }

    #[test]
    fn names_bits_reserved_bits_and_unknown_bits() {
        let rows: [(Topic, &str, &str, Option<&[&str]>); 7] = [
            (Topic::SecretTypes, "supp_secret_types", "6000000000000000\n", Some(&["Meta", "AP-association"])),
            (
                Topic::FeatureIndications,
                "feature_indications",
                "a800000000000000\n",
                Some(&["Reserved Bit-0", "Reserved Bit-2", "AP passthrough is supported"]),
            ),
            (Topic::AddSecretFlags, "supp_add_secret_pcf", "8000000000000001\n", Some(&["Disable dumping"])),
            (
                Topic::AddSecretFlags,
                "supp_add_secret_pcf",
                "1\n",
                Some(&["No matching messages. But these bits are ON:", "- Bit 63 is ON"]),
            ),
            (
                Topic::HeaderVersions,
                "supp_se_hdr_ver",
                "c000000000000000\n",
                Some(&["version 100 hex is supported", "version 200 hex is supported"]),
            ),
            (Topic::HeaderVersions, "supp_se_hdr_ver", "0\n", None),
            (Topic::HeaderVersions, "another file", "1\n", None),
        ];
        for (topic, file, text, expected) in rows {
            let expected = expected.map(|lines| lines.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(lines(topic, file, text), expected, "{topic:?} {text}");
        }
    }

    #[test]
    fn tables_are_in_order() {
        for table in [FACILITIES, FEATURES, SECRET_TYPES, ATTESTATION_FLAGS, CONTROL_FLAGS, ADD_SECRET_FLAGS] {
            assert!(table.is_sorted_by_key(|(bit, _)| *bit));
        }
    }
}
