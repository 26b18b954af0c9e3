//! What the ultravisor answers. The names of its bits are those of [`uvtypes`].

use uvdevice::{Bits, Error, UvInfo};
use uvtypes::SecretKind;
use uvtypes::flags::{self, Flag};

/// A file with bits, and what is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
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

/// What the bits of a file are.
enum Words {
    Flags(&'static [Flag]),
    SecretKinds,
    /// Bit n is version (n + 1) * 0x100.
    Versions,
}

impl Words {
    fn name(&self, bit: u32) -> Option<String> {
        match self {
            Self::Flags(table) => flags::find(table, bit)?.text.map(str::to_owned),
            Self::SecretKinds => {
                let kind = SecretKind(u16::try_from(bit).ok()?);
                kind.row().map(|row| row.title.to_owned())
            }
            Self::Versions => Some(format!("version {:x} hex is supported", (bit + 1) * 0x100)),
        }
    }

    /// The last bit that has a name; bits between known ones are reserved.
    fn last(&self) -> u32 {
        match self {
            Self::Flags(table) => table.last().map_or(0, |flag| flag.bit),
            Self::SecretKinds => SecretKind::TABLE.last().map_or(0, |row| row.kind.number().into()),
            Self::Versions => 64,
        }
    }
}

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

    /// In the order of the machine-readable forms.
    pub(super) const ALL_BY_KEY: [Self; 9] = [
        Self::Facilities,
        Self::FeatureIndications,
        Self::ControlFlags,
        Self::HeaderVersions,
        Self::AttestationFlags,
        Self::AttestationVersions,
        Self::SecretTypes,
        Self::AddSecretVersions,
        Self::AddSecretFlags,
    ];

    /// Its key in the machine-readable forms.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Facilities => "facilities",
            Self::FeatureIndications => "feature_indications",
            Self::ControlFlags => "supported_plaintext_control_flags",
            Self::HeaderVersions => "supported_se_header_versions",
            Self::AttestationFlags => "supported_plaintext_attestation_flags",
            Self::AttestationVersions => "supported_attestation_request_versions",
            Self::SecretTypes => "supported_secret_types",
            Self::AddSecretVersions => "supported_add_secret_request_versions",
            Self::AddSecretFlags => "supported_plaintext_add_secret_flags",
        }
    }

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
    pub(crate) fn lines(self, query: &UvInfo) -> Result<Option<Vec<String>>, Error> {
        let (file, words) = match self {
            Self::Facilities => ("facilities", Words::Flags(flags::facilities::TABLE)),
            Self::FeatureIndications => ("feature_indications", Words::Flags(flags::features::TABLE)),
            Self::AttestationFlags => ("supp_att_pflags", Words::Flags(flags::attestation::TABLE)),
            Self::SecretTypes => ("supp_secret_types", Words::SecretKinds),
            Self::ControlFlags => ("supp_se_hdr_pcf", Words::Flags(flags::pcf::TABLE)),
            Self::AddSecretFlags => ("supp_add_secret_pcf", Words::Flags(flags::add_secret::TABLE)),
            Self::HeaderVersions => ("supp_se_hdr_ver", Words::Versions),
            Self::AttestationVersions => ("supp_att_req_hdr_ver", Words::Versions),
            Self::AddSecretVersions => ("supp_add_secret_req_ver", Words::Versions),
        };
        let bits = query.bits(file)?.filter(|bits| bits.ones().next().is_some());
        Ok(bits.map(|bits| names(bits, &words)))
    }
}

fn names(bits: Bits, words: &Words) -> Vec<String> {
    let name = |bit| words.name(bit).or_else(|| (bit < words.last()).then(|| format!("Reserved Bit-{bit}")));
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
        topic.lines(&UvInfo::at_sysfs(sysfs.path()).unwrap()).unwrap()
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
}
