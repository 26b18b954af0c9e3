//! What the firmware does with a boot image: opens the header, decrypts the pages where they lie, compares three lists.
//!
//! Everything here is the simulator's own, so that it judges images: nothing of the builder's code is used.

use crate::HostKey;
use crate::image::{
    self, HeaderSecrets, OpenError, PCF_KNOWN, PCF_NOT_ENCRYPTED, SCF_CCK_EXTENSION_SECRET, SCF_CCK_UPDATE,
};
use openssl::error::ErrorStack;
use openssl::sha::Sha512;
use openssl::symm::{Cipher, Crypter, Mode};
use std::fmt;
use uvtypes::{ReadError, Reader};

const PAGE: usize = 0x1000;
/// Bits of the secret control flags that the firmware knows.
const KNOWN_SECRET: u64 = SCF_CCK_EXTENSION_SECRET | SCF_CCK_UPDATE;

/// Why the firmware refuses an image: what it did, return code and return reason code.
///
/// The codes are those that the loaders of images explain. Where public sources name none (a header whose tag does not
/// fit, and blocks that no firmware gets to see), the rrc is 0 and the simulator's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// 0: the loader fails before it asks; 2: set header; 3: unpack; 4: verify.
    pub command: u16,
    /// Return code.
    pub rc: u16,
    /// Return reason code.
    pub rrc: u16,
    /// In words.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, rc, rrc, reason } = self;
        write!(f, "{reason} (command {command}, rc {rc:#06x}, rrc {rrc:#06x})")
    }
}

impl std::error::Error for Refused {}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        refused(0, 0, 0, error.to_string())
    }
}

impl From<ErrorStack> for Refused {
    fn from(error: ErrorStack) -> Self {
        refused(0, 0, 0, error.to_string())
    }
}

fn refused(command: u16, rc: u16, rrc: u16, reason: impl Into<String>) -> Refused {
    Refused { command, rc, rrc, reason: reason.into() }
}

/// An image that starts.
#[derive(Clone)]
pub struct Unpacked {
    /// The SE header as it stands in the image.
    pub header: Vec<u8>,
    /// Address and plain pages of each component.
    pub components: Vec<(u64, Vec<u8>)>,
    /// What was in the header.
    pub secrets: HeaderSecrets,
    /// Plaintext control flags.
    pub plaintext_control_flags: u64,
}

impl Unpacked {
    /// What stage3b, at the address of the PSW, does: gives kernel, ramdisk and command line as its arguments name them.
    /// The arguments are the 64 bytes that end with the PSW of the kernel, 0x0000000180000000 and 0x10000.
    ///
    /// # Errors
    /// What stage3b would stop at.
    pub fn started(&self) -> Result<[Vec<u8>; 3], Refused> {
        let stop = |reason: &str| refused(0, 0, 0, reason);
        let address = u64::from_be_bytes(*self.secrets.psw.last_chunk().ok_or_else(|| stop("no PSW"))?);
        let stage3b = self.components.iter().find(|(start, _)| *start == address);
        let (_, stage3b) = stage3b.ok_or_else(|| stop("the PSW of the header leads to no component"))?;
        let end: Vec<u8> = [0x1_8000_0000_u64.to_be_bytes(), 0x10000_u64.to_be_bytes()].concat();
        let end = stage3b.windows(16).rposition(|window| window == end);
        let arguments = end.and_then(|end| stage3b.get(end.checked_sub(48)?..end));
        let mut reader = Reader::new(arguments.ok_or_else(|| stop("stage3b has no arguments"))?);
        let mut part = || {
            let (address, size) = (reader.u64("address")?, reader.u64("size")?);
            if (address, size) == (0, 0) {
                return Ok(Vec::new());
            }
            let component = self.components.iter().find(|(start, _)| *start == address);
            let bytes = component.and_then(|(_, bytes)| bytes.get(..usize::try_from(size).ok()?));
            bytes.map(<[u8]>::to_vec).ok_or_else(|| stop("an argument of stage3b leads to no component"))
        };
        let [kernel, command_line, ramdisk] = [part()?, part()?, part()?];
        Ok([kernel, ramdisk, command_line])
    }
}

