//! What the ultravisor says beside the measurement.

use crate::FormatError;
#[cfg(feature = "openssl")]
use openssl::sha::Sha512;
use uvtypes::Reader;
use uvtypes::attestation::{AttestationFlags, PARTS, Part};
use uvtypes::flags::Flag;

/// The additional data of a response: one part behind the other, in the order of [`PARTS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdditionalData<'a> {
    parts: [Option<&'a [u8]>; PARTS.len()],
    unrecognized: &'a [u8],
}

impl<'a> AdditionalData<'a> {
    /// Bytes that a response to a request with `flags` has.
    pub fn size(flags: AttestationFlags) -> usize {
        PARTS.iter().filter(|part| part.is_in(flags)).map(|part| part.size).sum()
    }

    /// Splits `bytes` as `flags` say.
    ///
    /// # Errors
    /// [`FormatError::AdditionalDataMissing`] when a part that was asked for is not there.
    pub fn parse(bytes: &'a [u8], flags: AttestationFlags) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let mut parts = [None; PARTS.len()];
        for (to, part) in parts.iter_mut().zip(PARTS).filter(|(_, part)| part.is_in(flags)) {
            let name = part.flag.name;
            *to = Some(reader.bytes(part.size, name).map_err(|_| FormatError::AdditionalDataMissing(name))?);
        }
        Ok(Self { parts, unrecognized: reader.rest() })
    }

    /// The part that `flag` asks for; `None` when it was not asked for.
    pub fn part(&self, flag: Flag) -> Option<&'a [u8]> {
        self.parts().find(|(part, _)| part.flag == flag).map(|(_, bytes)| bytes)
    }

    /// The parts that are there, in their order.
    pub fn parts(&self) -> impl Iterator<Item = (&'static Part, &'a [u8])> {
        PARTS.iter().zip(self.parts).filter_map(|(part, bytes)| Some((part, bytes?)))
    }

    /// Bytes that follow the parts; empty if nothing does.
    pub fn unrecognized(&self) -> &'a [u8] {
        self.unrecognized
    }
}

/// SHA-512 over the tags of the add-secret requests in the order in which they were accepted, and one byte: 1 if the
/// store is locked.
#[cfg(feature = "openssl")]
pub fn secret_store_hash(tags: &[[u8; 16]], locked: bool) -> [u8; 64] {
    let mut hash = Sha512::new();
    tags.iter().for_each(|tag| hash.update(tag));
    hash.update(&[u8::from(locked)]);
    hash.finish()
}
