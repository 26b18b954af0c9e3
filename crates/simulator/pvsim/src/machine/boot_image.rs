//! Images for the machine's host key: made by the product's builder, in the role of the image's owner.

use crate::image::{PCF_DUMP_ALLOWED, SCF_CCK_EXTENSION_SECRET, SCF_CCK_UPDATE};
use crate::platform::Settings;
use crate::{Error, HostKey};
use hostkey::HostKeyDocument;
use openssl::rand::rand_bytes;
use openssl::x509::X509;
use seimage::{Component, Created, ImageKeys, Loader, Recipe, check_kernel};
use std::io::{Cursor, Seek, Write};
use zeroize::Zeroizing;

/// The smallest kernel that a loader takes, with its entry and the limit of its command line.
const KERNEL: usize = 0x10440;
const ENTRY: usize = 0x10008;
const COMMAND_LINE_LIMIT: usize = 0x10430;

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The kernel's raw image.
    pub kernel: &'a [u8],
    /// The ramdisk.
    pub ramdisk: Option<&'a [u8]>,
    /// The command line, without NUL.
    pub command_line: &'a [u8],
}

/// The flags of a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub(super) plaintext: u64,
    pub(super) secret: u64,
}

impl Flags {
    /// Those that an inventory asks for.
    pub(super) fn of(settings: &Settings) -> Self {
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        Self {
            plaintext: flag(settings.dump_allowed, PCF_DUMP_ALLOWED),
            secret: flag(settings.cck_extension_secret, SCF_CCK_EXTENSION_SECRET)
                | flag(settings.cck_update, SCF_CCK_UPDATE),
        }
    }
}

/// Writes an image that the machine with this host-key document boots.
pub(super) fn create(
    parts: Parts<'_>,
    document: X509,
    keys: ImageKeys,
    flags: Flags,
    out: &mut (impl Write + Seek),
) -> Result<Created, Error> {
    let failed = |error: seimage::Error| Error::Image(error.to_string());
    let facts = check_kernel(parts.kernel).map_err(|error| Error::Image(format!("the kernel {error}")))?;
    facts.check_command_line(parts.command_line.len() as u64 + 1).map_err(failed)?;
    let document = HostKeyDocument::from_certificate(document).map_err(|error| Error::Image(error.to_string()))?;
    let recipe = Recipe {
        loader: &Loader::own(),
        host_keys: &[document.trust_unverified()],
        keys,
        plaintext_control_flags: sehdr::pcf::DEFAULT | flags.plaintext,
        secret_control_flags: flags.secret,
        psw_address: None,
        kernel: Component::new(parts.kernel),
        ramdisk: parts.ramdisk.map(Component::new),
        command_line: Some(Zeroizing::new(parts.command_line.to_vec())),
    };
    seimage::create(recipe, out, &mut |_| ()).map_err(failed)
}

/// The image that a new machine starts, and the header in it.
pub(super) fn make(document: &X509, settings: &Settings, host_key: &HostKey) -> Result<(Vec<u8>, Vec<u8>), Error> {
    debug_assert_eq!(crate::image::host_key_hash(&document.public_key()?).ok(), Some(host_key.hash()));
    let mut kernel = vec![0; KERNEL];
    rand_bytes(&mut kernel)?;
    // No code: it boots nothing, and says so to whoever looks.
    for (at, part) in [(ENTRY, &b"S390EP"[..]), (COMMAND_LINE_LIMIT, &4096_u64.to_be_bytes())] {
        if let Some(place) = kernel.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    }
    let parts = Parts { kernel: &kernel, ramdisk: None, command_line: b"simulated" };
    let keys = ImageKeys::random().map_err(|error| Error::Image(error.to_string()))?;
    let mut out = Cursor::new(Vec::new());
    let created = create(parts, document.clone(), keys, Flags::of(settings), &mut out)?;
    let image = out.into_inner();
    let start = usize::try_from(created.header).unwrap_or_default();
    let size = usize::try_from(created.header_size).unwrap_or_default();
    let header = image.get(start..start + size).unwrap_or_default().to_vec();
    Ok((image, header))
}
