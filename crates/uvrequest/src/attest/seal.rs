//! An attestation request, sealed and opened by its owner.

use super::arcb::{HMAC_SHA_512, RequestData, parse};
use crate::Error;
use crate::aead::{self, Key};
use crate::request_seal::{RequestFrame, RequestKeys};
use hostkey::TrustedHostKey;
use openssl::rand::rand_bytes;
use uvtypes::attestation::AttestationFlags;
use uvtypes::{Reader, SecretBox};
use zerocopy::IntoBytes;

const KEY_SIZE: usize = 64;
const NONCE_SIZE: usize = 16;

/// Attestation request protection key (ARPK): who has it can verify the response, and forge one.
#[derive(Clone, Debug)]
pub struct Arpk(Key);

impl Arpk {
    /// The 32 bytes, to be kept by the owner of the guest.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl TryFrom<&[u8]> for Arpk {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        SecretBox::copy_of(bytes).map(Self).ok_or(Error::SecretSize {
            kind: "the attestation request protection key",
            actual: bytes.len(),
            expected: "exactly 32 bytes".to_owned(),
        })
    }
}

/// A request to measure a guest.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttestationRequest {
    flags: AttestationFlags,
}

impl AttestationRequest {
    /// A request whose answer is to contain what `flags` say.
    pub fn new(flags: AttestationFlags) -> Self {
        Self { flags: flags.with(AttestationFlags::NONCE) }
    }

    /// The flags, [`AttestationFlags::NONCE`] included.
    pub fn flags(&self) -> AttestationFlags {
        self.flags
    }

    /// Seals the request for these machines, and gives the key that its owner keeps.
    ///
    /// # Errors
    /// [`Error::HostKeyCount`] unless there are 1 to 255 host keys, [`Error::OpenSsl`].
    pub fn seal(&self, host_keys: &[TrustedHostKey]) -> Result<(Vec<u8>, Arpk), Error> {
        let mut plain = SecretBox::new(vec![0; KEY_SIZE + NONCE_SIZE]);
        rand_bytes(plain.expose_mut())?;
        let data = RequestData { flags: self.flags.bits().into(), algorithm: HMAC_SHA_512.into(), reserved: [0; 4] };
        let frame = RequestFrame::new([0; 8], data.as_bytes(), &[], plain, RequestKeys::generate()?, host_keys)?;
        Ok((frame.seal()?, Arpk(frame.into_protection_key())))
    }
}

/// What a measurement depends on that only the ultravisor and the owner of a request know.
#[derive(Clone, Debug)]
pub struct MeasurementSecrets {
    /// Key of the HMAC, 64 bytes.
    pub key: SecretBox<[u8; KEY_SIZE]>,
    /// The nonce, 16 bytes.
    pub nonce: SecretBox<[u8; NONCE_SIZE]>,
}

impl MeasurementSecrets {
    /// Opens the secrets in `request`, which is one of ours: it has a nonce.
    ///
    /// # Errors
    /// [`Error::WrongArpk`], [`Error::NoNonce`], and those of a malformed request.
    pub fn open(request: &[u8], arpk: &Arpk) -> Result<Self, Error> {
        let opened = open(request, arpk)?;
        let nonce = opened.nonce.as_ref().ok_or(Error::NoNonce)?;
        let mut copy = SecretBox::zeros();
        copy.expose_mut().copy_from_slice(nonce);
        Ok(Self { key: opened.measurement_key, nonce: copy })
    }
}

/// What the ultravisor and the owner of a request know.
pub(crate) struct Opened {
    pub(crate) flags: AttestationFlags,
    pub(crate) measurement_key: SecretBox<[u8; KEY_SIZE]>,
    pub(crate) nonce: Option<[u8; NONCE_SIZE]>,
}

/// Decrypts a request with its protection key.
pub(crate) fn open(request: &[u8], arpk: &Arpk) -> Result<Opened, Error> {
    let (sealed, flags) = parse(request)?;
    let plain = aead::open(&arpk.0, &sealed.header.iv, sealed.aad, sealed.encrypted, &sealed.tag)
        .map_err(|_| Error::WrongArpk)?;
    let mut reader = Reader::new(plain.expose());
    let mut measurement_key = SecretBox::zeros();
    measurement_key.expose_mut().copy_from_slice(reader.bytes(KEY_SIZE, "measurement key")?);
    let nonce = flags.contains(AttestationFlags::NONCE).then(|| reader.array("nonce")).transpose()?;
    reader.finish("encrypted area of the attestation request")?;
    Ok(Opened { flags, measurement_key, nonce })
}
