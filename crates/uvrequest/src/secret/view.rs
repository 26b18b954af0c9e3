//! What anybody can read in a sealed add-secret request, and check without the machine's key.

use super::asrcb::{MAGIC, RequestData, SecretHeader, USER_DATA_OFFSET};
#[cfg(feature = "openssl")]
use super::signing::verify;
use super::user_data::{AREA_SIZE, LAYOUTS, Scheme};
use crate::request_frame::SealedRequest;
use crate::{Error, FormatError};
#[cfg(feature = "openssl")]
use openssl::pkey::{PKey, Public};
use sehdr::BootTags;
use uvtypes::{Cuid, HostKeyHash, SecretId};
use zerocopy::FromBytes;

/// A sealed request whose parts fit each other exactly. Its tag cannot be checked here.
#[derive(Clone, Debug)]
pub struct AddSecretRequestView<'a> {
    sealed: SealedRequest<'a>,
    user_data_kind: u16,
    user_data: &'a [u8],
    cuid: Cuid,
    boot_tags: BootTags,
    secret_id: Option<SecretId>,
}

/// User data that was checked as far as its kind allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedUserData<'a> {
    /// The request has none.
    None,
    /// Anybody may have written these 512 bytes.
    Unsigned(&'a [u8]),
    /// Signed by the certificate's key: 256 or 128 bytes.
    Signed(&'a [u8]),
}

impl<'a> AddSecretRequestView<'a> {
    /// Checks magic, kind of user data, version and all sizes.
    ///
    /// # Errors
    /// Any [`FormatError`] but those about attestation.
    pub fn parse(request: &'a [u8]) -> Result<Self, FormatError> {
        if !request.starts_with(&MAGIC) {
            return Err(FormatError::NotAnAddSecretRequest);
        }
        let with_id = size_of::<SecretHeader>() + 32;
        let sealed = SealedRequest::parse(request, size_of::<RequestData>(), size_of::<SecretHeader>()..=with_id)?;
        let [.., kind_high, kind_low] = sealed.header.magic;
        let user_data_kind = u16::from_be_bytes([kind_high, kind_low]);
        if usize::from(user_data_kind) >= LAYOUTS.len() {
            return Err(FormatError::UserDataKind(user_data_kind));
        }
        let cut = |_| FormatError::NotAnAddSecretRequest;
        let data = RequestData::read_from_bytes(sealed.aad_prefix).map_err(|error| cut(error.to_string()))?;
        let user_data = request.get(USER_DATA_OFFSET..USER_DATA_OFFSET + AREA_SIZE).unwrap_or_default();
        let secret_id = match sealed.aad_suffix.get(size_of::<SecretHeader>()..) {
            Some([]) | None => None,
            Some(id) => Some(SecretId::from(<[u8; 32]>::try_from(id).map_err(|_| FormatError::Size {
                what: "the size of the encrypted area",
                offset: 0x2c,
                stated: sealed.encrypted.len() as u64,
                limit: format!("that leaves {} for the secret's header, which has 16 or 48", sealed.aad_suffix.len()),
            })?)),
        };
        let (cuid, boot_tags) = (Cuid::from(data.cuid()), data.boot_tags());
        Ok(Self { user_data_kind, user_data, cuid, boot_tags, secret_id, sealed })
    }

    /// The user data of a request that is not signed.
    ///
    /// # Errors
    /// [`Error::SignatureWithoutCertificate`] if it is.
    pub fn unsigned_user_data(&self) -> Result<VerifiedUserData<'a>, Error> {
        match (Scheme::from_kind(self.user_data_kind), self.user_data_kind) {
            (Some(scheme), _) => Err(Error::SignatureWithoutCertificate(scheme.name())),
            (None, 0) => Ok(VerifiedUserData::None),
            (None, _) => Ok(VerifiedUserData::Unsigned(self.user_data)),
        }
    }

    /// Checks the signature of the user data with the key of a certificate, and gives the data.
    ///
    /// # Errors
    /// [`Error::SignatureWithoutCertificate`], [`Error::CertificateWithoutSignature`],
    /// [`Error::SignatureKind`], [`Error::Signature`].
    #[cfg(feature = "openssl")]
    pub fn verify_user_data(&self, key: Option<&PKey<Public>>) -> Result<VerifiedUserData<'a>, Error> {
        let (Some(scheme), Some(key)) = (Scheme::from_kind(self.user_data_kind), key) else {
            return match self.unsigned_user_data()? {
                VerifiedUserData::Unsigned(_) if key.is_some() => Err(Error::CertificateWithoutSignature),
                data => Ok(data),
            };
        };
        let (data, part) = self.user_data.split_at(scheme.data_size().min(self.user_data.len()));
        let mut message = [self.sealed.aad, self.sealed.encrypted].concat();
        if let Some(area) = message.get_mut(USER_DATA_OFFSET + data.len()..USER_DATA_OFFSET + AREA_SIZE) {
            area.fill(0);
        }
        verify(scheme, key, part, &message)?;
        Ok(VerifiedUserData::Signed(data))
    }

    /// The boot of the guest that the request is bound to, if any.
    pub fn cuid(&self) -> Option<Cuid> {
        (self.cuid != Cuid::default()).then_some(self.cuid)
    }

    /// The image that the request is for.
    pub fn boot_tags(&self) -> &BootTags {
        &self.boot_tags
    }

    /// The host keys that the request is for, in the order of its slots.
    pub fn host_keys(&self) -> Vec<HostKeyHash> {
        self.sealed.host_keys()
    }

    /// The id of the secret; a meta request has none.
    pub fn secret_id(&self) -> Option<SecretId> {
        self.secret_id
    }

    /// The request's tag, its last 16 bytes: what names it in a secret-store hash.
    pub fn tag(&self) -> [u8; 16] {
        self.sealed.tag
    }
}
