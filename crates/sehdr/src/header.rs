//! The header itself.

use crate::Error;
use crate::secrets::SECRETS_SIZE;
use std::mem::offset_of;
use uvtypes::layout::{self, Field, FieldKind};
use uvtypes::limits::HOST_KEYS_MAX;
use uvtypes::{COORDINATE_SIZE, HostKeyHash, KeySlot, KeySlotKind, Reader, flags};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Magic: the first 8 bytes of an SE header.
pub const MAGIC: [u8; 8] = *b"IBMSecEx";
/// The only version there is.
pub const VERSION_1: u32 = 0x100;
/// Bytes before the key slots.
pub const FIXED_SIZE: usize = size_of::<FixedPart>();
/// The form of the key slots of a version 1 header.
pub const KEY_SLOTS: KeySlotKind = KeySlotKind::P521;
/// Largest size of a header, in bytes: a larger one means a damaged or hostile file.
pub const MAX_SIZE: u32 = 64 * 1024;

const TAG_SIZE: usize = 16;
const MIN_ENCRYPTED_SIZE: u64 = SECRETS_SIZE as u64;

/// The part in front of the key slots. All fields are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x000 | 8 | magic `IBMSecEx` |
/// | 0x008 | 4 | version, 0x100 |
/// | 0x00c | 4 | size of the whole header |
/// | 0x010 | 12 | initialization vector of the encrypted part |
/// | 0x01c | 4 | reserved |
/// | 0x020 | 8 | number of key slots |
/// | 0x028 | 8 | size of the encrypted part |
/// | 0x030 | 8 | number of encrypted pages of the image |
/// | 0x038 | 8 | plaintext control flags (PCF) |
/// | 0x040 | 160 | public coordinates of the customer's key, X then Y, 80 bytes each |
/// | 0x0e0 | 64 | page-list digest (PLD) |
/// | 0x120 | 64 | address-list digest (ALD) |
/// | 0x160 | 64 | tweak-list digest (TLD) |
///
/// Source: observed in images made for machines of the z15 and later, and confirmed by decryption.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct FixedPart {
    magic: [u8; 8],
    version: U32,
    size: U32,
    iv: [u8; 12],
    reserved: [u8; 4],
    key_slots: U64,
    encrypted_size: U64,
    encrypted_pages: U64,
    plaintext_control_flags: U64,
    customer_coordinates: [u8; 160],
    page_list_digest: [u8; 64],
    address_list_digest: [u8; 64],
    tweak_list_digest: [u8; 64],
}

const _: () = assert!(size_of::<FixedPart>() == 0x1a0);

/// The fields in front of the key slots, for explanations.
pub const FIELDS: &[Field] = &[
    Field::new(offset_of!(FixedPart, magic), 8, "magic", FieldKind::Magic),
    Field::new(offset_of!(FixedPart, version), 4, "version", FieldKind::Version),
    Field::new(offset_of!(FixedPart, size), 4, "size of the header", FieldKind::Number),
    Field::new(offset_of!(FixedPart, iv), 12, "initialization vector", FieldKind::Bytes),
    Field::reserved(offset_of!(FixedPart, reserved), 4),
    Field::new(offset_of!(FixedPart, key_slots), 8, "number of key slots", FieldKind::Number),
    Field::new(offset_of!(FixedPart, encrypted_size), 8, "size of the encrypted part", FieldKind::Number),
    Field::new(offset_of!(FixedPart, encrypted_pages), 8, "number of encrypted pages", FieldKind::Number),
    Field::new(
        offset_of!(FixedPart, plaintext_control_flags),
        8,
        "plaintext control flags",
        FieldKind::Flags(flags::pcf::TABLE),
    ),
    Field::new(
        offset_of!(FixedPart, customer_coordinates),
        COORDINATE_SIZE,
        "customer key, X coordinate",
        FieldKind::Bytes,
    ),
    Field::new(
        offset_of!(FixedPart, customer_coordinates) + COORDINATE_SIZE,
        COORDINATE_SIZE,
        "customer key, Y coordinate",
        FieldKind::Bytes,
    ),
    Field::new(offset_of!(FixedPart, page_list_digest), 64, "page-list digest", FieldKind::Bytes),
    Field::new(offset_of!(FixedPart, address_list_digest), 64, "address-list digest", FieldKind::Bytes),
    Field::new(offset_of!(FixedPart, tweak_list_digest), 64, "tweak-list digest", FieldKind::Bytes),
];

const _: () = assert!(layout::end(FIELDS) == size_of::<FixedPart>());

