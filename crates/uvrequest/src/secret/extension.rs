//! The extension secret: who does not know it cannot add secrets to a guest that has one.

use crate::{Error, hkdf_sha512};
use openssl::error::ErrorStack;
use sehdr::BootTags;
use uvtypes::SecretBox;

/// Customer-communication key: the image's owner put it into the SE header.
#[derive(Clone, Debug)]
pub struct Cck(SecretBox<[u8; 32]>);

impl Cck {
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl TryFrom<&[u8]> for Cck {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        exactly_32("the CCK", bytes).map(Self)
    }
}

/// Fixed by the first request that the guest accepts; later ones must carry the same.
#[derive(Clone, Debug)]
pub struct ExtensionSecret(SecretBox<[u8; 32]>);

impl ExtensionSecret {
    /// HKDF (RFC 5869) with SHA-512 over the CCK, salted with the tag of the SE header, so that the same CCK
    /// gives every image another extension secret.
    pub fn from_cck(cck: &Cck, image: &BootTags) -> Result<Self, ErrorStack> {
        let mut secret = SecretBox::zeros();
        let info = b"IBM Z Ultravisor Add-Secret";
        hkdf_sha512(cck.expose(), &image.tag, info, secret.expose_mut())?;
        Ok(Self(secret))
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl TryFrom<&[u8]> for ExtensionSecret {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        exactly_32("the extension secret", bytes).map(Self)
    }
}

fn exactly_32(kind: &'static str, bytes: &[u8]) -> Result<SecretBox<[u8; 32]>, Error> {
    SecretBox::copy_of(bytes).ok_or(Error::SecretSize {
        kind,
        actual: bytes.len(),
        expected: "exactly 32 bytes".to_owned(),
    })
}
