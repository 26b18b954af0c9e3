//! The add-secret request control block (ASRCB).

use super::{ExtensionSecret, GuestSecret, UserData};
use crate::Error;
use crate::request_frame::{FrameHeader, RequestFrame, RequestKeys};
use hostkey::TrustedHostKey;
use sehdr::BootTags;
use std::mem::offset_of;
use uvtypes::flags::add_secret;
use uvtypes::layout::{self, Field, FieldKind};
use uvtypes::{Cuid, SecretBox};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub(crate) const MAGIC: [u8; 6] = *b"asrcbM";
pub(crate) const USER_DATA_OFFSET: usize = size_of::<FrameHeader>() + offset_of!(RequestData, user_data);

/// The authenticated data between the frame and the customer's coordinates. All fields are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x030 | 8 | flags, bit 0 (most significant): disable dump |
/// | 0x038 | 64 | page-list digest of the SE header |
/// | 0x078 | 64 | address-list digest |
/// | 0x0b8 | 64 | tweak-list digest |
/// | 0x0f8 | 16 | tag of the SE header |
/// | 0x108 | 16 | CUID; zero when the request is not bound to one boot |
/// | 0x118 | 256 | reserved |
/// | 0x218 | 512 | user data |
///
/// Source: requests that the ultravisor accepts.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RequestData {
    pub(crate) flags: U64,
    page_list_digest: [u8; 64],
    address_list_digest: [u8; 64],
    tweak_list_digest: [u8; 64],
    header_tag: [u8; 16],
    cuid: [u8; 16],
    reserved: [u8; 256],
    pub(crate) user_data: [u8; 512],
}

impl RequestData {
    pub(crate) fn cuid(&self) -> [u8; 16] {
        self.cuid
    }

    pub(crate) fn boot_tags(&self) -> BootTags {
        BootTags {
            page_list_digest: self.page_list_digest,
            address_list_digest: self.address_list_digest,
            tweak_list_digest: self.tweak_list_digest,
            tag: self.header_tag,
        }
    }
}

const _: () = assert!(size_of::<RequestData>() == 0x418 - 0x30);

/// What a request begins with, in place of the frame's magic: the user data say themselves what they are.
pub const MAGIC_FIELDS: &[Field] =
    &[Field::new(0, 6, "magic", FieldKind::Magic), Field::new(6, 2, "kind of user data", FieldKind::Number)];

/// Fields between the frame's header and the user data.
pub const FIELDS: &[Field] = &[
    Field::new(at(offset_of!(RequestData, flags)), 8, "flags", FieldKind::Flags(add_secret::TABLE)),
    Field::new(at(offset_of!(RequestData, page_list_digest)), 64, "page-list digest", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, address_list_digest)), 64, "address-list digest", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, tweak_list_digest)), 64, "tweak-list digest", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, header_tag)), 16, "SE header tag", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, cuid)), 16, "CUID", FieldKind::Cuid),
    Field::reserved(at(offset_of!(RequestData, reserved)), 256),
];

const _: () = assert!(layout::end(FIELDS) == USER_DATA_OFFSET);

const fn at(offset: usize) -> usize {
    size_of::<FrameHeader>() + offset
}

/// The authenticated data between the key slots and the encrypted area; the secret's id follows, 32 bytes,
/// in all kinds but meta.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x0 | 2 | reserved |
/// | 0x2 | 2 | kind |
/// | 0x4 | 4 | size of the secret as stored |
/// | 0x8 | 8 | reserved |
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SecretHeader {
    reserved: [u8; 2],
    kind: U16,
    size: U32,
    reserved_8: [u8; 8],
}

const _: () = assert!(size_of::<SecretHeader>() == 16);

/// Fields between the key slots and the encrypted area, whose offsets are counted from the end of the slots. A meta
/// request ends before the last one.
pub const SECRET_FIELDS: &[Field] = &[
    Field::reserved(offset_of!(SecretHeader, reserved), 2),
    Field::new(offset_of!(SecretHeader, kind), 2, "kind of secret", FieldKind::SecretKind),
    Field::new(offset_of!(SecretHeader, size), 4, "size of the secret", FieldKind::Number),
    Field::reserved(offset_of!(SecretHeader, reserved_8), 8),
    Field::new(size_of::<SecretHeader>(), 32, "secret id", FieldKind::SecretId),
];

const _: () = assert!(layout::end(SECRET_FIELDS) == size_of::<SecretHeader>() + 32);

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
