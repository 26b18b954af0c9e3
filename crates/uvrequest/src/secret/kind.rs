//! Kinds of secret.

/// What a secret is to the ultravisor. The number is the one in requests and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum SecretKind {
    /// No secret: the request only carries flags or fixes the extension secret.
    Meta = 0x01,
    /// Ties a Crypto Express queue to the guest.
    Association = 0x02,
    /// Bytes that the guest gets back as they are.
    Plaintext = 0x03,
    /// AES key of 128 bits.
    Aes128 = 0x04,
    /// AES key of 192 bits.
    Aes192 = 0x05,
    /// AES key of 256 bits.
    Aes256 = 0x06,
    /// Two AES keys of 128 bits for XTS mode.
    AesXts128 = 0x07,
    /// Two AES keys of 256 bits for XTS mode.
    AesXts256 = 0x08,
    /// HMAC key for SHA-256.
    HmacSha256 = 0x09,
    /// HMAC key for SHA-512.
    HmacSha512 = 0x0a,
    /// Private key on NIST P-256.
    EcSecp256r1 = 0x11,
    /// Private key on NIST P-384.
    EcSecp384r1 = 0x12,
    /// Private key on NIST P-521.
    EcSecp521r1 = 0x13,
    /// Ed25519 private key.
    EcEd25519 = 0x14,
    /// Ed448 private key.
    EcEd448 = 0x15,
    /// A new customer-communication key.
    UpdateCck = 0x16,
}

impl SecretKind {
    /// The number in requests and lists.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The name that lists and identity files show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "Meta",
            Self::Association => "Association",
            Self::Plaintext => "PLAINTEXT",
            Self::Aes128 => "AES-128-KEY",
            Self::Aes192 => "AES-192-KEY",
            Self::Aes256 => "AES-256-KEY",
            Self::AesXts128 => "AES-XTS-128-KEY",
            Self::AesXts256 => "AES-XTS-256-KEY",
            Self::HmacSha256 => "HMAC-SHA-256-KEY",
            Self::HmacSha512 => "HMAC-SHA-512-KEY",
            Self::EcSecp256r1 => "EC-SECP256R1-PRIVATE-KEY",
            Self::EcSecp384r1 => "EC-SECP384R1-PRIVATE-KEY",
            Self::EcSecp521r1 => "EC-SECP521R1-PRIVATE-KEY",
            Self::EcEd25519 => "EC-ED25519-PRIVATE-KEY",
            Self::EcEd448 => "EC-ED448-PRIVATE-KEY",
            Self::UpdateCck => "Update-CCK",
        }
    }
}
