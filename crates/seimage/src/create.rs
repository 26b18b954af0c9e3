//! From components to an image.

use crate::component::{Component, Kind};
use crate::layout::{MAX_IMAGE, Places, SHORT_PSW, STAGE3A, header_offset};
use crate::lists::Lists;
use crate::loader::{KERNEL_PSW, Span, Stage3bArguments};
use crate::page::{PAGE_SIZE, PageCipher, pages_of};
use crate::pipeline::{PageList, digest_beside};
use crate::{Error, ImageKeys, Ipib, IpibComponent, Loader, MAX_HOST_KEYS, Metadata};
use hostkey::TrustedHostKey;
use openssl::sha::Sha512;
use sehdr::{BootTags, HeaderDraft, HeaderSecrets, METADATA_OFFSET, pcf};
use std::io::{Seek, SeekFrom, Write};
use uvrequest::{aead, wrap_for_all};
use zeroize::Zeroizing;

/// All that an image is made of.
#[derive(Debug)]
pub struct Recipe<'a> {
    /// Boot loader, which starts the guest.
    pub loader: &'a Loader,
    /// The machines that may run it, 95 at most.
    pub host_keys: &'a [TrustedHostKey],
    /// Keys of the image.
    pub keys: ImageKeys,
    /// PCF, bit 0 being the most significant. With bit 35, the pages are not encrypted.
    pub plaintext_control_flags: u64,
    /// SCF, bit 0 being the most significant.
    pub secret_control_flags: u64,
    /// Address at which the guest starts, if not in stage3b.
    pub psw_address: Option<u64>,
    /// The kernel, which nobody looks into here: see [`crate::check_kernel`].
    pub kernel: Component<'a>,
    /// The initial ramdisk, if the image has one.
    pub ramdisk: Option<Component<'a>>,
    /// The command line; a NUL is put behind it when it has none and is not empty.
    pub command_line: Option<Zeroizing<Vec<u8>>>,
}

/// Place of a component in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Kind of the component.
    pub kind: Kind,
    /// Address of the component, which is its offset in the file.
    pub address: u64,
    /// Size of the component in bytes, without padding.
    pub size: u64,
    /// The first half of its tweaks.
    pub prefix: u64,
}

/// An image that was written.
#[derive(Clone, Debug)]
pub struct Created {
    /// Offset of the SE header, in bytes.
    pub header: u64,
    /// Bytes of the header.
    pub header_size: u64,
    /// In the order of their addresses.
    pub components: Vec<Placed>,
    /// Offset of the IPIB, in bytes.
    pub ipib: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Pages of all components.
    pub pages: u64,
    /// Tags that identify the image.
    pub boot_tags: BootTags,
}

/// The bytes that are stored for a command line.
pub(crate) fn terminated(mut command_line: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if !command_line.is_empty() && !command_line.ends_with(&[0]) {
        // A growing vector would leave a copy behind.
        let mut room = Zeroizing::new(Vec::with_capacity(command_line.len() + 1));
        room.append(&mut command_line);
        room.push(0);
        return room;
    }
    command_line
}

