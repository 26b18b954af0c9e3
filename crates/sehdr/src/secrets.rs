//! The encrypted part of a header, once it is decrypted.

use crate::Error;
use uvtypes::{Reader, SecretBox};

/// Bytes of the encrypted part without optional items.
pub const SECRETS_SIZE: usize = 128;

/// Secrets of a header, which only the ultravisor reads.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x00 | 32 | customer-communication key (CCK) |
/// | 0x20 | 64 | image key, AES-256-XTS |
/// | 0x60 | 16 | PSW: mask and address, each 8 bytes, big-endian |
/// | 0x70 | 8 | secret control flags (SCF), big-endian |
/// | 0x78 | 4 | number of optional items, 0 |
/// | 0x7c | 4 | reserved |
///
/// Source: headers of images opened with a known header key.
#[derive(Clone, Debug)]
pub struct HeaderSecrets {
    /// Customer-communication key.
    pub cck: SecretBox<[u8; 32]>,
    /// Key of the image's pages: two AES-256 keys for XTS.
    pub image_key: SecretBox<[u8; 64]>,
    /// Mask of the PSW the guest starts with.
    pub psw_mask: u64,
    /// Address of the PSW the guest starts with.
    pub psw_address: u64,
    /// Secret control flags, bit 0 being the most significant.
    pub secret_control_flags: u64,
}

impl HeaderSecrets {
    /// Bytes of the secrets as they stand in a header before encryption.
    pub fn to_bytes(&self) -> SecretBox<[u8; SECRETS_SIZE]> {
        let mut bytes = SecretBox::zeros();
        let mut rest: &mut [u8] = bytes.expose_mut();
        let words = [self.psw_mask, self.psw_address, self.secret_control_flags].map(u64::to_be_bytes);
        let fields: [&[u8]; 5] = [self.cck.expose(), self.image_key.expose(), &words[0], &words[1], &words[2]];
        for field in fields {
            let (place, behind) = rest.split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = behind;
        }
        bytes
    }

    /// Reads a decrypted part. Optional items, which nobody knows, are not looked at.
    ///
    /// # Errors
    /// [`Error::Wire`] when there are fewer than 128 bytes.
    pub fn parse(plain: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(plain);
        let (mut cck, mut image_key) = (SecretBox::zeros(), SecretBox::zeros());
        cck.expose_mut().copy_from_slice(reader.bytes(32, "CCK")?);
        image_key.expose_mut().copy_from_slice(reader.bytes(64, "image key")?);
        let (psw_mask, psw_address) = (reader.u64("PSW mask")?, reader.u64("PSW address")?);
        let secret_control_flags = reader.u64("secret control flags")?;
        reader.bytes(8, "optional items")?;
        Ok(Self { cck, image_key, psw_mask, psw_address, secret_control_flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_where_the_format_has_them() {
        let secrets = HeaderSecrets {
            cck: SecretBox::new([1; 32]),
            image_key: SecretBox::new([2; 64]),
            psw_mask: 0x1_8000_0000,
            psw_address: 0x1234_5000,
            secret_control_flags: 1 << 62,
        };
        let bytes = secrets.to_bytes();
        let expected =
            [&[1; 32][..], &[2; 64], &[0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x50, 0, 0x40], &[0; 15]];
        assert_eq!(bytes.expose()[..], expected.concat()[..]);
        let again = HeaderSecrets::parse(bytes.expose()).unwrap();
        assert_eq!(again.to_bytes().expose(), bytes.expose());
        assert!(HeaderSecrets::parse(&bytes.expose()[..127]).is_err());
    }
}
