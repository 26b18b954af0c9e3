//! The attest command.

use super::add_secret::hmac;
use super::{Failure, Refusal, Ultravisor};
use crate::open::AttestationRequest;
use openssl::sha::Sha512;

/// HMAC-SHA-512, the only measurement algorithm.
const HMAC_SHA_512: u32 = 1;
/// Bytes of its result.
const MEASUREMENT_SIZE: usize = 64;
/// Most bytes of user data.
const USER_DATA_MAX: usize = 256;
/// All flags that are known.
const FLAGS: u64 = AttestationRequest::FLAG_NONCE
    | AttestationRequest::FLAG_IMAGE_HOST_KEY
    | AttestationRequest::FLAG_ATTESTATION_HOST_KEY
    | AttestationRequest::FLAG_SECRET_STORE
    | AttestationRequest::FLAG_FIRMWARE_STATE;

/// What an attestation gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// HMAC-SHA-512 over the image, the guest, user data, nonce and additional data.
    pub measurement: Vec<u8>,
    /// What the flags of the request ask for.
    pub additional: Vec<u8>,
}

impl Ultravisor<'_> {
    /// Measures the guest. `user_data` is covered by the measurement; the other arguments are the sizes of the areas
    /// for the results.
    ///
    /// # Errors
    /// One of the `Attest` rows of [`Refusal`].
    pub fn attest(
        &self,
        request: &[u8],
        user_data: &[u8],
        measurement_room: usize,
        additional_room: usize,
    ) -> Result<Attestation, Failure> {
        if user_data.len() > USER_DATA_MAX {
            return Err(Refusal::AttestUserData.into());
        }
        let request = AttestationRequest::parse(request).map_err(|error| Refusal::of_attestation(&error))?;
        if request.frame.encrypted.len() != request.expected_encrypted_size() {
            return Err(Refusal::AttestEncryptedSize.into());
        }
        if request.flags & !FLAGS != 0 {
            return Err(Refusal::AttestFlags.into());
        }
        if request.algorithm != HMAC_SHA_512 {
            return Err(Refusal::AttestAlgorithm.into());
        }
        let open = request.open(&self.platform.host_key).map_err(|error| Refusal::of_attestation(&error))?;
        let additional = self.additional_data(open.request.flags);
        if measurement_room < MEASUREMENT_SIZE {
            return Err(Refusal::AttestMeasurementArea.into());
        }
        if additional_room < additional.len() {
            return Err(Refusal::AttestAdditionalArea.into());
        }
        let image = &self.platform.image;
        let measurement = hmac(
            open.measurement_key.expose(),
            &[
                &image.digests,
                &image.tag,
                &self.guest.cuid.0,
                &(user_data.len() as u16).to_be_bytes(),
                &[0; 2],
                &(additional.len() as u32).to_be_bytes(),
                user_data,
                open.nonce.as_ref().map_or(&[], |nonce| nonce.as_slice()),
                &additional,
            ],
        )?;
        Ok(Attestation { measurement, additional })
    }

    /// In the order of the flags. The machine has one host key, which opened the image and the request alike.
    fn additional_data(&self, flags: u64) -> Vec<u8> {
        let host_key = self.platform.host_key.hash();
        let mut data = Vec::new();
        if flags & AttestationRequest::FLAG_IMAGE_HOST_KEY != 0 {
            data.extend(host_key);
        }
        if flags & AttestationRequest::FLAG_ATTESTATION_HOST_KEY != 0 {
            data.extend(host_key);
        }
        if flags & AttestationRequest::FLAG_SECRET_STORE != 0 {
            data.extend(self.secret_store_hash());
        }
        if flags & AttestationRequest::FLAG_FIRMWARE_STATE != 0 {
            data.extend(self.platform.firmware_state);
        }
        data
    }

    /// SHA-512 over the tags of all successful add-secret requests and the state of the lock.
    fn secret_store_hash(&self) -> [u8; 64] {
        let mut hash = Sha512::new();
        for tag in &self.guest.request_tags {
            hash.update(&tag.0);
        }
        hash.update(&[u8::from(self.guest.locked)]);
        hash.finish()
    }
}
