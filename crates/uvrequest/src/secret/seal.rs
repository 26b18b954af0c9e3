//! An add-secret request, from its parts to the sealed bytes.

use super::asrcb::{MAGIC, RequestData, SecretHeader, USER_DATA_OFFSET};
use super::{ExtensionSecret, GuestSecret, UserData};
use crate::Error;
use crate::request_seal::{RequestFrame, RequestKeys};
use hostkey::TrustedHostKey;
use sehdr::BootTags;
#[cfg(doc)]
use uvtypes::flags::add_secret;
use uvtypes::{Cuid, SecretBox};
use zerocopy::IntoBytes;

/// A request to add a secret to one image's guests.
#[derive(Clone, Debug)]
pub struct AddSecretRequest {
    boot_tags: BootTags,
    secret: GuestSecret,
    flags: u64,
    cuid: Cuid,
    extension_secret: Option<ExtensionSecret>,
    user_data: UserData,
}

impl AddSecretRequest {
    /// A request with `secret` for the guests that start from the image with `boot_tags`.
    pub fn new(boot_tags: BootTags, secret: GuestSecret) -> Self {
        Self { boot_tags, secret, flags: 0, cuid: Cuid::default(), extension_secret: None, user_data: UserData::None }
    }

    /// Sets the flags, such as that of [`add_secret::DISABLE_DUMP`].
    pub fn flags(mut self, flags: u64) -> Self {
        self.flags = flags;
        self
    }

    /// Binds the request to one boot of the guest.
    pub fn bind_to(mut self, cuid: Cuid) -> Self {
        self.cuid = cuid;
        self
    }

    /// Carries the extension secret.
    pub fn extension_secret(mut self, secret: ExtensionSecret) -> Self {
        self.extension_secret = Some(secret);
        self
    }

    /// Carries user data, which must fit its area.
    pub fn user_data(mut self, user_data: UserData) -> Result<Self, Error> {
        user_data.check()?;
        self.user_data = user_data;
        Ok(self)
    }

    /// Seals the request for these machines: the bytes that `pvsecret add` takes.
    ///
    /// # Errors
    /// [`Error::HostKeyCount`] unless there are 1 to 255 host keys, [`Error::OpenSsl`].
    pub fn seal(&self, host_keys: &[TrustedHostKey]) -> Result<Vec<u8>, Error> {
        self.seal_with(RequestKeys::generate()?, host_keys)
    }

    /// With chosen random values: for known answers in tests alone.
    pub(crate) fn seal_with(&self, keys: RequestKeys, host_keys: &[TrustedHostKey]) -> Result<Vec<u8>, Error> {
        let [a, b, c, d, e, f] = MAGIC;
        let [kind_high, kind_low] = self.user_data.kind().to_be_bytes();
        let magic = [a, b, c, d, e, f, kind_high, kind_low];
        let data = RequestData {
            flags: self.flags.into(),
            page_list_digest: self.boot_tags.page_list_digest,
            address_list_digest: self.boot_tags.address_list_digest,
            tweak_list_digest: self.boot_tags.tweak_list_digest,
            header_tag: self.boot_tags.tag,
            cuid: *self.cuid.as_bytes(),
            reserved: [0; 256],
            user_data: self.user_data.area(),
        };
        let mut frame =
            RequestFrame::new(magic, data.as_bytes(), &self.secret_header(), self.plain(), keys, host_keys)?;
        if let Some(key) = self.user_data.signing_key() {
            let signature = key.sign(&frame.without_tag()?)?;
            let area_end = USER_DATA_OFFSET + data.user_data.len();
            if let Some(part) = frame.aad_mut().get_mut(area_end - signature.len()..area_end) {
                part.copy_from_slice(&signature);
            }
        }
        Ok(frame.seal()?)
    }

    fn secret_header(&self) -> Vec<u8> {
        // Plaintext secrets, the largest, have 8 KiB.
        let size = u32::try_from(self.secret.stored().len()).unwrap_or(u32::MAX);
        let header = SecretHeader {
            reserved: [0; 2],
            kind: self.secret.kind().number().into(),
            size: size.into(),
            reserved_8: [0; 8],
        };
        [header.as_bytes(), self.secret.id_field().as_ref().map_or(&[], |id| &id[..])].concat()
    }

    /// The secret as stored, then the extension secret: zeros when there is none.
    fn plain(&self) -> SecretBox<Vec<u8>> {
        let none = [0; 32];
        let extension_secret = self.extension_secret.as_ref().map_or(&none, ExtensionSecret::expose);
        [self.secret.stored(), extension_secret].concat().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aead::Key;
    use crate::key_exchange::CustomerKey;
    use crate::secret::Cck;
    use hostkey::HostKeyDocument;
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey, EcPoint};
    use openssl::nid::Nid;
    use openssl::sha::sha256;
    use uvtypes::SecretId;
    use uvtypes::flags::add_secret;

    /// The key pair whose private key is 65 bytes of 0x2a.
    fn customer() -> CustomerKey {
        let group = EcGroup::from_curve_name(Nid::SECP521R1).unwrap();
        let private = BigNum::from_slice(&[0x2a; 65]).unwrap();
        let mut public = EcPoint::new(&group).unwrap();
        public.mul_generator2(&group, &private, &mut openssl::bn::BigNumContext::new().unwrap()).unwrap();
        CustomerKey::from_key(EcKey::from_private_components(&group, &private, &public).unwrap()).unwrap()
    }

    #[test]
    fn chosen_random_values_give_the_bytes_of_an_independent_program() {
        let host = include_bytes!("../../../../fixtures/known-answer/host.crt");
        let host = HostKeyDocument::parse(host).unwrap().trust_unverified();
        let image = BootTags {
            page_list_digest: [1; 64],
            address_list_digest: [2; 64],
            tweak_list_digest: [3; 64],
            tag: [4; 16],
        };
        let cck = Cck::try_from(&[0xcc; 32][..]).unwrap();
        let extension_secret = ExtensionSecret::from_cck(&cck, &image).unwrap();
        let secret = GuestSecret::Association { id: SecretId::of_name("name"), secret: [0x51; 32].into() };
        let request = AddSecretRequest::new(image, secret)
            .flags(add_secret::DISABLE_DUMP.mask())
            .bind_to(Cuid::from([5; 16]))
            .extension_secret(extension_secret)
            .user_data(UserData::Unsigned(b"user data".to_vec()))
            .unwrap();
        let keys = RequestKeys { customer: customer(), protection_key: Key::new([0x0b; 32]), iv: [0x0c; 12] };
        let sealed = request.seal_with(keys, &[host]).unwrap();
        // Printed by fixtures/known-answer/add_secret.py.
        let expected = "5b2ce852b2c64c9605d76437acdc89129153329a770069eb540b30d7c2e2041c";
        assert_eq!(hex::encode(sha256(&sealed)), expected);
    }
}
