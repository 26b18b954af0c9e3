//! What an attestation is asked for, and where the answers stand.

use crate::flags::{Flag, attestation as flags};

/// What an attestation is to contain beside the measurement: the flags of an attestation request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttestationFlags(u64);

impl AttestationFlags {
    /// The measurement depends on a nonce. Every request of ours has it.
    pub const NONCE: Self = Self(flags::NONCE.mask());
    /// Hash of the host key that opened the image.
    pub const IMAGE_HOST_KEY: Self = Self(flags::IMAGE_HOST_KEY.mask());
    /// Hash of the host key that opened the request.
    pub const ATTESTATION_HOST_KEY: Self = Self(flags::ATTESTATION_HOST_KEY.mask());
    /// Hash over the add-secret requests and the lock state.
    pub const SECRET_STORE_HASH: Self = Self(flags::SECRET_STORE_HASH.mask());
    /// State of the firmware.
    pub const FIRMWARE_STATE: Self = Self(flags::FIRMWARE_STATE.mask());

    /// The flags of these and of `other`.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags as they stand in a request.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl From<u64> for AttestationFlags {
    fn from(bits: u64) -> Self {
        Self(bits)
    }
}

impl From<Flag> for AttestationFlags {
    fn from(flag: Flag) -> Self {
        Self(flag.mask())
    }
}

/// A part of the additional data of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The flag that asks for the part, with its name.
    pub flag: Flag,
    /// Bytes of the part.
    pub size: usize,
    /// The key of the part in what `pvattest verify` writes; the keys are those of s390-tools.
    pub key: &'static str,
    /// The title of the part in what `pvattest verify` prints; the titles are those of s390-tools.
    pub title: &'static str,
}

/// All parts in the order in which they stand in the additional data. One that was not asked for is not there.
///
/// Source: responses that the ultravisor gives.
pub const PARTS: &[Part] = &[
    Part { flag: flags::IMAGE_HOST_KEY, size: 32, key: "image_phkh", title: "Image PHKH" },
    Part { flag: flags::ATTESTATION_HOST_KEY, size: 32, key: "attestation_phkh", title: "Attestation PHKH" },
    Part { flag: flags::SECRET_STORE_HASH, size: 64, key: "secret_store_hash", title: "Secret store hash" },
    Part { flag: flags::FIRMWARE_STATE, size: 320, key: "firmware_state", title: "Firmware state" },
];

impl Part {
    /// Whether a request with `flags` asks for the part.
    pub fn is_in(&self, flags: AttestationFlags) -> bool {
        self.flag.is_set(flags.0)
    }
}
