//! Keys from keys.

use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;

/// HKDF (RFC 5869) with SHA-512: fills `output` from `key`, `salt` and `info`.
///
/// # Errors
/// When OpenSSL refuses.
pub fn hkdf_sha512(key: &[u8], salt: &[u8], info: &[u8], output: &mut [u8]) -> Result<(), ErrorStack> {
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_md(Md::sha512())?;
    context.set_hkdf_key(key)?;
    context.set_hkdf_salt(salt)?;
    context.add_hkdf_info(info)?;
    context.derive(Some(output)).map(drop)
}
