//! Components out of an image.

use crate::image::read_at;
use crate::loader::{Span, Stage3bArguments};
use crate::page::{PAGE_SIZE, PageCipher};
use crate::pipeline::Chunk;
use crate::{Error, Image, IpibComponent, Kind, Loader};
use sehdr::{HeaderSecrets, pcf};
use std::io::{Read, Seek, SeekFrom, Write};
use uvrequest::aead::{self, Key};
use uvtypes::SecretBox;
use zeroize::Zeroizing;

/// A component: what it is, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Kind of the component.
    pub kind: Kind,
    /// Pages of the component.
    pub component: IpibComponent,
    /// Size of the component in bytes, without padding.
    pub size: u64,
}

/// The components of an image, as its decrypted stage3b names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// In the order of their addresses.
    pub extents: Vec<Extent>,
}

impl Contents {
    /// The component of a kind.
    ///
    /// # Errors
    /// [`Error::NoComponent`].
    pub fn find(&self, kind: Kind) -> Result<&Extent, Error> {
        self.extents.iter().find(|extent| extent.kind == kind).ok_or(Error::NoComponent(kind))
    }
}

/// Opens the header of an image.
///
/// # Errors
/// [`Error::HeaderKey`].
pub fn decrypt_header(image: &Image, key: &Key) -> Result<HeaderSecrets, Error> {
    let sealed = image.header.sealed(&image.header_bytes)?;
    let plain = aead::open(key, &image.header.iv(), sealed.authenticated, sealed.encrypted, &sealed.tag);
    Ok(HeaderSecrets::parse(plain.map_err(|_| Error::HeaderKey)?.expose())?)
}

/// Finds out what the components are. The key is not used when the image is not encrypted.
///
/// # Errors
/// [`Error::NoArguments`] with a wrong key.
pub fn contents(image: &Image, file: &mut (impl Read + Seek), key: &SecretBox<[u8; 64]>) -> Result<Contents, Error> {
    let components = &image.ipib.components;
    let (Some(first), Some(last)) = (components.first(), components.last()) else { return Err(Error::NoArguments) };
    let mut stage3b = Zeroizing::new(Vec::with_capacity(Loader::MAX_STAGE));
    if last.size > stage3b.capacity() as u64 {
        return Err(Error::NoArguments);
    }
    let whole = Extent { kind: Kind::Stage3b, component: *last, size: last.size };
    extract(image, file, &whole, key, &mut *stage3b, &mut |_| ())?;
    let (arguments, size) = Stage3bArguments::find(&stage3b, first.address).ok_or(Error::NoArguments)?;
    let Stage3bArguments { kernel, ramdisk, command_line } = arguments;
    let named = |kind, span: Span| {
        let component =
            components.iter().find(|component| component.address == span.address && span.size <= component.size);
        component.map(|component| Extent { kind, component: *component, size: span.size })
    };
    let mut extents: Vec<_> = [(Kind::Kernel, kernel), (Kind::Ramdisk, ramdisk), (Kind::CommandLine, command_line)]
        .into_iter()
        .filter(|(_, span)| *span != Span::default())
        .map(|(kind, span)| named(kind, span).ok_or(Error::NoArguments))
        .collect::<Result<_, _>>()?;
    extents.push(Extent { size, ..whole });
    Ok(Contents { extents })
}

/// Writes the plain bytes of a component. `progress` gets bytes.
///
/// # Errors
/// Those of reading and writing.
pub fn extract(
    image: &Image,
    file: &mut (impl Read + Seek),
    extent: &Extent,
    key: &SecretBox<[u8; 64]>,
    out: &mut (impl Write + ?Sized),
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let encrypted = image.header.plaintext_control_flags() & pcf::NO_ENCRYPTION.mask() == 0;
    let mut cipher = encrypted.then(|| PageCipher::new(key, true)).transpose()?;
    let Extent { component, size, .. } = extent;
    file.seek(SeekFrom::Start(component.address))?;
    let (mut chunk, mut offset) = (Chunk::new(), 0);
    while offset < *size {
        let read = chunk.fill(file, component.size - offset)?;
        if read == 0 || read as u64 % PAGE_SIZE != 0 {
            return Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(cipher) = &mut cipher {
            cipher.run(chunk.bytes_mut(), component.prefix, offset)?;
        }
        let wanted = usize::try_from(size - offset).unwrap_or(read).min(read);
        out.write_all(chunk.bytes().get(..wanted).unwrap_or_default()).map_err(Error::Write)?;
        offset += read as u64;
        progress(wanted as u64);
    }
    Ok(())
}

/// The version that a kernel says it has: a text that the word of 8 bytes at 0x10428 points to.
pub fn kernel_version(kernel: &mut (impl Read + Seek)) -> Option<String> {
    const POINTER: u64 = 0x10428;
    const LONGEST: u64 = 256;
    let mut address = [0; 8];
    read_at(kernel, POINTER, &mut address).ok()?;
    let address = u64::from_be_bytes(address);
    kernel.seek(SeekFrom::Start(address)).ok().filter(|_| address != 0 && i64::try_from(address).is_ok())?;
    let mut text = Vec::new();
    kernel.take(LONGEST).read_to_end(&mut text).ok()?;
    let end = text.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(text.get(..end)?).ok()?;
    let printable = !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ');
    printable.then(|| text.to_owned())
}
