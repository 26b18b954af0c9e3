//! The 512 bytes that the ultravisor passes by, and the signature in them.

use crate::Error;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};

/// Where user data stands in an add-secret request.
pub(super) const USER_DATA_AT: usize = 0x218;
/// Its size.
pub(super) const USER_DATA_SIZE: usize = 512;
/// Where in the user data the size of an EC signature stands, two bytes.
const EC_SIGNATURE_SIZE_AT: usize = 0x190;

/// User data of a request.
#[derive(Clone, Debug, Default)]
pub enum UserData {
    /// None.
    #[default]
    None,
    /// Up to 512 bytes as they are.
    Unsigned(Vec<u8>),
    /// Up to 256 bytes, 128 with RSA 3072, and a signature.
    Signed {
        /// The data.
        data: Vec<u8>,
        /// An EC P-521, RSA 2048 or RSA 3072 key.
        key: PKey<Private>,
        /// For RSA. A sound signature has [`Padding::PKCS1_PSS`].
        padding: Padding,
    },
}

impl UserData {
    /// The kind, as the request's magic tells it.
    pub(super) fn kind(&self) -> u16 {
        match self {
            Self::None => 0,
            Self::Unsigned(_) => 1,
            Self::Signed { key, .. } => match (key.id(), key.bits()) {
                (Id::RSA, 3072) => 4,
                (Id::RSA, _) => 3,
                _ => 2,
            },
        }
    }

    /// The area, without the signature.
    pub(super) fn area(&self) -> [u8; USER_DATA_SIZE] {
        let mut area = [0; USER_DATA_SIZE];
        if let Self::Unsigned(data) | Self::Signed { data, .. } = self {
            area.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        }
        area
    }

    /// The area with the signature over `message`, if there is to be one.
    pub(super) fn signed_area(&self, message: &[u8]) -> Result<Option<[u8; USER_DATA_SIZE]>, Error> {
        let Self::Signed { key, padding, .. } = self else { return Ok(None) };
        let mut signer = Signer::new(MessageDigest::sha512(), key)?;
        if key.id() == Id::RSA {
            signer.set_rsa_padding(*padding)?;
        }
        if key.id() == Id::RSA && *padding == Padding::PKCS1_PSS {
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::MAXIMUM_LENGTH)?;
        }
        let signature = signer.sign_oneshot_to_vec(message)?;
        let mut area = self.area();
        let data_size = if self.kind() == 4 { 128 } else { 256 };
        area[data_size..data_size + signature.len()].copy_from_slice(&signature);
        if self.kind() == 2 {
            // At most 139 bytes.
            area[EC_SIGNATURE_SIZE_AT + 1] = signature.len() as u8;
        }
        Ok(Some(area))
    }
}
