//! The bits of all words of flags. Bit 0 is the most significant of 64.
//!
//! Each word has a module with a constant for each flag, and a `TABLE` of them in the order of their bits.

/// A flag: one bit of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The bit, counted from the most significant.
    pub bit: u32,
    /// Short words for explanations.
    pub name: &'static str,
    /// What `pvinfo` calls the flag; `None` for a bit that the reference's table does not know either.
    pub text: Option<&'static str>,
    /// The value of the option that sets the flag, if a tool has one, and the help of this value.
    pub option: Option<(&'static str, &'static str)>,
}

impl Flag {
    /// A flag with both its texts.
    pub const fn new(bit: u32, name: &'static str, text: &'static str) -> Self {
        Self { bit, name, text: Some(text), option: None }
    }

    /// Of the ultravisor's answers about itself: one text for all.
    const fn told(bit: u32, text: &'static str) -> Self {
        Self::new(bit, text, text)
    }

    /// The same flag with the value of the option that sets it, and the help of this value.
    pub const fn with_option(self, value: &'static str, help: &'static str) -> Self {
        Self { option: Some((value, help)), ..self }
    }

    /// The word in which this flag is set and no other.
    pub const fn mask(self) -> u64 {
        1 << (63 - self.bit)
    }

    /// Whether the flag is set in `word`.
    pub const fn is_set(self, word: u64) -> bool {
        word & self.mask() != 0
    }
}

/// The bits that are set in `word`, from the most significant.
pub fn ones(word: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |bit| word >> (63 - bit) & 1 == 1)
}

/// The row of `bit` in a table.
pub fn find(table: &[Flag], bit: u32) -> Option<&Flag> {
    table.iter().find(|flag| flag.bit == bit)
}

/// Plaintext control flags (PCF) of an SE header, which anybody can read and the header's tag protects.
///
/// Source: images made with each option alone; `/sys/firmware/uv/query/supp_se_hdr_pcf`.
pub mod pcf {
    use super::Flag;

    /// The guest may be dumped.
    pub const DUMP: Flag = Flag::new(34, "dumping allowed", "Dumping of the secure execution guest is allowed");
    /// The components of the image are stored as they are.
    pub const NO_ENCRYPTION: Flag =
        Flag::new(35, "image components are not encrypted", "The components of the image are not encrypted");
    /// PCKMO may encrypt DEA and TDEA keys.
    pub const PCKMO_DEA: Flag =
        Flag::new(56, "PCKMO DEA/TDEA key functions allowed", "PCKMO encrypt-DEA/TDEA-key functions allowed");
    /// PCKMO may encrypt AES keys.
    pub const PCKMO_AES: Flag =
        Flag::new(57, "PCKMO AES key functions allowed", "PCKMO encrypt-AES-key functions allowed");
    /// PCKMO may encrypt ECC keys.
    pub const PCKMO_ECC: Flag =
        Flag::new(58, "PCKMO ECC key functions allowed", "PCKMO encrypt-ECC-key functions allowed");
    /// PCKMO may encrypt HMAC keys.
    pub const PCKMO_HMAC: Flag = Flag { bit: 59, name: "PCKMO HMAC key functions allowed", text: None, option: None };
    /// A backup host key of the machine may open the header.
    pub const BACKUP_KEYS: Flag =
        Flag::new(62, "temporary backup host key allowed", "Temporary backup-host-key use allowed");

    /// All plaintext control flags.
    pub const TABLE: &[Flag] = &[DUMP, NO_ENCRYPTION, PCKMO_DEA, PCKMO_AES, PCKMO_ECC, PCKMO_HMAC, BACKUP_KEYS];
    /// The flags of an image when nobody says otherwise.
    pub const DEFAULT: u64 = PCKMO_DEA.mask() | PCKMO_AES.mask() | PCKMO_ECC.mask();
}

/// Secret control flags (SCF) of an SE header, which only the ultravisor reads.
///
/// Source: images made with each option alone, their headers opened with a known header key.
pub mod scf {
    use super::Flag;

    /// Every add-secret request must carry the extension secret that is derived from the CCK.
    pub const CCK_EXTENSION_SECRET: Flag = Flag::told(1, "requests need the extension secret of the CCK");
    /// The CCK may be replaced by a request.
    pub const CCK_UPDATE: Flag = Flag::told(2, "the CCK may be updated");

    /// All secret control flags.
    pub const TABLE: &[Flag] = &[CCK_EXTENSION_SECRET, CCK_UPDATE];
}

/// Flags of an add-secret request.
///
/// Source: requests that the ultravisor accepts; `/sys/firmware/uv/query/supp_add_secret_pcf`.
pub mod add_secret {
    use super::Flag;

    /// Once the request is accepted, the guest cannot be dumped.
    pub const DISABLE_DUMP: Flag = Flag::new(0, "disable dump", "Disable dumping")
        .with_option("disable-dump", "The guest cannot be dumped any more");

    /// All flags of add-secret requests.
    pub const TABLE: &[Flag] = &[DISABLE_DUMP];
}

/// Flags of an attestation request: what the response is to contain. [`crate::attestation`] says how it does.
///
/// Source: requests that the ultravisor accepts; `/sys/firmware/uv/query/supp_att_pflags`.
pub mod attestation {
    use super::Flag;

