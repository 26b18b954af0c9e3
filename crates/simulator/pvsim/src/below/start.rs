//! Into secure mode: SET SECURE PARAMETERS, UNPACK, VERIFY.
//!
//! Source of the codes: what loaders of s390-tools print for them.

use crate::Error;
use crate::image::{self, OpenError, PCF_NOT_ENCRYPTED};
use crate::platform::{BootImage, Platform};
use openssl::sha::Sha512;
use openssl::symm::{Cipher, Crypter, Mode};
use pvsim_machine::{Component, GuestMemory, Ipib, PAGE, Refused};
use uvtypes::Reader;

/// More than two pages no header has.
const HEADER_MAX: u64 = 0x2000;
const HEADER: u16 = 2;
const UNPACK: u16 = 3;
const VERIFY: u16 = 4;
/// Wrong: an address, the number of pages, or one of the lists of pages, addresses, tweaks.
const CONTENT: u16 = 0x0102;

/// The header, and the PSW (mask, address) that the guest starts with.
type Started = (Vec<u8>, (u64, u64));

/// Decrypts the image in the guest's memory. What is refused may have been decrypted in part, as on real machines.
///
/// # Errors
/// The simulator failed.
pub(super) fn unpack(
    platform: &Platform,
    ipib: &Ipib,
    memory: &GuestMemory,
) -> Result<Result<Started, Refused>, pvsim_machine::Failure> {
    let refused = |command, rc, rrc| Ok(Err(Refused { command, rc, rrc }));
    if ipib.header_size > HEADER_MAX {
        return refused(HEADER, 0x010a, 0x31);
    }
    let Some(header) = memory.read(ipib.header_address, ipib.header_size as usize)? else {
        return refused(HEADER, CONTENT, 0);
    };
    if let Err((rc, rrc)) = looks_right(&header) {
        return refused(HEADER, rc, rrc);
    }
    let image = match BootImage::open(&header, &platform.host_key) {
        Ok(image) => image,
        Err(Error::Header(OpenError::NoSlot)) => return refused(HEADER, 0x0108, 0x05),
        Err(Error::Header(_)) => return refused(HEADER, 0x0108, 0x0b),
        Err(error) => return Err(error.into()),
    };
    let (pages, flags) = pages_and_flags(&header).ok_or("the SE header is cut")?;
    let encrypted = flags & PCF_NOT_ENCRYPTED == 0;
    let mut lists = Lists { pages: Sha512::new(), addresses: Sha512::new(), tweaks: Sha512::new(), count: 0 };
    for component in &ipib.components {
        if component.address % PAGE != 0 || component.length % PAGE != 0 {
            return refused(UNPACK, CONTENT, 0x1a);
        }
        if !lists.unpack(component, memory, encrypted.then_some(&image.secrets.image_key))? {
            return refused(UNPACK, CONTENT, 0);
        }
    }
    if lists.count != pages {
        return refused(VERIFY, CONTENT, 0x1d);
    }
    let found = [lists.pages.finish(), lists.addresses.finish(), lists.tweaks.finish()];
    let expected = image.digests.chunks_exact(64);
    for ((found, expected), rrc) in found.iter().zip(expected).zip([0x1b, 0x1a, 0x1c]) {
        if found.as_slice() != expected {
            return refused(VERIFY, CONTENT, rrc);
        }
    }
    let mut psw = Reader::new(&image.secrets.psw);
    let psw = (psw.u64("PSW mask")?, psw.u64("PSW address")?);
    Ok(Ok((header, psw)))
}

/// What is wrong with a header, as far as it can be seen without a key: rc and rrc.
fn looks_right(header: &[u8]) -> Result<(), (u16, u16)> {
    let cut = |_| (0x010a, 0x31);
    let mut reader = Reader::new(header);
    if reader.bytes(8, "magic").map_err(cut)? != b"IBMSecEx" {
        return Err((0x010a, 0));
    }
    if reader.u32("version").map_err(cut)? != 0x100 {
        return Err((0x0104, 1));
    }
    if reader.u32("size").map_err(cut)? as usize != header.len() {
        return Err((0x010a, 0x31));
    }
    reader.bytes(16, "IV").map_err(cut)?;
    if reader.u64("number of key slots").map_err(cut)? == 0 {
        return Err((0x010a, 0x40));
    }
    if reader.u64("size of the encrypted part").map_err(cut)? != 128 {
        return Err((0x010a, 0x39));
    }
    reader.u64("number of pages").map_err(cut)?;
    if reader.u64("plaintext control flags").map_err(cut)? & !image::PCF_KNOWN != 0 {
        return Err((0x0106, 0x30));
    }
    Ok(())
}

fn pages_and_flags(header: &[u8]) -> Option<(u64, u64)> {
    let mut reader = Reader::new(header);
    reader.bytes(0x30, "head").ok()?;
    Some((reader.u64("number of pages").ok()?, reader.u64("plaintext control flags").ok()?))
}

/// What is found of the lists that the header has digests of.
struct Lists {
    pages: Sha512,
    addresses: Sha512,
    tweaks: Sha512,
    count: u64,
}

impl Lists {
    /// Decrypts a component where it is. Gives whether it is in memory.
    fn unpack(
        &mut self,
        component: &Component,
        memory: &GuestMemory,
        key: Option<&[u8; 64]>,
    ) -> Result<bool, pvsim_machine::Failure> {
        let cipher = Cipher::aes_256_xts();
        for offset in (0..component.length).step_by(PAGE as usize) {
            let Some(address) = component.address.checked_add(offset) else { return Ok(false) };
            let Some(page) = memory.read(address, PAGE as usize)? else { return Ok(false) };
            let tweak = [component.tweak_prefix.to_be_bytes(), offset.to_be_bytes()].concat();
            self.pages.update(&page);
            self.addresses.update(&address.to_be_bytes());
            self.tweaks.update(&tweak);
            self.count += 1;
            if let Some(key) = key {
                let mut plain = vec![0; page.len() + cipher.block_size()];
                let length = Crypter::new(cipher, Mode::Decrypt, key, Some(&tweak))?.update(&page, &mut plain)?;
                plain.truncate(length);
                memory.write(address, &plain)?;
            }
        }
        Ok(true)
    }
}
