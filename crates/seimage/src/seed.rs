//! What an image is made of, as one digest.

use crate::Kind;
use openssl::sha::Sha512;

/// A digest of all inputs of an image. What keys are derived from must change with every input: so each is put in
/// with its name and its length, and none can be taken for another.
#[derive(Clone)]
pub struct InputsDigest {
    hash: Sha512,
    digest: [u8; 64],
}

impl Default for InputsDigest {
    fn default() -> Self {
        let mut digest = Self { hash: Sha512::new(), digest: [0; 64] };
        digest.add("format", b"SE image, version 1");
        digest
    }
}

impl InputsDigest {
    /// Adds an input: an option, a host key, a part of the loader. It may be a secret; it is not kept.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.hash.update(&(part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
        self.digest = self.hash.clone().finish();
    }

    /// Adds a component by its SHA-512. [`crate::Component::digest`] must be the same, so that what is encrypted with the
    /// derived keys is what they were derived from.
    pub fn add_component(&mut self, kind: Kind, digest: &[u8; 64]) {
        self.add(&format!("component: {kind}"), digest);
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 64] {
        &self.digest
    }
}

impl std::fmt::Debug for InputsDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InputsDigest")
    }
}