/// Tags that identify an image to the ultravisor: requests that carry these tags work for this image alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTags {
    /// Digest of the image's encrypted pages (PLD).
    pub page_list_digest: [u8; 64],
    /// Digest of their addresses (ALD).
    pub address_list_digest: [u8; 64],
    /// Digest of their tweaks (TLD).
    pub tweak_list_digest: [u8; 64],
    /// The header's own GCM tag, its last 16 bytes.
    pub tag: [u8; 16],
}

/// All of a header but its secrets: what is written when one is made.
#[derive(Clone, Debug)]
pub struct HeaderDraft<'a> {
    /// Initialization vector of the encrypted part.
    pub iv: [u8; 12],
    /// Number of encrypted pages of the image.
    pub encrypted_pages: u64,
    /// Plaintext control flags, bit 0 being the most significant.
    pub plaintext_control_flags: u64,
    /// Public coordinates of the customer's key: X then Y, 80 bytes each.
    pub customer_coordinates: [u8; 160],
    /// Digest of the image's encrypted pages (PLD).
    pub page_list_digest: [u8; 64],
    /// Digest of their addresses (ALD).
    pub address_list_digest: [u8; 64],
    /// Digest of their tweaks (TLD).
    pub tweak_list_digest: [u8; 64],
    /// The key slots, one for each machine.
    pub key_slots: &'a [KeySlot],
}

impl HeaderDraft<'_> {
    /// Bytes of a header with `key_slots` slots and no optional items.
    pub const fn size(key_slots: usize) -> usize {
        FIXED_SIZE + key_slots * KEY_SLOTS.size() + SECRETS_SIZE + TAG_SIZE
    }

    /// Bytes that are authenticated: all before the encrypted part, which follows with 128 bytes and the tag.
    ///
    /// # Errors
    /// [`Error::KeySlots`] for a number of slots that no header has.
    pub fn authenticated(&self) -> Result<Vec<u8>, Error> {
        let slots = self.key_slots.len();
        if !(1..=HOST_KEYS_MAX).contains(&slots) {
            return Err(Error::KeySlots(slots as u64));
        }
        let size = u32::try_from(Self::size(slots)).map_err(|_| Error::KeySlots(slots as u64))?;
        let fixed = FixedPart {
            magic: MAGIC,
            version: VERSION_1.into(),
            size: size.into(),
            iv: self.iv,
            reserved: [0; 4],
            key_slots: (slots as u64).into(),
            encrypted_size: (SECRETS_SIZE as u64).into(),
            encrypted_pages: self.encrypted_pages.into(),
            plaintext_control_flags: self.plaintext_control_flags.into(),
            customer_coordinates: self.customer_coordinates,
            page_list_digest: self.page_list_digest,
            address_list_digest: self.address_list_digest,
            tweak_list_digest: self.tweak_list_digest,
        };
        let mut bytes = fixed.as_bytes().to_vec();
        self.key_slots.iter().for_each(|slot| slot.write(&mut bytes));
        Ok(bytes)
    }
}

/// The parts of a header that matter to whoever has its key.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// All before the encrypted part.
    pub authenticated: &'a [u8],
    /// The encrypted part.
    pub encrypted: &'a [u8],
    /// GCM tag over the authenticated and the encrypted part.
    pub tag: [u8; 16],
}

/// A version 1 header whose sizes agree with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeHeader {
    fixed: Box<[u8; FIXED_SIZE]>,
    key_slots: Vec<KeySlot>,
    size: u32,
    encrypted_size: u64,
    boot_tags: BootTags,
}

/// The size that a header states, and its version: all that is needed to cut it out of a file.
pub(crate) struct Stated {
    pub(crate) version: u32,
    pub(crate) size: u32,
}

impl Stated {
    /// Bytes needed to know it.
    pub(crate) const PREFIX: usize = 16;

    pub(crate) fn parse(prefix: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(prefix);
        if reader.array("magic")? != MAGIC {
            return Err(Error::Magic);
        }
        let (version, size) = (reader.u32("version")?, reader.u32("size")?);
        let smallest = FIXED_SIZE + KEY_SLOTS.size() + TAG_SIZE;
        if size > MAX_SIZE {
            return Err(Error::Size { size, reason: format!("no SE header is larger than {MAX_SIZE} bytes") });
        }
        if u64::from(size) < smallest as u64 + MIN_ENCRYPTED_SIZE {
            let smallest = smallest as u64 + MIN_ENCRYPTED_SIZE;
            return Err(Error::Size { size, reason: format!("no SE header is smaller than {smallest} bytes") });
        }
        Ok(Self { version, size })
    }
}

