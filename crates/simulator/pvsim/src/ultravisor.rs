//! The software ultravisor: it decrypts, checks and keeps as firmware does.

mod add_secret;
mod attest;
mod refusal;

#[cfg(test)]
pub(crate) use add_secret::extension_secret;
pub(crate) use add_secret::{KINDS, kind_name};
pub use attest::Attestation;
pub use refusal::Refusal;

use crate::{Error, Guest, Platform, StoredSecret};
use add_secret::{Retrieval, Rule};
use openssl::error::ErrorStack;
use openssl::sha::sha256;
use openssl::symm::{Cipher, encrypt};

/// Bytes of a page of the secret list.
const LIST_PAGE: usize = 0x1000;
/// Bytes of the list's header.
const LIST_HEADER: usize = 16;
/// Entries of 48 bytes that a page holds.
const LIST_ENTRIES: usize = (LIST_PAGE - LIST_HEADER) / 48;

/// The ultravisor of a machine, for one command.
#[derive(Debug)]
pub struct Ultravisor<'a> {
    /// The machine.
    pub platform: &'a Platform,
    /// The running guest.
    pub guest: &'a mut Guest,
}

/// Why a command was not carried out.
#[derive(Debug)]
pub enum Failure {
    /// The ultravisor refused.
    Refused(Refusal),
    /// The simulator itself failed.
    Broken(Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ErrorStack> for Failure {
    fn from(error: ErrorStack) -> Self {
        Self::Broken(error.into())
    }
}

impl Ultravisor<'_> {
    /// Locks the secret store until the next boot.
    ///
    /// # Errors
    /// [`Refusal::LockLocked`].
    pub fn lock_secrets(&mut self) -> Result<(), Failure> {
        if self.guest.locked {
            return Err(Refusal::LockLocked.into());
        }
        self.guest.locked = true;
        Ok(())
    }

    /// The list of the store as it fits into `room` bytes when it is asked for page by page, and whether there is
    /// more.
    pub fn list_secrets(&self, room: usize) -> (Vec<u8>, bool) {
        let mut left = self.guest.secrets.as_slice();
        let (mut entries, mut used) = (Vec::new(), 0);
        while room.saturating_sub(used) >= LIST_PAGE {
            let (page, rest) = left.split_at(left.len().min(LIST_ENTRIES));
            left = rest;
            page.iter().for_each(|secret| entries.extend(entry(secret)));
            if left.is_empty() {
                break;
            }
            // The header of each further page is dropped.
            used = LIST_HEADER + entries.len();
        }
        let total = self.guest.secrets.len();
        let mut list = list_header(total - left.len(), total, left.first());
        list.extend(entries);
        (list, !left.is_empty())
    }

    /// One page of the list, of the secrets whose index is `start` or more, and whether there is more: what a kernel
    /// asks for.
    pub fn list_page(&self, start: u16) -> (Vec<u8>, bool) {
        let mut wanted = self.guest.secrets.iter().filter(|secret| secret.index >= start);
        let entries: Vec<_> = wanted.by_ref().take(LIST_ENTRIES).map(entry).collect();
        let next = wanted.next();
        let mut page = list_header(entries.len(), self.guest.secrets.len(), next);
        page.extend(entries.concat());
        page.resize(LIST_PAGE, 0);
        (page, next.is_some())
    }

    /// What a retrieval of the secret with `index` gives, into a buffer of `room` bytes.
    ///
    /// # Errors
    /// [`Refusal::RetrieveEmpty`], [`Refusal::RetrieveIndex`], [`Refusal::RetrieveKind`],
    /// [`Refusal::RetrieveBuffer`].
    pub fn retrieve_secret(&self, index: u16, room: usize) -> Result<Vec<u8>, Failure> {
        let secrets = &self.guest.secrets;
        if secrets.is_empty() {
            return Err(Refusal::RetrieveEmpty.into());
        }
        let secret = secrets.iter().find(|secret| secret.index == index).ok_or(Refusal::RetrieveIndex)?;
        let value = match Rule::of(secret.kind) {
            Some(Rule { retrieval: Retrieval::AsIs, .. }) => secret.secret.clone(),
            Some(Rule { retrieval: Retrieval::Protected, .. }) => self.protect(&secret.secret)?,
            _ => return Err(Refusal::RetrieveKind.into()),
        };
        if value.len() > room {
            return Err(Refusal::RetrieveBuffer.into());
        }
        Ok(value)
    }

    /// A protected key: wrapped, and followed by the pattern that names the wrapping key. How real machines wrap is
    /// not public, and opaque to the guest.
    fn protect(&self, key: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let wrapping = &self.guest.wrapping_key.0;
        let digest = sha256(key);
        let (iv, _) = digest.split_at(16);
        let mut wrapped = encrypt(Cipher::aes_256_ctr(), wrapping, Some(iv), key)?;
        wrapped.extend(sha256(wrapping));
        Ok(wrapped)
    }
}

/// Bytes of an entry of the list.
const LIST_ENTRY: usize = 48;

fn entry(secret: &StoredSecret) -> [u8; LIST_ENTRY] {
    let mut entry = [0; LIST_ENTRY];
    entry[..2].copy_from_slice(&secret.index.to_be_bytes());
    entry[2..4].copy_from_slice(&secret.kind.to_be_bytes());
    entry[4..8].copy_from_slice(&secret.length.to_be_bytes());
    entry[16..].copy_from_slice(&secret.id.0);
    entry
}

fn list_header(here: usize, total: usize, next: Option<&StoredSecret>) -> Vec<u8> {
    let fields = [here as u16, total as u16, next.map_or(0, |next| next.index)];
    let mut header: Vec<_> = fields.into_iter().flat_map(u16::to_be_bytes).collect();
    header.resize(LIST_HEADER, 0);
    header
}
