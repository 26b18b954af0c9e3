//! SE headers and boot images for the simulated machine.
//!
//! The header is real: its encrypted part opens with a host's private key, and its tag binds the rest. The
//! components behind it are random pages with [`image`], which identifies a guest but boots none. Images that boot are made
//! by crate `seimage`.

use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKey, Private, Public};
use openssl::rand::rand_bytes;
use openssl::sha::{Sha256, Sha512, sha256};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use uvtypes::Reader;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Where an image has its header.
pub const HEADER_OFFSET: usize = 0x14000;
const METADATA_OFFSET: usize = 0xc000;
const PAGE: usize = 0x1000;
const FIXED: usize = 0x1a0;
const SLOT: usize = 80;
const ENCRYPTED: usize = 128;
const TAG: usize = 16;

/// Secret control flag: every add-secret request must carry the extension secret derived from the CCK.
/// Bit 1, counted from the most significant. The simulator's choice: unchecked against real firmware.
pub const SCF_CCK_EXTENSION_SECRET: u64 = 1 << 62;
/// Secret control flag: the CCK may be replaced by an update-CCK request. Bit 2, likewise unchecked.
pub const SCF_CCK_UPDATE: u64 = 1 << 61;
/// Plaintext control flag: the guest may be dumped. Bit 34, counted from the most significant.
pub const PCF_DUMP_ALLOWED: u64 = 1 << (63 - 34);
/// Plaintext control flag: the pages are not encrypted. Bit 35.
pub const PCF_NOT_ENCRYPTED: u64 = 1 << (63 - 35);
/// Plaintext control flag: PCKMO may encrypt HMAC keys. Bit 59.
pub const PCF_PCKMO_HMAC: u64 = 1 << (63 - 59);
/// All plaintext control flags that are known: these three, the other PCKMO functions (56 to 58), backup host keys (62).
pub const PCF_KNOWN: u64 = PCF_DUMP_ALLOWED | PCF_NOT_ENCRYPTED | PCF_PCKMO_HMAC | 0xe2;

/// What only the ultravisor reads in a header.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct HeaderSecrets {
    /// Customer-communication key.
    pub cck: [u8; 32],
    /// AES-256-XTS key of the image's pages.
    pub image_key: [u8; 64],
    /// Where and how the guest starts.
    pub psw: [u8; 16],
    /// Secret control flags.
    pub secret_control_flags: u64,
}

