//! Which machine.

use crate::hexadecimal::shown_as_hex;

/// How requests and headers name a machine: a hash over the public key of its host key.
///
/// Today that is SHA-256 over the coordinates of an EC P-521 key, 160 bytes. Whoever compares hashes or writes them down
/// takes [`HostKeyHash::as_bytes`], whose length is for the hash to say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKeyHash(Hash);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Hash {
    Sha256([u8; 32]),
}

impl HostKeyHash {
    /// A hash that was made with SHA-256.
    pub const fn sha256(hash: [u8; 32]) -> Self {
        Self(Hash::Sha256(hash))
    }

    /// The bytes of the hash as they stand in key slots and attestations.
    pub fn as_bytes(&self) -> &[u8] {
        let Hash::Sha256(hash) = &self.0;
        hash
    }
}

shown_as_hex!(HostKeyHash);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_in_hexadecimal() {
        let hash = HostKeyHash::sha256([0xab; 32]);
        assert_eq!((hash.to_string(), format!("{hash:x}")), (format!("0x{}", "ab".repeat(32)), "ab".repeat(32)));
    }
}