/// Writes an image to `out`, which must be empty. `progress` is called with bytes of components, again and again.
///
/// # Errors
/// [`Error::HostKeyCount`] and [`Error::EqualHalves`] before anything is written; then those of reading and writing,
/// [`Error::TooLarge`], [`Error::Changed`], [`Error::ChangedContent`]. What was written then is of no use.
pub fn create(
    recipe: Recipe<'_>,
    out: &mut (impl Write + Seek),
    progress: &mut dyn FnMut(u64),
) -> Result<Created, Error> {
    let Recipe { loader, host_keys, keys, kernel, ramdisk, command_line, .. } = recipe;
    if host_keys.is_empty() || host_keys.len() > MAX_HOST_KEYS {
        return Err(Error::HostKeyCount(host_keys.len()));
    }
    keys.check()?;
    let (flags, header) = (recipe.plaintext_control_flags, header_offset(loader.stage3a_size()));
    let encrypts = flags & pcf::NO_ENCRYPTION.mask() == 0;
    let command_line = command_line.map(terminated);
    let (written, page_list_digest) = digest_beside(|pages| {
        let places = Places::behind_header(header, host_keys.len());
        seek(out, places.next)?;
        let cipher = encrypts.then(|| PageCipher::new(&keys.image_key, false)).transpose()?;
        let mut writer =
            Writer { out: &mut *out, pages, cipher, places, lists: Lists::new(), keys: &keys, placed: Vec::new() };
        let kernel = writer.component(Kind::Kernel, kernel, progress)?;
        let mut optional = |kind, component: Option<Component<'_>>| match component {
            Some(component) => writer.component(kind, component, progress),
            None => Ok(Span::default()),
        };
        let ramdisk = optional(Kind::Ramdisk, ramdisk)?;
        let command_line = command_line.as_ref().map(|bytes| Component::new(bytes.as_slice()));
        let command_line = optional(Kind::CommandLine, command_line)?;
        let stage3b = Zeroizing::new(loader.stage3b(&Stage3bArguments { kernel, command_line, ramdisk }));
        writer.component(Kind::Stage3b, Component::new(stage3b.as_slice()), progress)?;
        Ok::<_, Error>((writer.placed, writer.places.next, writer.lists.finish()))
    })?;
    let (components, ipib, digests) = written;

    let secrets = HeaderSecrets {
        cck: keys.cck.clone(),
        image_key: keys.image_key.clone(),
        psw_mask: KERNEL_PSW.0,
        psw_address: recipe.psw_address.or(components.last().map(|stage3b| stage3b.address)).unwrap_or_default(),
        secret_control_flags: recipe.secret_control_flags,
    };
    let key_slots = wrap_for_all(&keys.header_key, &keys.customer, host_keys)?;
    let draft = HeaderDraft {
        iv: keys.iv,
        encrypted_pages: digests.pages,
        plaintext_control_flags: flags,
        customer_coordinates: *keys.customer.coordinates(),
        page_list_digest,
        address_list_digest: digests.addresses,
        tweak_list_digest: digests.tweaks,
        key_slots: &key_slots,
    };
    let mut bytes = draft.authenticated()?;
    let (sealed, tag) = aead::seal(&keys.header_key, &keys.iv, &bytes, secrets.to_bytes().expose())?;
    bytes.extend(sealed);
    bytes.extend(tag);

    let header_size = bytes.len() as u64;
    let listed = components.iter().map(|placed| IpibComponent {
        prefix: placed.prefix,
        address: placed.address,
        size: pages_of(placed.size) * PAGE_SIZE,
    });
    let block = Ipib { header, header_size, components: listed.collect() }.to_bytes();
    let size = ipib + block.len() as u64;
    if size > MAX_IMAGE {
        return Err(Error::TooLarge(Kind::Stage3b));
    }
    let parts: [(u64, &[u8]); 5] = [
        (ipib, &block),
        (0, &SHORT_PSW.to_be_bytes()),
        (METADATA_OFFSET, &Metadata { header, ipib }.to_bytes()),
        (STAGE3A, &loader.stage3a(header, header_size, ipib)),
        (header, &bytes),
    ];
    for (offset, part) in parts {
        seek(out, offset)?;
        out.write_all(part).map_err(Error::Write)?;
    }
    out.flush().map_err(Error::Write)?;
    let boot_tags =
        BootTags { page_list_digest, address_list_digest: digests.addresses, tweak_list_digest: digests.tweaks, tag };
    Ok(Created { header, header_size, components, ipib, size, pages: digests.pages, boot_tags })
}

fn seek(out: &mut impl Seek, offset: u64) -> Result<(), Error> {
    out.seek(SeekFrom::Start(offset)).map(drop).map_err(Error::Write)
}

/// Writes components one behind the other.
struct Writer<'a, W> {
    out: &'a mut W,
    pages: &'a PageList,
    cipher: Option<PageCipher>,
    places: Places,
    lists: Lists,
    keys: &'a ImageKeys,
    placed: Vec<Placed>,
}

impl<W: Write> Writer<'_, W> {
    fn component(
        &mut self,
        kind: Kind,
        component: Component<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Span, Error> {
        let Component { mut source, size: expected, digest } = component;
        let (address, prefix) = (self.places.next, self.keys.prefix(kind));
        let mut hash = digest.map(|_| Sha512::new());
        let mut size = 0;
        loop {
            let mut chunk = self.pages.chunk();
            let read = chunk.fill(&mut *source, u64::MAX).map_err(|error| Error::Read(kind, error))?;
            if read == 0 && size > 0 {
                break;
            }
            if let Some(hash) = &mut hash {
                hash.update(chunk.bytes());
            }
            let last = !chunk.is_full();
            chunk.pad();
            let pages = chunk.bytes().len() as u64 / PAGE_SIZE;
            self.places.take(kind, pages)?;
            if let Some(cipher) = &mut self.cipher {
                cipher.run(chunk.bytes_mut(), prefix, size)?;
            }
            self.out.write_all(chunk.bytes()).map_err(Error::Write)?;
            self.lists.push(address, prefix, size, pages);
            self.pages.push(chunk);
            size += read as u64;
            progress(read as u64);
            // More than there should be is not read to its end.
            if last || expected.is_some_and(|expected| size > expected) {
                break;
            }
        }
        if let Some(expected) = expected.filter(|expected| *expected != size) {
            return Err(Error::Changed { kind, expected, found: size });
        }
        if hash.map(Sha512::finish) != digest {
            return Err(Error::ChangedContent(kind));
        }
        self.placed.push(Placed { kind, address, size, prefix });
        Ok(Span { address, size })
    }
}
