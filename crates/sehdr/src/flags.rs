//! What the flags in a header are called. Bit 0 is the most significant.
//!
//! Source: images made with each option alone, their headers opened with a known header key.

/// A flag of a header: where it is, and what it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its bit, counted from the most significant.
    pub bit: u32,
    /// What it is called in explanations.
    pub name: &'static str,
}

impl Flag {
    /// The flag as the word of flags that has no other.
    pub const fn mask(self) -> u64 {
        1 << (63 - self.bit)
    }
}

/// The plaintext control flags (PCF), which anybody can read and the header's tag protects.
pub mod pcf {
    use super::Flag;

    /// The guest may be dumped.
    pub const DUMP: Flag = Flag { bit: 34, name: "dumping is allowed" };
    /// The pages of the image are stored as they are.
    pub const NO_ENCRYPTION: Flag = Flag { bit: 35, name: "the image is not encrypted" };
    /// PCKMO for DEA and TDEA keys.
    pub const PCKMO_DEA: Flag = Flag { bit: 56, name: "PCKMO: DEA and TDEA keys" };
    /// PCKMO for AES keys.
    pub const PCKMO_AES: Flag = Flag { bit: 57, name: "PCKMO: AES keys" };
    /// PCKMO for ECC keys.
    pub const PCKMO_ECC: Flag = Flag { bit: 58, name: "PCKMO: ECC keys" };
    /// PCKMO for HMAC keys.
    pub const PCKMO_HMAC: Flag = Flag { bit: 59, name: "PCKMO: HMAC keys" };
    /// A backup host key of the machine may open the header.
    pub const BACKUP_KEYS: Flag = Flag { bit: 62, name: "backup host keys may be used" };

    /// All that are known, in the order of their bits.
    pub const ALL: [Flag; 7] = [DUMP, NO_ENCRYPTION, PCKMO_DEA, PCKMO_AES, PCKMO_ECC, PCKMO_HMAC, BACKUP_KEYS];
    /// What an image has when nobody says otherwise.
    pub const DEFAULT: u64 = PCKMO_DEA.mask() | PCKMO_AES.mask() | PCKMO_ECC.mask();
}

/// The secret control flags (SCF), which only the ultravisor reads.
pub mod scf {
    use super::Flag;

    /// Every add-secret request must carry the extension secret that is derived from the CCK.
    pub const CCK_EXTENSION_SECRET: Flag = Flag { bit: 1, name: "requests need the extension secret of the CCK" };
    /// The CCK may be replaced by a request.
    pub const CCK_UPDATE: Flag = Flag { bit: 2, name: "the CCK may be updated" };

    /// All that are known, in the order of their bits.
    pub const ALL: [Flag; 2] = [CCK_EXTENSION_SECRET, CCK_UPDATE];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_format() {
        let masks = |flags: &[Flag]| flags.iter().map(|flag| flag.mask()).collect::<Vec<_>>();
        assert_eq!(masks(&pcf::ALL), [0x2000_0000, 0x1000_0000, 0x80, 0x40, 0x20, 0x10, 0x02]);
        assert_eq!(masks(&scf::ALL), [0x4000_0000_0000_0000, 0x2000_0000_0000_0000]);
        assert_eq!(pcf::DEFAULT, 0xe0);
    }
}