/// Starts `image` on the machine with `host_key`, as far as the firmware goes.
///
/// # Errors
/// [`Refused`], as the firmware or the loader before it would.
pub fn unpack(image: &[u8], host_key: &HostKey) -> Result<Unpacked, Refused> {
    let (header, components) = loader(image)?;
    let flags = set_header(header)?;
    let secrets = open(header, host_key)?;
    let components = decrypt(image, header, &components, &secrets, flags)?;
    Ok(Unpacked { header: header.to_vec(), components, secrets, plaintext_control_flags: flags })
}

/// (prefix, address, length) of a component.
type Component = (u64, u64, u64);

/// What stage3a hands over: finds header and IPIB by its arguments, as the metadata names them.
fn loader(image: &[u8]) -> Result<(&[u8], Vec<Component>), Refused> {
    let stop = |reason: &str| refused(0, 0, 0, reason);
    let mut psw = Reader::new(image);
    if psw.u64("short PSW")? != 0x0008_0001_8001_1000 {
        return Err(stop("the machine does not start: no short PSW"));
    }
    let mut metadata = Reader::new(image.get(0xc000..).ok_or_else(|| stop("the image ends before its metadata"))?);
    if metadata.array("magic")? != *b"SeImgLnx" {
        return Err(stop("no metadata"));
    }
    let (header, version, ipib) = (metadata.u64("header")?, metadata.u32("version")?, metadata.u64("IPIB")?);
    if version != 1 {
        return Err(stop("metadata of another version"));
    }
    let at = |address: u64| usize::try_from(address).ok().and_then(|at| image.get(at..));
    // stage3a knows nothing of the metadata: its own arguments count from where they stand.
    let says = |place: usize| {
        let base = place as u64;
        // Nearly all places fail at the first word.
        if image.get(place..place + 8)? != header.wrapping_sub(base).to_be_bytes() {
            return None;
        }
        let mut words = Reader::new(image.get(place + 8..)?);
        let [size, other] = [words.u64("").ok()?, words.u64("").ok()?];
        (base.wrapping_add(other) == ipib).then_some(size)
    };
    let end = usize::try_from(header).unwrap_or(usize::MAX).min(image.len()).max(0x10000);
    let size =
        (0x10000..end).find_map(says).ok_or_else(|| stop("stage3a has no arguments for this header and IPIB"))?;
    let block = at(ipib).ok_or_else(|| stop("the IPIB lies behind the end"))?;
    let mut reader = Reader::new(block);
    let total = reader.u32("size of the IPIB")?;
    let [flags, zero, other_zero, version] = reader.array("flags and version")?;
    let length = reader.u32("size of the block")?;
    let [kind, ..] = reader.array::<4>("type")?;
    let reserved = reader.bytes(95, "reserved")?;
    let block_version = reader.u8("version")?;
    let last_reserved = reader.bytes(4, "reserved")?;
    let count = reader.u32("number of components")?;
    let sound = [flags, zero, other_zero] == [0; 3]
        && (version, kind, block_version) == (1, 5, 1)
        && u64::from(total) == u64::from(length) + 8
        && u64::from(length) == 128 + 24 * u64::from(count)
        && total as usize == block.len()
        && reserved
            .iter()
            .chain(last_reserved)
            .chain(block.get(0xd..0x10).into_iter().flatten())
            .all(|byte| *byte == 0);
    if !sound {
        return Err(stop("DIAGNOSE 0x308 subcode 8 refuses the IPIB"));
    }
    // The loader writes both again; what the file says should be the same.
    let [named, named_size] = [reader.u64("header")?, reader.u64("size of the header")?];
    if (named, named_size) != (header, size) {
        return Err(stop("the IPIB names another header than the loader"));
    }
    let mut components = Vec::new();
    for _ in 0..count {
        components.push((reader.u64("prefix")?, reader.u64("address")?, reader.u64("length")?));
    }
    let header = at(header).and_then(|header| header.get(..usize::try_from(size).ok()?));
    Ok((header.ok_or_else(|| stop("the header lies behind the end"))?, components))
}

