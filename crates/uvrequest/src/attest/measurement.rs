//! The measurement: what the ultravisor computed, computed again.

use super::seal::open;
use super::{AdditionalData, Arpk, Exchange, Response};
use crate::{Error, FormatError};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use sehdr::BootTags;
use uvtypes::Cuid;
use uvtypes::attestation::AttestationFlags;

/// Claims of a response about a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The boot of the guest.
    pub cuid: Cuid,
    /// The additional data as a whole; empty when there is none.
    pub additional: &'a [u8],
    /// The additional data in their parts.
    pub fields: AdditionalData<'a>,
    /// User data that the guest added; empty when there is none.
    pub user_data: &'a [u8],
}

impl<'a> Claims<'a> {
    fn of(response: &'a Response, flags: AttestationFlags) -> Result<Self, FormatError> {
        Ok(Self {
            cuid: response.cuid,
            additional: &response.additional,
            fields: AdditionalData::parse(&response.additional, flags)?,
            user_data: &response.user_data,
        })
    }
}

/// Claims that the ultravisor of the guest vouches for. Only [`verify`] makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested<'a>(Claims<'a>);

impl<'a> Attested<'a> {
    /// Claims that are vouched for.
    pub fn claims(&self) -> &Claims<'a> {
        &self.0
    }
}

/// Claims that nobody has verified: whoever carried the file can have written them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unverified<'a>(Claims<'a>);

impl<'a> Unverified<'a> {
    /// The claims of a response as they stand in its file.
    ///
    /// # Errors
    /// [`FormatError::Exchange`] when there is no response, [`FormatError::AdditionalDataMissing`] for one that does not
    /// contain what was asked for.
    pub fn read(exchange: &'a Exchange) -> Result<Self, FormatError> {
        Claims::of(exchange.response()?, exchange.flags()).map(Self)
    }

    /// Claims of the response, true or not.
    pub fn claims(&self) -> &Claims<'a> {
        &self.0
    }
}

/// The outcome of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The guest runs the image of the header, and the response is as the ultravisor gave it.
    Verified(Attested<'a>),
    /// Another image, another request, or a changed response.
    Mismatch {
        /// The measurement that the response should have.
        calculated: Vec<u8>,
    },
}

/// Verifies a response with the request's protection key and the boot tags of the image.
///
/// # Errors
/// [`Error::WrongArpk`], [`FormatError::Exchange`] when there is no response, [`FormatError::AdditionalDataMissing`] for a
/// response
/// that is genuine but does not contain what was asked for.
pub fn verify<'a>(exchange: &'a Exchange, arpk: &Arpk, image: &BootTags) -> Result<Verdict<'a>, Error> {
    let response = exchange.response()?;
    let request = open(exchange.request(), arpk)?;
    let calculated = measure(request.measurement_key.expose(), request.nonce.as_ref(), response, image)?;
    let same = calculated.len() == response.measurement.len() && memcmp::eq(&calculated, &response.measurement);
    if !same {
        return Ok(Verdict::Mismatch { calculated });
    }
    Ok(Verdict::Verified(Attested(Claims::of(response, request.flags)?)))
}

/// The measurement that a guest of `image` must have, for those who get key and nonce another way than by the request's
/// protection key.
///
/// # Errors
/// [`Error::OpenSsl`].
pub fn measurement(
    key: &[u8],
    nonce: Option<&[u8; 16]>,
    response: &Response,
    image: &BootTags,
) -> Result<Vec<u8>, Error> {
    Ok(measure(key, nonce, response, image)?)
}

/// HMAC-SHA-512 over, all big-endian: page-list digest 64, address-list digest 64, tweak-list digest 64, tag of the SE
/// header 16, CUID 16, size of the user data 2, zeros 2, size of the additional data 4, user data, nonce 16,
/// additional data.
fn measure(key: &[u8], nonce: Option<&[u8; 16]>, response: &Response, image: &BootTags) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut hmac = Signer::new(MessageDigest::sha512(), &key)?;
    for digest in [&image.page_list_digest, &image.address_list_digest, &image.tweak_list_digest] {
        hmac.update(digest)?;
    }
    hmac.update(&image.tag)?;
    hmac.update(response.cuid.as_bytes())?;
    // The exchange file's limits keep both sizes far below what their fields hold. Another response has no measurement that
    // this could be.
    hmac.update(&u16::try_from(response.user_data.len()).unwrap_or(u16::MAX).to_be_bytes())?;
    hmac.update(&[0; 2])?;
    hmac.update(&u32::try_from(response.additional.len()).unwrap_or(u32::MAX).to_be_bytes())?;
    hmac.update(&response.user_data)?;
    hmac.update(nonce.map_or(&[][..], |nonce| nonce))?;
    hmac.update(&response.additional)?;
    hmac.sign_to_vec()
}
