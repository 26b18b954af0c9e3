//! The add-secret request (ASRCB).

use super::frame::{Decrypted, Frame, KeySlot};
use crate::host_key::Coordinates;
use crate::{Error, HostKey};
use uvtypes::Reader;
use uvtypes::SecretBox;

/// What the magic of an add-secret request begins with; the kind of the user data follows in two bytes.
pub(super) const MAGIC: &[u8] = b"asrcbM";
/// The extension secret ends the encrypted area.
const EXTENSION_SIZE: usize = 32;
/// The secret header of a meta request, which carries no id.
const SHORT_HEADER: usize = 16;
/// The secret header of all others.
const LONG_HEADER: usize = 48;

/// The authenticated part of an add-secret request, readable without any key.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x000 | 48 | [`Frame`] |
/// | 0x030 | 8 | flags, bit 0 being the most significant |
/// | 0x038 | 64 | page-list digest of the image (PLD) |
/// | 0x078 | 64 | address-list digest (ALD) |
/// | 0x0b8 | 64 | tweak-list digest (TLD) |
/// | 0x0f8 | 16 | tag of the image's SE header |
/// | 0x108 | 16 | configuration unique id (CUID), zero when not bound to one |
/// | 0x118 | 256 | reserved, 0 |
/// | 0x218 | 512 | user data |
/// | 0x418 | 160 | customer's public coordinates |
/// | 0x4b8 | 80 n | key slots |
/// | .. | 16 or 48 | [`SecretHeader`] |
/// | .. | .. | encrypted: secret in its stored form, extension secret 32 |
#[derive(Clone, Debug)]
pub struct AddSecretRequest {
    /// Frame, encrypted area and tag.
    pub frame: Frame,
    /// Last two bytes of the magic: what the user data are.
    pub user_data_kind: u16,
    /// Flags, bit 0 being the most significant.
    pub flags: u64,
    /// Digest of the image's pages.
    pub page_list_digest: [u8; 64],
    /// Digest of their addresses.
    pub address_list_digest: [u8; 64],
    /// Digest of their tweaks.
    pub tweak_list_digest: [u8; 64],
    /// The tag of the image's SE header.
    pub header_tag: [u8; 16],
    /// The only guest that may add this, or zeros.
    pub cuid: [u8; 16],
    /// Whether the 256 reserved bytes are zero.
    pub reserved_zero: bool,
    /// The user-data area.
    pub user_data: Box<[u8; 512]>,
    /// The customer's public key.
    pub customer: Coordinates,
    /// One per machine.
    pub key_slots: Vec<KeySlot>,
    /// What the secret is.
    pub secret_header: SecretHeader,
}

/// Says what the secret is: 16 bytes, or 48 with an id.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x0 | 2 | reserved |
/// | 0x2 | 2 | kind |
/// | 0x4 | 4 | length of the secret in its stored form |
/// | 0x8 | 8 | reserved |
/// | 0x10 | 32 | id; absent for meta requests |
#[derive(Clone, Debug)]
pub struct SecretHeader {
    /// Kind of the secret.
    pub kind: u16,
    /// Bytes of its stored form.
    pub length: u32,
    /// Its id.
    pub id: Option<[u8; 32]>,
}

/// A decrypted add-secret request.
#[derive(Debug)]
pub struct OpenAddSecret {
    /// The authenticated part.
    pub request: AddSecretRequest,
    /// The secret in its stored form.
    pub secret: SecretBox<Vec<u8>>,
    /// The extension secret; zeros when there is none.
    pub extension_secret: SecretBox<Vec<u8>>,
    /// The request protection key.
    pub protection_key: SecretBox<Vec<u8>>,
}

impl AddSecretRequest {
    /// Reads a request that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`Error::NotARequest`] for a wrong magic, else which field is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let frame = Frame::parse(bytes)?;
        let mut magic = Reader::new(&frame.magic);
        if magic.bytes(MAGIC.len(), "magic")? != MAGIC {
            return Err(Error::NotARequest);
        }
        let user_data_kind = magic.u16("kind of the user data")?;
        let mut fields = frame.fields()?;
        let flags = fields.u64("flags")?;
        let page_list_digest = fields.array("page-list digest")?;
        let address_list_digest = fields.array("address-list digest")?;
        let tweak_list_digest = fields.array("tweak-list digest")?;
        let header_tag = fields.array("tag of the SE header")?;
        let cuid = fields.array("CUID")?;
        let reserved_zero = fields.array("reserved")? == [0; 256];
        let user_data = Box::new(fields.array("user data")?);
        let customer = fields.array("customer's public key")?;
        let key_slots = frame.read_key_slots(&mut fields)?;
        let secret_header = SecretHeader::parse(&mut fields)?;
        fields.finish("secret header")?;
        Ok(Self {
            user_data_kind,
            flags,
            page_list_digest,
            address_list_digest,
            tweak_list_digest,
            header_tag,
            cuid,
            reserved_zero,
            user_data,
            customer,
            key_slots,
            secret_header,
            frame,
        })
    }

    /// Decrypts the request.
    ///
    /// # Errors
    /// [`Error::WrongHost`], [`Error::CustomerKey`], [`Error::Tampered`], [`Error::EncryptedSize`].
    pub fn open(self, host_key: &HostKey) -> Result<OpenAddSecret, Error> {
        let Decrypted { protection_key, plain } = self.frame.decrypt(&self.customer, &self.key_slots, host_key)?;
        let length = self.secret_header.length as usize;
        let (found, expected) = (plain.expose().len(), length.saturating_add(EXTENSION_SIZE));
        if found != expected {
            return Err(Error::EncryptedSize { found, expected });
        }
        let (secret, extension) = plain.expose().split_at(length);
        Ok(OpenAddSecret {
            secret: SecretBox::new(secret.to_vec()),
            extension_secret: SecretBox::new(extension.to_vec()),
            protection_key,
            request: self,
        })
    }
}

impl SecretHeader {
    fn parse(fields: &mut Reader<'_>) -> Result<Self, Error> {
        let size = fields.rest().len();
        if ![SHORT_HEADER, LONG_HEADER].contains(&size) {
            let reason = format!("the secret header has {size} bytes, not {SHORT_HEADER} or {LONG_HEADER}");
            return Err(Error::Areas { reason });
        }
        fields.bytes(2, "reserved")?;
        let kind = fields.u16("kind of the secret")?;
        let length = fields.u32("length of the secret")?;
        fields.bytes(8, "reserved")?;
        let id = if size == LONG_HEADER { Some(fields.array("id of the secret")?) } else { None };
        Ok(Self { kind, length, id })
    }

    /// Bytes of this header.
    pub fn size(&self) -> usize {
        if self.id.is_some() { LONG_HEADER } else { SHORT_HEADER }
    }
}