/// SET SEC PARMS as far as it can be judged without a key. Gives the flags.
fn set_header(header: &[u8]) -> Result<u64, Refused> {
    let mut reader = Reader::new(header);
    if reader.array("magic")? != *b"IBMSecEx" {
        return Err(refused(2, 0x010a, 0, "no SE header"));
    }
    if reader.u32("version")? != 0x100 {
        return Err(refused(2, 0x0104, 1, "the version of the header is not known"));
    }
    if reader.u32("size")? as usize != header.len() {
        return Err(refused(2, 0x010a, 0x31, "the header has another size than it says"));
    }
    reader.bytes(16, "IV and reserved")?;
    let (slots, encrypted) = (reader.u64("slots")?, reader.u64("size of the encrypted part")?);
    if slots == 0 {
        return Err(refused(2, 0x010a, 0x40, "the header has no key slot"));
    }
    let size = slots.checked_mul(80).and_then(|slots| slots.checked_add(0x1a0 + 128 + 16));
    if encrypted != 128 || size != Some(header.len() as u64) {
        return Err(refused(2, 0x010a, 0x39, "the encrypted part has another size than it says"));
    }
    reader.u64("pages")?;
    let flags = reader.u64("plaintext control flags")?;
    if flags & !PCF_KNOWN != 0 {
        return Err(refused(2, 0x0106, 0x30, "a plaintext control flag is not known"));
    }
    image::public_key(&reader.array("customer key")?)
        .map_err(|_| refused(2, 0x0108, 0x0b, "the customer key is no point of the curve"))?;
    Ok(flags)
}

fn open(header: &[u8], host_key: &HostKey) -> Result<HeaderSecrets, Refused> {
    let secrets = image::open_header(header, host_key.private_key()).map_err(|error| match error {
        OpenError::NoSlot => refused(2, 0x0108, 5, "no key slot is for this machine"),
        other => refused(2, 0x0108, 0, other.to_string()),
    })?;
    if secrets.secret_control_flags & !KNOWN_SECRET != 0 {
        return Err(refused(2, 0x0109, 0, "a secret control flag is not known"));
    }
    Ok(secrets)
}

/// UNPACK of each page, then VERIFY.
fn decrypt(
    image: &[u8],
    header: &[u8],
    components: &[Component],
    secrets: &HeaderSecrets,
    flags: u64,
) -> Result<Vec<(u64, Vec<u8>)>, Refused> {
    let [mut pages, mut addresses, mut tweaks] = [Sha512::new(), Sha512::new(), Sha512::new()];
    let (mut count, mut plain) = (0_u64, Vec::new());
    for (prefix, address, length) in components {
        let place = usize::try_from(*address).ok().zip(usize::try_from(*length).ok());
        let stored = place.and_then(|(start, length)| image.get(start..start.checked_add(length)?));
        let Some(stored) = stored.filter(|stored| address % PAGE as u64 == 0 && stored.len() % PAGE == 0) else {
            return Err(refused(3, 0x0102, 0x1a, format!("there are no whole pages at {address:#x}")));
        };
        let mut content = Vec::with_capacity(stored.len());
        for (page, number) in stored.chunks(PAGE).zip(0_u64..) {
            let offset = number * PAGE as u64;
            let tweak: Vec<u8> = [prefix.to_be_bytes(), offset.to_be_bytes()].concat();
            pages.update(page);
            addresses.update(&address.wrapping_add(offset).to_be_bytes());
            tweaks.update(&tweak);
            count += 1;
            if flags & PCF_NOT_ENCRYPTED != 0 {
                content.extend(page);
                continue;
            }
            let mut crypter = Crypter::new(Cipher::aes_256_xts(), Mode::Decrypt, &secrets.image_key, Some(&tweak))?;
            let mut output = [0; PAGE + 16];
            let size = crypter.update(page, &mut output)?;
            content.extend(output.get(..size).unwrap_or_default());
        }
        plain.push((*address, content));
    }
    let mut reader = Reader::new(header);
    reader.bytes(0x30, "all before the number of pages")?;
    let expected = reader.u64("number of pages")?;
    if count != expected {
        return Err(refused(4, 0x0102, 0x1d, format!("{count} pages; the header says {expected}")));
    }
    reader.bytes(0xe0 - 0x38, "all before the digests")?;
    let digests: [[u8; 64]; 3] = [reader.array("PLD")?, reader.array("ALD")?, reader.array("TLD")?];
    let rows = [
        (addresses.finish(), digests[1], 0x1a, "the list of addresses is another"),
        (pages.finish(), digests[0], 0x1b, "the list of pages is another"),
        (tweaks.finish(), digests[2], 0x1c, "the list of tweaks is another"),
    ];
    for (found, expected, rrc, reason) in rows {
        if found != expected {
            return Err(refused(4, 0x0102, rrc, reason));
        }
    }
    Ok(plain)
}
