//! Pages, and the cipher of pages.

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use uvtypes::SecretBox;

/// Everything in an image is counted in pages of so many bytes.
pub const PAGE_SIZE: u64 = PAGE as u64;
pub(crate) const PAGE: usize = 4096;

/// Number of pages that `size` bytes take: an empty component takes one.
pub const fn pages_of(size: u64) -> u64 {
    let pages = size.div_ceil(PAGE_SIZE);
    if pages == 0 { 1 } else { pages }
}

/// The first page boundary at or behind `address`.
pub(crate) const fn next_page(address: u64) -> u64 {
    address.div_ceil(PAGE_SIZE) * PAGE_SIZE
}

/// What makes the encryption of each page different: the component's prefix and the page's offset in the component,
/// each 8 bytes, big-endian.
pub(crate) fn tweak(prefix: u64, offset: u64) -> [u8; 16] {
    let mut tweak = [0; 16];
    let (left, right) = tweak.split_at_mut(8);
    left.copy_from_slice(&prefix.to_be_bytes());
    right.copy_from_slice(&offset.to_be_bytes());
    tweak
}

/// AES-256-XTS in place, page by page.
pub(crate) struct PageCipher {
    context: CipherCtx,
    decrypts: bool,
}

impl PageCipher {
    /// OpenSSL keeps the key until the cipher is dropped, and wipes it then.
    pub(crate) fn new(key: &SecretBox<[u8; 64]>, decrypts: bool) -> Result<Self, ErrorStack> {
        let mut context = CipherCtx::new()?;
        let (cipher, key) = (Some(Cipher::aes_256_xts()), Some(&key.expose()[..]));
        if decrypts {
            context.decrypt_init(cipher, key, None)?;
        } else {
            context.encrypt_init(cipher, key, None)?;
        }
        Ok(Self { context, decrypts })
    }

    /// Works on whole pages, the first of which is `offset` bytes behind the start of its component.
    pub(crate) fn run(&mut self, pages: &mut [u8], prefix: u64, offset: u64) -> Result<(), ErrorStack> {
        for (page, number) in pages.chunks_exact_mut(PAGE).zip(0_u64..) {
            let tweak = tweak(prefix, offset + number * PAGE_SIZE);
            // The key stays; only the tweak changes.
            if self.decrypts {
                self.context.decrypt_init(None, None, Some(&tweak))?;
            } else {
                self.context.encrypt_init(None, None, Some(&tweak))?;
            }
            self.context.cipher_update_inplace(page, PAGE)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::symm;

    #[test]
    fn each_page_has_a_tweak_of_its_own() {
        let key = SecretBox::new(std::array::from_fn(|at| at as u8));
        let plain: Vec<u8> = (0..2 * PAGE).map(|at| (at / 7) as u8).collect();
        let mut pages = plain.clone();
        PageCipher::new(&key, false).unwrap().run(&mut pages, 0x0028_1122_3344_5566, 0x3000).unwrap();
        for (number, offset) in [(0, 0x30_u8), (1, 0x40)] {
            let tweak = [0, 0x28, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0, 0, 0, 0, 0, 0, offset, 0];
            let page = number * PAGE..(number + 1) * PAGE;
            let expected =
                symm::encrypt(symm::Cipher::aes_256_xts(), key.expose(), Some(&tweak), &plain[page.clone()]).unwrap();
            assert_eq!(pages[page], expected);
        }
        PageCipher::new(&key, true).unwrap().run(&mut pages, 0x0028_1122_3344_5566, 0x3000).unwrap();
        assert_eq!(pages, plain);
    }

    #[test]
    fn an_empty_component_takes_a_page() {
        assert_eq!([0, 1, 4096, 4097].map(pages_of), [1, 1, 1, 2]);
    }
}