    /// The measurement depends on a nonce in the request.
    pub const NONCE: Flag = Flag::new(1, "nonce", "A nonce in the request");
    /// The response contains the hash of the host key that opened the image.
    pub const IMAGE_HOST_KEY: Flag = Flag::new(
        2,
        "host-key hash of the image",
        "The hash of the host key that the image was started with, in the answer",
    )
    .with_option("phkh-img", "Hash of the host key that opened the image");
    /// The response contains the hash of the host key that opened the request.
    pub const ATTESTATION_HOST_KEY: Flag = Flag::new(
        3,
        "host-key hash of the request",
        "The hash of the host key that the request was opened with, in the answer",
    )
    .with_option("phkh-att", "Hash of the host key that opened the request");
    /// The response contains a hash over the add-secret requests and the lock state.
    pub const SECRET_STORE_HASH: Flag =
        Flag::new(4, "secret-store hash", "The hash of the secret store, in the answer").with_option(
            "secret-store-hash",
            "Hash over the add-secret requests that were accepted, and whether the secret store is locked",
        );
    /// The response contains the state of the firmware.
    pub const FIRMWARE_STATE: Flag = Flag::new(5, "firmware state", "The state of the firmware, in the answer")
        .with_option("firmware-state", "State of the firmware");

    /// All flags of attestation requests.
    pub const TABLE: &[Flag] = &[NONCE, IMAGE_HOST_KEY, ATTESTATION_HOST_KEY, SECRET_STORE_HASH, FIRMWARE_STATE];
}

/// Calls that an ultravisor knows, in `/sys/firmware/uv/query/facilities`. The texts are those of s390-tools, which
/// scripts look for.
pub mod facilities {
    use super::Flag;

    /// The secret store of a guest can be listed.
    pub const LIST_SECRETS: Flag = Flag::told(30, "List Secrets");

    /// Every call of the ultravisor that a bit stands for.
    pub const TABLE: &[Flag] = &[
        Flag::told(0, "Query Ultravisor Information"),
        Flag::told(1, "Initialize Ultravisor"),
        Flag::told(2, "Create Secure Configuration"),
        Flag::told(3, "Destroy Secure Configuration"),
        Flag::told(4, "Create Secure CPU"),
        Flag::told(5, "Destroy Secure CPU"),
        Flag::told(6, "Convert to Secure Storage"),
        Flag::told(7, "Convert from Secure Storage"),
        Flag::told(8, "Set Shared Access"),
        Flag::told(9, "Remove Shared Access"),
        Flag::told(11, "Set Secure Parameters"),
        Flag::told(12, "Destroy Secure Storage"),
        Flag::told(13, "Unpack Image"),
        Flag::told(14, "Verify Image"),
        Flag::told(15, "Perform CPU Reset"),
        Flag::told(16, "Perform Initial CPU Reset"),
        Flag::told(17, "Set CPU State"),
        Flag::told(18, "Prepare for Reset"),
        Flag::told(19, "Perform CPU Clear Reset"),
        Flag::told(20, "Unshare All"),
        Flag::told(21, "Pin Shared Storage"),
        Flag::told(22, "Unpin Shared Storage"),
        Flag::told(23, "Destroy Secure Configuration Fast"),
        Flag::told(24, "Initiate Configuration Dump"),
        Flag::told(25, "Dump Configuration Storage State"),
        Flag::told(26, "Dump CPU State"),
        Flag::told(27, "Complete Configuration Dump"),
        Flag::told(28, "Retrieve Attestation Measurement"),
        Flag::told(29, "Add Secret"),
        LIST_SECRETS,
        Flag::told(31, "Lock Secrets"),
        Flag::told(32, "Verify Large Frame"),
        Flag::told(33, "Retrieve Secret"),
    ];
}

/// Features of an ultravisor, in `/sys/firmware/uv/query/feature_indications`. The texts are those of s390-tools.
pub mod features {
    use super::Flag;

    /// Every feature of the ultravisor that a bit stands for.
    pub const TABLE: &[Flag] = &[
        Flag::told(1, "Adapter interrupt virtualization is supported"),
        Flag::told(4, "AP passthrough is supported"),
        Flag::told(5, "AP interpretion passthrough is supported"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_in_the_order_of_its_bits() {
        for table in [pcf::TABLE, scf::TABLE, add_secret::TABLE, attestation::TABLE, facilities::TABLE, features::TABLE]
        {
            assert!(table.windows(2).all(|pair| pair[0].bit < pair[1].bit), "{table:?}");
        }
    }

    #[test]
    fn values_are_those_of_the_formats() {
        let masks = |flags: &[Flag]| flags.iter().map(|flag| flag.mask()).collect::<Vec<_>>();
        assert_eq!(masks(pcf::TABLE), [0x2000_0000, 0x1000_0000, 0x80, 0x40, 0x20, 0x10, 0x02]);
        assert_eq!(masks(scf::TABLE), [0x4000_0000_0000_0000, 0x2000_0000_0000_0000]);
        assert_eq!(masks(add_secret::TABLE), [1 << 63]);
        assert_eq!(masks(attestation::TABLE), [1 << 62, 1 << 61, 1 << 60, 1 << 59, 1 << 58]);
        assert_eq!(pcf::DEFAULT, 0xe0);
        assert!(pcf::DUMP.is_set(0x2000_0000) && !pcf::DUMP.is_set(!0x2000_0000));
        assert_eq!(ones(0x8000_0000_0000_0001).collect::<Vec<_>>(), [0, 63]);
        assert_eq!(find(pcf::TABLE, 34), Some(&pcf::DUMP));
        assert_eq!(find(pcf::TABLE, 33), None);
    }
}
