//! Images that boot, for the simulated machine: kernel, ramdisk and command line, encrypted for its host key.
//!
//! The loaders are the least that brings a kernel up on the simulator: the first asks for secure mode and stops when it
//! is refused, the second moves the kernel to where it belongs. They have nothing to say on the console, and do not ask
//! what the machine can do. Real images have real loaders.

use super::{HeaderSecrets, PAGE, header_with_digests};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::sha::Sha512;
use openssl::symm::{Cipher, Crypter, Mode};
use pvsim_machine::{Component, Ipib};

const HEADER: usize = 0x14000;
const METADATA: usize = 0xc000;
/// Where a kernel begins in memory; what its file has in front of that is not used.
const KERNEL: usize = 0x1_0000;
/// Where a kernel looks for its command line, and for the address and size of its ramdisk.
const COMMAND_LINE: u32 = 0x1_0480;
const PARAMETERS: u32 = 0x1_0400;
/// A kernel that says nothing else takes command lines up to this, NUL included.
const COMMAND_LINE_MAX: usize = 896;
/// The least that can be told of the second loader's size before its place is known.
const KINDS: [u64; 4] = [40, 50, 60, 70];
/// 64-bit mode, nothing else.
const PSW_MASK: u64 = 0x0000_0001_8000_0000;
/// Where the machine stops when secure mode is refused: a disabled wait.
const STOP: [u64; 2] = [0x0002_0001_8000_0000, 0x4608];

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The kernel's raw image.
    pub kernel: &'a [u8],
    /// The ramdisk; none if empty.
    pub ramdisk: &'a [u8],
    /// The command line, without NUL.
    pub command_line: &'a [u8],
}

/// Why no image can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Not a kernel.
    #[error("the kernel is not a raw s390x kernel image: expected 'S390EP' at 0x10008")]
    NotAKernel,
    /// The command line does not fit.
    #[error("the command line has {found} bytes, expected {COMMAND_LINE_MAX} at most with its NUL")]
    CommandLine {
        /// Bytes with NUL.
        found: usize,
    },
    /// Cryptography failed.
    #[error("OpenSSL")]
    OpenSsl(#[from] ErrorStack),
}

