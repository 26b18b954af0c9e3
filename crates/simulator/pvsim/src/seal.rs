//! Requests with mistakes in them, sealed as correctly as real ones: what no builder makes, and firmware must refuse.

mod user_data;

pub use user_data::UserData;

use crate::host_key::Coordinates;
use crate::image;
use crate::{Error, HostKey, Platform};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::symm::{Cipher, encrypt_aead};
use user_data::{USER_DATA_AT, USER_DATA_SIZE};

/// Bytes of the tag at the end of a request.
const TAG_SIZE: usize = 16;

/// What goes into an add-secret request. [`Draft::new`] gives a correct one; change a field to make a mistake.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Kind of the secret.
    pub kind: u16,
    /// Its id; absent for meta requests.
    pub id: Option<[u8; 32]>,
    /// The secret in its stored form.
    pub secret: Vec<u8>,
    /// The length that the secret header states.
    pub stated_length: u32,
    /// Extension secret.
    pub extension_secret: [u8; 32],
    /// Flags.
    pub flags: u64,
    /// Page-list, address-list and tweak-list digest of the image.
    pub digests: [u8; 192],
    /// Tag of the image's SE header.
    pub header_tag: [u8; 16],
    /// CUID; zero for any guest.
    pub cuid: [u8; 16],
    /// User data.
    pub user_data: UserData,
    /// The version in the frame.
    pub version: u32,
    /// The number of key slots in the frame, if another than there are.
    pub stated_slots: Option<u8>,
}

impl Draft {
    /// A correct request of `kind` for the image of `platform`.
    pub fn new(platform: &Platform, kind: u16, id: Option<[u8; 32]>, secret: &[u8]) -> Self {
        Self {
            kind,
            id,
            secret: secret.to_vec(),
            stated_length: secret.len() as u32,
            extension_secret: [0; 32],
            flags: 0,
            digests: platform.image.digests,
            header_tag: platform.image.tag,
            cuid: [0; 16],
            user_data: UserData::None,
            version: 0x100,
            stated_slots: None,
        }
    }

    /// The request, for the machines with these host keys.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn seal(&self, hosts: &[&HostKey]) -> Result<Vec<u8>, Error> {
        let customer = Customer::new(None)?;
        let slots = hosts.iter().map(|host| customer.slot(host)).collect::<Result<Vec<_>, _>>()?.concat();
        let mut header = [&[0, 0], &self.kind.to_be_bytes()[..], &self.stated_length.to_be_bytes(), &[0; 8]].concat();
        header.extend(self.id.iter().flatten());
        let fields: [&[u8]; 10] = [
            &self.flags.to_be_bytes(),
            &self.digests,
            &self.header_tag,
            &self.cuid,
            &[0; 256],
            &self.user_data.area(),
            &customer.coordinates,
            &slots,
            &header,
            &[],
        ];
        let plain = [self.secret.as_slice(), &self.extension_secret].concat();
        let slots = self.stated_slots.unwrap_or(hosts.len() as u8);
        let magic = [&b"asrcbM"[..], &self.user_data.kind().to_be_bytes()].concat();
        let frame = customer.frame(&magic, self.version, slots, &fields.concat(), &plain);
        let unsigned = customer.seal(frame.clone(), &plain)?;
        // The encrypted area does not depend on what stands before it: only the tag does.
        match self.user_data.signed_area(&unsigned[..unsigned.len() - TAG_SIZE])? {
            None => Ok(unsigned),
            Some(area) => {
                let mut frame = frame;
                frame[USER_DATA_AT..USER_DATA_AT + USER_DATA_SIZE].copy_from_slice(&area);
                customer.seal(frame, &plain)
            }
        }
    }
}

/// What goes into an attestation request.
#[derive(Clone, Debug)]
pub struct AttestDraft {
    /// Flags.
    pub flags: u64,
    /// Measurement algorithm.
    pub algorithm: u32,
    /// Measurement key, nonce.
    pub encrypted: Vec<u8>,
    /// The version in the frame.
    pub version: u32,
    /// The number of key slots in the frame, if another than there are.
    pub stated_slots: Option<u8>,
    /// The request protection key (ARPK), if another than a random one.
    pub protection_key: Option<[u8; 32]>,
}

impl AttestDraft {
    /// A correct request with a nonce, for a measurement without additional data.
    pub fn new(measurement_key: [u8; 64], nonce: [u8; 16]) -> Self {
        let encrypted = [measurement_key.as_slice(), &nonce].concat();
        Self { flags: 1 << 62, algorithm: 1, encrypted, version: 0x100, stated_slots: None, protection_key: None }
    }

    /// The request, for the machines with these host keys.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn seal(&self, hosts: &[&HostKey]) -> Result<Vec<u8>, Error> {
        let customer = Customer::new(self.protection_key)?;
        let slots = hosts.iter().map(|host| customer.slot(host)).collect::<Result<Vec<_>, _>>()?.concat();
        let fields: [&[u8]; 5] =
            [&self.flags.to_be_bytes(), &self.algorithm.to_be_bytes(), &[0; 4], &customer.coordinates, &slots];
        let slots = self.stated_slots.unwrap_or(hosts.len() as u8);
        let frame = customer.frame(&[0; 8], self.version, slots, &fields.concat(), &self.encrypted);
        customer.seal(frame, &self.encrypted)
    }
}

/// The keys of one request.
struct Customer {
    private: PKey<Private>,
    coordinates: Coordinates,
    protection_key: [u8; 32],
    iv: [u8; 12],
}

impl Customer {
    fn new(protection_key: Option<[u8; 32]>) -> Result<Self, Error> {
        let private = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::SECP521R1)?)?)?;
        let (mut random_key, mut iv) = ([0; 32], [0; 12]);
        rand_bytes(&mut random_key)?;
        rand_bytes(&mut iv)?;
        let protection_key = protection_key.unwrap_or(random_key);
        Ok(Self { coordinates: image::coordinates(&private)?, private, protection_key, iv })
    }

    fn slot(&self, host: &HostKey) -> Result<Vec<u8>, Error> {
        let wrapping = image::key_encryption_key(&self.private, host.private_key())?;
        let mut tag = [0; 16];
        let wrapped =
            encrypt_aead(Cipher::aes_256_gcm(), &wrapping, Some(&[0; 12]), &[], &self.protection_key, &mut tag)?;
        Ok([host.hash().as_slice(), &wrapped, &tag].concat())
    }

    /// All that is not encrypted.
    fn frame(&self, magic: &[u8], version: u32, slots: u8, fields: &[u8], plain: &[u8]) -> Vec<u8> {
        let size = 0x30 + fields.len() + plain.len() + TAG_SIZE;
        let mut request = magic.to_vec();
        request.extend(version.to_be_bytes());
        request.extend((size as u32).to_be_bytes());
        request.extend(self.iv);
        request.extend([0; 11]);
        request.push(slots);
        request.extend([0; 4]);
        request.extend((plain.len() as u32).to_be_bytes());
        request.extend(fields);
        request
    }

    fn seal(&self, mut request: Vec<u8>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut tag = [0; TAG_SIZE];
        let key = &self.protection_key;
        let sealed = encrypt_aead(Cipher::aes_256_gcm(), key, Some(&self.iv), &request, plain, &mut tag)?;
        request.extend(sealed);
        request.extend(tag);
        Ok(request)
    }
}