impl HeaderSecrets {
    /// Random keys and no flag.
    pub fn random() -> Result<Self, ErrorStack> {
        let mut secrets = Self { cck: [0; 32], image_key: [0; 64], psw: [0; 16], secret_control_flags: 0 };
        rand_bytes(&mut secrets.cck)?;
        rand_bytes(&mut secrets.image_key)?;
        // A 64-bit PSW that starts at 64 KiB.
        secrets.psw = [0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
        Ok(secrets)
    }
}

/// Why a header does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A field is cut.
    #[error("the SE header is cut")]
    Wire(#[from] uvtypes::ReadError),
    /// It is not a header of version 1.
    #[error("not an SE header of version 1")]
    NotAHeader,
    /// No key slot is for this host key.
    #[error("no key slot of the SE header is for this host key")]
    NoSlot,
    /// The cryptography failed: another key or a changed byte.
    #[error("the SE header does not open with this host key")]
    Crypto(#[from] ErrorStack),
}

/// A version 1 header (layout as in crate `sehdr`) that every one of `host_keys` opens, for an image of
/// `pages` random pages.
pub fn header<K: HasPublic>(
    host_keys: &[PKey<K>],
    secrets: &HeaderSecrets,
    plaintext_control_flags: u64,
    pages: u64,
) -> Result<Vec<u8>, ErrorStack> {
    let customer = PKey::from_ec_key(EcKey::generate(&*p521()?)?)?;
    let mut protection_key = [0; 32];
    let mut iv = [0; 12];
    rand_bytes(&mut protection_key)?;
    rand_bytes(&mut iv)?;
    let size = FIXED + SLOT * host_keys.len() + ENCRYPTED + TAG;

    let mut header = Vec::with_capacity(size);
    header.extend(b"IBMSecEx");
    header.extend(0x100_u32.to_be_bytes());
    header.extend((size as u32).to_be_bytes());
    header.extend(iv);
    header.extend([0; 4]);
    header.extend((host_keys.len() as u64).to_be_bytes());
    header.extend((ENCRYPTED as u64).to_be_bytes());
    header.extend(pages.to_be_bytes());
    header.extend(plaintext_control_flags.to_be_bytes());
    header.extend(coordinates(&customer)?);
    for digest in page_digests(pages)? {
        header.extend(digest);
    }
    for host_key in host_keys {
        header.extend(host_key_hash(host_key)?);
        let kek = key_encryption_key(&customer, host_key)?;
        let mut tag = [0; TAG];
        header.extend(encrypt_aead(Cipher::aes_256_gcm(), &kek, Some(&[0; 12]), &[], &protection_key, &mut tag)?);
        header.extend(tag);
    }

    let mut plain = Vec::with_capacity(ENCRYPTED);
    plain.extend(secrets.cck);
    plain.extend(secrets.image_key);
    plain.extend(secrets.psw);
    plain.extend(secrets.secret_control_flags.to_be_bytes());
    plain.extend([0; 8]);
    let mut tag = [0; TAG];
    let sealed = encrypt_aead(Cipher::aes_256_gcm(), &protection_key, Some(&iv), &header, &plain, &mut tag)?;
    plain.zeroize();
    protection_key.zeroize();
    header.extend(sealed);
    header.extend(tag);
    Ok(header)
}

/// Opens a header as the ultravisor of the machine with `host_key` does.
pub fn open_header(header: &[u8], host_key: &PKey<Private>) -> Result<HeaderSecrets, OpenError> {
    let mut reader = Reader::new(header);
    if reader.array("magic")? != *b"IBMSecEx" || reader.u32("version")? != 0x100 {
        return Err(OpenError::NotAHeader);
    }
    reader.u32("size")?;
    let iv: [u8; 12] = reader.array("IV")?;
    reader.bytes(4, "reserved")?;
    let slots = reader.u64("number of key slots")?;
    if reader.u64("size of the encrypted part")? != ENCRYPTED as u64 {
        return Err(OpenError::NotAHeader);
    }
    reader.bytes(16, "pages and flags")?;
    let customer = public_key(&reader.array("customer coordinates")?)?;
    reader.bytes(3 * 64, "digests")?;
    let own_hash = host_key_hash(host_key)?;
    let mut protection_key = None;
    for _ in 0..slots {
        let hash: [u8; 32] = reader.array("host-key hash")?;
        let wrapped = reader.bytes(32, "wrapped key")?;
        let tag = reader.bytes(TAG, "tag of a key slot")?;
        if hash == own_hash {
            let kek = key_encryption_key(host_key, &customer)?;
            protection_key = Some(decrypt_aead(Cipher::aes_256_gcm(), &kek, Some(&[0; 12]), &[], wrapped, tag)?);
        }
    }
    let aad = header.get(..reader.offset()).unwrap_or_default();
    let sealed = reader.bytes(ENCRYPTED, "encrypted part")?;
    let tag = reader.bytes(TAG, "tag")?;
    let mut protection_key = protection_key.ok_or(OpenError::NoSlot)?;
    let plain = decrypt_aead(Cipher::aes_256_gcm(), &protection_key, Some(&iv), aad, sealed, tag);
    protection_key.zeroize();
    let mut plain = plain?;
    let mut reader = Reader::new(&plain);
    let secrets = HeaderSecrets {
        cck: reader.array("CCK")?,
        image_key: reader.array("image key")?,
        psw: reader.array("PSW")?,
        secret_control_flags: reader.u64("secret control flags")?,
    };
    plain.zeroize();
    Ok(secrets)
}

/// A boot image around a header: what stands for a loader, the metadata block if wanted, the header at
/// [`HEADER_OFFSET`], and `pages` random pages.
pub fn image(header: &[u8], pages: usize, with_metadata: bool) -> Result<Vec<u8>, ErrorStack> {
    let header_end = (HEADER_OFFSET + header.len()).next_multiple_of(PAGE);
    let mut image = vec![0; header_end + pages * PAGE];
    // The PSW of the loader, so that the start looks like that of a real image.
    image[..8].copy_from_slice(&[0x00, 0x08, 0x00, 0x00, 0x80, 0x01, 0x10, 0x00]);
    if with_metadata {
        let mut block = b"SeImgLnx".to_vec();
        block.extend((HEADER_OFFSET as u64).to_be_bytes());
        block.extend(1_u32.to_be_bytes());
        block.extend((header_end as u64).to_be_bytes());
        image[METADATA_OFFSET..METADATA_OFFSET + block.len()].copy_from_slice(&block);
    }
    image[HEADER_OFFSET..HEADER_OFFSET + header.len()].copy_from_slice(header);
    rand_bytes(&mut image[header_end..])?;
    Ok(image)
}

/// SHA-256 over the 160 bytes of a key's coordinates.
pub fn host_key_hash<K: HasPublic>(key: &PKey<K>) -> Result<[u8; 32], ErrorStack> {
    Ok(sha256(&coordinates(key)?))
}

/// X then Y of a P-521 key, each padded on the left with zeros to 80 bytes.
pub fn coordinates<K: HasPublic>(key: &PKey<K>) -> Result<[u8; 160], ErrorStack> {
    let key = key.ec_key()?;
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut *BigNumContext::new()?)?;
    let mut coordinates = [0; 160];
    let (left, right) = coordinates.split_at_mut(80);
    left.copy_from_slice(&x.to_vec_padded(80)?);
    right.copy_from_slice(&y.to_vec_padded(80)?);
    Ok(coordinates)
}

/// The key with these coordinates, if they are on the curve.
pub fn public_key(coordinates: &[u8; 160]) -> Result<PKey<Public>, ErrorStack> {
    let (x, y) = coordinates.split_at(80);
    let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
    PKey::from_ec_key(EcKey::from_public_key_affine_coordinates(&*p521()?, &x, &y)?)
}

/// The key that wraps a protection key: SHA-256 over the X coordinate of the ECDH product and the counter 1, which
/// stands last (single-step key derivation of NIST SP 800-56C).
pub(crate) fn key_encryption_key<K: HasPublic>(own: &PKey<Private>, peer: &PKey<K>) -> Result<[u8; 32], ErrorStack> {
    let peer = public_key(&coordinates(peer)?)?;
    let mut deriver = Deriver::new(own)?;
    deriver.set_peer(&peer)?;
    let mut shared = deriver.derive_to_vec()?;
    let mut hash = Sha256::new();
    hash.update(&shared);
    hash.update(&1_u32.to_be_bytes());
    shared.zeroize();
    Ok(hash.finish())
}

fn p521() -> Result<EcGroup, ErrorStack> {
    EcGroup::from_curve_name(Nid::SECP521R1)
}

/// Digests as an image of random pages from address 0 on has them: over pages, addresses, tweaks.
fn page_digests(pages: u64) -> Result<[[u8; 64]; 3], ErrorStack> {
    let (mut pld, mut ald, mut tld) = (Sha512::new(), Sha512::new(), Sha512::new());
    for page in 0..pages {
        let mut content = [0; 64];
        let mut tweak = [0; 16];
        rand_bytes(&mut content)?;
        rand_bytes(&mut tweak)?;
        pld.update(&content);
        ald.update(&(page * PAGE as u64).to_be_bytes());
        tld.update(&tweak);
    }
    Ok([pld.finish(), ald.finish(), tld.finish()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_key() -> PKey<Private> {
        PKey::from_ec_key(EcKey::generate(&p521().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn header_opens_for_each_of_its_hosts_and_no_other() {
        let hosts = [host_key(), host_key()];
        let mut secrets = HeaderSecrets::random().unwrap();
        secrets.secret_control_flags = SCF_CCK_UPDATE;
        let bytes = header(&hosts, &secrets, PCF_DUMP_ALLOWED, 3).unwrap();
        assert_eq!(bytes.len(), 720);
        for host in &hosts {
            let opened = open_header(&bytes, host).unwrap();
            assert_eq!(opened.cck, secrets.cck);
            assert_eq!(opened.image_key, secrets.image_key);
            assert_eq!(opened.psw, secrets.psw);
            assert_eq!(opened.secret_control_flags, SCF_CCK_UPDATE);
        }
        assert!(matches!(open_header(&bytes, &host_key()), Err(OpenError::NoSlot)));
    }

    #[test]
    fn no_changed_or_missing_byte_goes_unseen() {
        let host = host_key();
        let bytes = header(std::slice::from_ref(&host), &HeaderSecrets::random().unwrap(), 0, 1).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(open_header(&changed, &host).is_err(), "byte {at:#x}");
            assert!(open_header(&bytes[..at], &host).is_err(), "{at:#x} bytes");
        }
    }

    #[test]
    fn image_has_its_header_where_others_look_for_it() {
        let header = header(&[host_key()], &HeaderSecrets::random().unwrap(), 0, 2).unwrap();
        for with_metadata in [false, true] {
            let image = image(&header, 2, with_metadata).unwrap();
            let found = sehdr::locate(&mut std::io::Cursor::new(&image), sehdr::Search::Everywhere).unwrap();
            assert_eq!((found.offset, &found.bytes), (HEADER_OFFSET as u64, &header));
            sehdr::SeHeader::parse(&found.bytes).unwrap();
        }
    }
}