/// Makes an image for one host key.
///
/// # Errors
/// [`BuildError`].
pub fn build(
    parts: Parts<'_>,
    host_key: &PKey<Private>,
    secrets: &mut HeaderSecrets,
    plaintext_control_flags: u64,
) -> Result<Vec<u8>, BuildError> {
    if parts.kernel.get(KERNEL + 8..KERNEL + 14) != Some(b"S390EP".as_slice()) {
        return Err(BuildError::NotAKernel);
    }
    let mut command_line = parts.command_line.to_vec();
    command_line.push(0);
    // Where the kernel says how long its command line may be; 0 in old ones.
    let stated = parts.kernel.get(KERNEL + 0x430..KERNEL + 0x438).and_then(|bytes| bytes.try_into().ok());
    let most = match stated.map_or(0, u64::from_be_bytes) {
        0 => COMMAND_LINE_MAX,
        most => usize::try_from(most).unwrap_or(usize::MAX),
    };
    if command_line.len() > most {
        return Err(BuildError::CommandLine { found: command_line.len() });
    }
    let header_size = super::FIXED + super::SLOT + super::ENCRYPTED + super::TAG;
    let mut image = vec![0; (HEADER + header_size).next_multiple_of(PAGE)];
    let mut components = Vec::new();
    let mut place = |image: &mut Vec<u8>, kind: u64, content: &[u8]| -> Result<u64, ErrorStack> {
        let address = image.len() as u64;
        image.extend_from_slice(content);
        image.resize((image.len().max(address as usize + 1)).next_multiple_of(PAGE), 0);
        let mut random = [0; 8];
        rand_bytes(&mut random[2..])?;
        let tweak_prefix = kind << 48 | u64::from_be_bytes(random);
        components.push(Component { tweak_prefix, address, length: image.len() as u64 - address });
        Ok(address)
    };
    let kernel = place(&mut image, KINDS[0], parts.kernel)?;
    let ramdisk = if parts.ramdisk.is_empty() { 0 } else { place(&mut image, KINDS[1], parts.ramdisk)? };
    let line = place(&mut image, KINDS[2], &command_line)?;
    let second = second_loader(
        (kernel as u32 + KERNEL as u32, (parts.kernel.len() - KERNEL) as u32),
        (ramdisk as u32, parts.ramdisk.len() as u32),
        (line as u32, command_line.len() as u32),
    );
    let entry = place(&mut image, KINDS[3], &second)?;
    secrets.psw = [PSW_MASK.to_be_bytes(), entry.to_be_bytes()].concat().try_into().unwrap_or([0; 16]);

    let (digests, pages) = encrypt(&mut image, &components, &secrets.image_key)?;
    let header =
        header_with_digests(std::slice::from_ref(host_key), secrets, plaintext_control_flags, pages, &digests)?;
    let ipib = Ipib { header_address: HEADER as u64, header_size: header.len() as u64, components };
    let ipib_at = image.len();
    image.extend(ipib.to_bytes());
    put(&mut image, 0, &[0x00, 0x08, 0x00, 0x00, 0x80, 0x01, 0x10, 0x00]);
    let mut metadata = b"SeImgLnx".to_vec();
    metadata.extend((HEADER as u64).to_be_bytes());
    metadata.extend(1_u32.to_be_bytes());
    metadata.extend((ipib_at as u64).to_be_bytes());
    put(&mut image, METADATA, &metadata);
    put(&mut image, HEADER, &header);
    let first = first_loader(ipib_at as u32);
    // The emulator enters a kernel here, a real machine by the PSW at 0.
    put(&mut image, KERNEL, &[0xc0, 0xf4, 0, 0, 0x08, 0]);
    put(&mut image, KERNEL + 0x1000, &first);
    Ok(image)
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Encrypts the components where they are. Gives the digests over pages, addresses and tweaks, and the number of pages.
fn encrypt(image: &mut [u8], components: &[Component], key: &[u8; 64]) -> Result<([[u8; 64]; 3], u64), ErrorStack> {
    let (mut pages, mut addresses, mut tweaks) = (Sha512::new(), Sha512::new(), Sha512::new());
    let mut count = 0;
    let cipher = Cipher::aes_256_xts();
    let mut sealed = vec![0; PAGE + cipher.block_size()];
    for component in components {
        for offset in (0..component.length).step_by(PAGE) {
            let at = (component.address + offset) as usize;
            let tweak = [component.tweak_prefix.to_be_bytes(), offset.to_be_bytes()].concat();
            let page = &mut image[at..at + PAGE];
            let length = Crypter::new(cipher, Mode::Encrypt, key, Some(&tweak))?.update(page, &mut sealed)?;
            page.copy_from_slice(&sealed[..length]);
            pages.update(page);
            addresses.update(&(at as u64).to_be_bytes());
            tweaks.update(&tweak);
            count += 1;
        }
    }
    Ok(([pages.finish(), addresses.finish(), tweaks.finish()], count))
}

/// Instructions, one after the other.
#[derive(Default)]
struct Code(Vec<u8>);

impl Code {
    /// LLILF: a register gets 32 bits.
    fn load(&mut self, register: u8, value: u32) -> &mut Self {
        self.0.extend([0xc0, register << 4 | 0x0f]);
        self.0.extend(value.to_be_bytes());
        self
    }

    fn add(&mut self, instruction: &[u8]) -> &mut Self {
        self.0.extend(instruction);
        self
    }

    /// MVCLE until all is moved, forwards.
    fn copy(&mut self, to: u32, from: u32, length: u32) -> &mut Self {
        self.load(2, to).load(3, length).load(4, from).load(5, length);
        self.add(&[0xa8, 0x24, 0, 0]).add(&[0xa7, 0x14, 0xff, 0xfe])
    }

    /// LPSWE of what follows.
    fn psw(&mut self, mask: u64, address: u64) -> &mut Self {
        let pad = 8 - (self.0.len() + 10) % 8;
        let halfwords = ((10 + pad) / 2) as u32;
        self.add(&[0xc0, 0x10]);
        self.0.extend(halfwords.to_be_bytes());
        self.add(&[0xb2, 0xb2, 0x10, 0x00]);
        self.0.resize(self.0.len() + pad, 0);
        self.0.extend(mask.to_be_bytes());
        self.0.extend(address.to_be_bytes());
        self
    }
}

/// Asks for secure mode: DIAGNOSE 0x308 subcode 8, then 10.
fn first_loader(ipib: u32) -> Vec<u8> {
    const DIAGNOSE: [u8; 4] = [0x83, 0x24, 0x03, 0x08];
    let subcode = |code| [0xa7, 0x49, 0, code];
    let mut code = Code::default();
    code.load(2, ipib).add(&subcode(8)).add(&DIAGNOSE).add(&subcode(10)).add(&DIAGNOSE).psw(STOP[0], STOP[1]);
    code.0
}

/// Moves kernel and command line (address, size) into place, says where the ramdisk is, and starts the kernel.
fn second_loader(kernel: (u32, u32), ramdisk: (u32, u32), command_line: (u32, u32)) -> Vec<u8> {
    // STG of register 1 behind register 6.
    let store = |displacement| [0xe3, 0x10, 0x60, displacement, 0x00, 0x24];
    let mut code = Code::default();
    code.copy(KERNEL as u32, kernel.0, kernel.1).copy(COMMAND_LINE, command_line.0, command_line.1);
    code.load(6, PARAMETERS).load(1, ramdisk.0).add(&store(0x08)).load(1, ramdisk.1).add(&store(0x10));
    code.psw(PSW_MASK, KERNEL as u64);
    code.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostKey;

    fn kernel() -> Vec<u8> {
        let mut kernel = vec![0x5a; 0x12345];
        put(&mut kernel, KERNEL + 8, b"S390EP");
        put(&mut kernel, KERNEL + 0x430, &[0; 8]);
        kernel
    }

    #[test]
    fn an_image_has_what_was_put_into_it() {
        let host = HostKey::generate().unwrap();
        let mut secrets = HeaderSecrets::random().unwrap();
        let kernel = kernel();
        let parts = Parts { kernel: &kernel, ramdisk: b"a ramdisk", command_line: b"quiet" };
        let image = build(parts, host.private_key(), &mut secrets, 0).unwrap();
        let found = sehdr::locate(&mut std::io::Cursor::new(&image), sehdr::Search::Everywhere).unwrap();
        let opened = super::super::open_header(&found.bytes, host.private_key()).unwrap();
        assert_eq!(opened.psw, secrets.psw);
        let at = u64::from_be_bytes(image[METADATA + 20..METADATA + 28].try_into().unwrap()) as usize;
        let ipib = Ipib::parse(&image[at..]).unwrap();
        assert_eq!(ipib.components.len(), 4);
        assert_eq!(at % PAGE, 0);
        let whole = image.windows(9).any(|part| part == b"a ramdisk");
        assert!(!whole, "it is there in the clear");
    }

    #[test]
    fn what_no_kernel_takes_is_refused() {
        let host = HostKey::generate().unwrap();
        let mut secrets = HeaderSecrets::random().unwrap();
        let mut build = |kernel: &[u8], line: &[u8]| {
            build(Parts { kernel, ramdisk: &[], command_line: line }, host.private_key(), &mut secrets, 0)
        };
        assert!(matches!(build(b"\x7fELF", b""), Err(BuildError::NotAKernel)));
        assert!(matches!(build(&kernel(), &[b'x'; 896]), Err(BuildError::CommandLine { found: 897 })));
        assert!(build(&kernel(), &[b'x'; 895]).is_ok());
    }
}