impl SeHeader {
    /// Parses a header that begins at the first byte. Bytes behind its end are not looked at, for a
    /// header may stand in front of others.
    ///
    /// # Errors
    /// [`Error::Magic`], [`Error::Version`], [`Error::Size`], [`Error::KeySlots`], or [`Error::Wire`] when
    /// `bytes` ends inside the header.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let stated = Stated::parse(bytes)?;
        if stated.version != VERSION_1 {
            return Err(Error::Version(stated.version));
        }
        let mut reader = Reader::new(bytes);
        let raw: [u8; FIXED_SIZE] = reader.array("fixed part of the SE header")?;
        let fixed = FixedPart::read_from_bytes(&raw).map_err(|_| Error::Magic)?;
        let (slots, encrypted_size) = (fixed.key_slots.get(), fixed.encrypted_size.get());
        if !(1..=HOST_KEYS_MAX as u64).contains(&slots) {
            return Err(Error::KeySlots(slots));
        }
        let parts = FIXED_SIZE as u64 + slots * KEY_SLOTS.size() as u64 + TAG_SIZE as u64;
        if encrypted_size < MIN_ENCRYPTED_SIZE || Some(u64::from(stated.size)) != parts.checked_add(encrypted_size) {
            return Err(Error::Size {
                size: stated.size,
                reason: format!("{slots} key slots and {encrypted_size} encrypted bytes do not add up to that"),
            });
        }
        let key_slots = (0..slots).map(|_| KEY_SLOTS.read(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        // It is below MAX_SIZE, as it is a part of the whole.
        reader.bytes(usize::try_from(encrypted_size).unwrap_or(usize::MAX), "encrypted part of the SE header")?;
        let tag = reader.array("tag of the SE header")?;
        Ok(Self {
            fixed: Box::new(raw),
            key_slots,
            size: stated.size,
            encrypted_size,
            boot_tags: BootTags {
                page_list_digest: fixed.page_list_digest,
                address_list_digest: fixed.address_list_digest,
                tweak_list_digest: fixed.tweak_list_digest,
                tag,
            },
        })
    }

    /// Tags that identify the image.
    pub fn boot_tags(&self) -> &BootTags {
        &self.boot_tags
    }

    /// Bytes of the whole header.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The key slots, each for a host key that can open the header.
    pub fn key_slots(&self) -> &[KeySlot] {
        &self.key_slots
    }

    /// The hash of each host key that can open the header, in the order of the slots.
    pub fn host_key_hashes(&self) -> impl Iterator<Item = HostKeyHash> {
        self.key_slots.iter().map(KeySlot::host_key)
    }

    /// Bytes of the encrypted part.
    pub fn encrypted_size(&self) -> u64 {
        self.encrypted_size
    }

    /// Number of encrypted pages of the image.
    pub fn encrypted_pages(&self) -> u64 {
        self.fixed().encrypted_pages.get()
    }

    /// Plaintext control flags, bit 0 being the most significant.
    pub fn plaintext_control_flags(&self) -> u64 {
        self.fixed().plaintext_control_flags.get()
    }

    /// Initialization vector of the encrypted part.
    pub fn iv(&self) -> [u8; 12] {
        self.fixed().iv
    }

    /// Public coordinates of the customer's key: X then Y, 80 bytes each.
    pub fn customer_coordinates(&self) -> [u8; 160] {
        self.fixed().customer_coordinates
    }

    /// Sealed part of `bytes`, which this header was parsed from.
    ///
    /// # Errors
    /// [`Error::Wire`] when `bytes` are others, and shorter.
    pub fn sealed<'a>(&self, bytes: &'a [u8]) -> Result<Sealed<'a>, Error> {
        let mut reader = Reader::new(bytes);
        let size = FIXED_SIZE + self.key_slots.len() * KEY_SLOTS.size();
        let authenticated = reader.bytes(size, "fixed part and key slots of the SE header")?;
        let size = usize::try_from(self.encrypted_size).unwrap_or(usize::MAX);
        let encrypted = reader.bytes(size, "encrypted part of the SE header")?;
        Ok(Sealed { authenticated, encrypted, tag: reader.array("tag of the SE header")? })
    }

    fn fixed(&self) -> &FixedPart {
        zerocopy::transmute_ref!(&*self.fixed)
    }
}

#[cfg(test)]
pub(crate) mod tests;
