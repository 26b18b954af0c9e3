//! AES-256-GCM, the one cipher of all requests and headers.

pub use crate::request_frame::{IV_SIZE, TAG_SIZE};

use openssl::error::ErrorStack;
use openssl::symm::{Cipher, Crypter, Mode};
use uvtypes::SecretBox;

/// Size of an AES-256 key in bytes.
pub const KEY_SIZE: usize = 32;

/// A key, wiped when dropped.
pub type Key = SecretBox<[u8; KEY_SIZE]>;

/// Encrypts `plain`; `aad` is authenticated with it.
///
/// # Errors
/// When OpenSSL refuses.
pub fn seal(key: &Key, iv: &[u8; IV_SIZE], aad: &[u8], plain: &[u8]) -> Result<(Vec<u8>, [u8; TAG_SIZE]), ErrorStack> {
    let (sealed, crypter) = run(Mode::Encrypt, key, iv, aad, plain, None)?;
    let mut tag = [0; TAG_SIZE];
    crypter.get_tag(&mut tag)?;
    Ok((sealed, tag))
}

/// Decrypts `sealed`; fails if it, `aad` or `tag` is not as it was sealed.
///
/// # Errors
/// OpenSSL's, mostly empty: the tag does not fit.
pub fn open(
    key: &Key,
    iv: &[u8; IV_SIZE],
    aad: &[u8],
    sealed: &[u8],
    tag: &[u8; TAG_SIZE],
) -> Result<SecretBox<Vec<u8>>, ErrorStack> {
    run(Mode::Decrypt, key, iv, aad, sealed, Some(tag)).map(|(plain, _)| plain.into())
}

fn run(
    mode: Mode,
    key: &Key,
    iv: &[u8; IV_SIZE],
    aad: &[u8],
    input: &[u8],
    tag: Option<&[u8; TAG_SIZE]>,
) -> Result<(Vec<u8>, Crypter), ErrorStack> {
    let mut crypter = Crypter::new(Cipher::aes_256_gcm(), mode, key.expose(), Some(iv))?;
    if let Some(tag) = tag {
        crypter.set_tag(tag)?;
    }
    crypter.aad_update(aad)?;
    let mut output = SecretBox::new(vec![0; input.len() + TAG_SIZE]);
    let buffer = output.expose_mut();
    let mut size = crypter.update(input, buffer)?;
    size += crypter.finalize(buffer.get_mut(size..).unwrap_or_default())?;
    // On failure, what was decrypted so far is wiped with the buffer.
    buffer.truncate(size);
    Ok((std::mem::take(buffer), crypter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        // NIST GCM specification, test case 16.
        let key = hex::decode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308").unwrap();
        let iv = hex::decode("cafebabefacedbaddecaf888").unwrap().try_into().unwrap();
        let plain = hex::decode(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        )
        .unwrap();
        let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
        let key = Key::new(key.try_into().unwrap());
        let (sealed, tag) = seal(&key, &iv, &aad, &plain).unwrap();
        assert_eq!(
            hex::encode(&sealed),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        );
        assert_eq!(hex::encode(tag), "76fc6ece0f4e1768cddf8853bb2d551b");
        assert!(open(&key, &iv, &aad, &sealed, &tag).unwrap().ct_eq(&plain));
        assert!(open(&key, &iv, &aad[1..], &sealed, &tag).is_err());
    }
}
