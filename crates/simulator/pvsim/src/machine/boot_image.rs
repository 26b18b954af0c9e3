//! The image that a new machine starts: made by the product's builder, in the role of the image's owner.

use crate::image::{PCF_DUMP_ALLOWED, SCF_CCK_EXTENSION_SECRET, SCF_CCK_UPDATE};
use crate::platform::Settings;
use crate::{Error, HostKey};
use hostkey::HostKeyDocument;
use openssl::rand::rand_bytes;
use openssl::x509::X509;
use seimage::{Component, ImageKeys, Loader, Recipe};
use std::io::Cursor;
use zeroize::Zeroizing;

/// The smallest kernel that a loader takes, with its entry and the limit of its command line.
const KERNEL: usize = 0x10440;
const ENTRY: usize = 0x10008;
const COMMAND_LINE_LIMIT: usize = 0x10430;

/// Image, and the header in it.
pub(super) fn make(document: &X509, settings: &Settings, host_key: &HostKey) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let document =
        HostKeyDocument::from_certificate(document.clone()).map_err(|error| Error::Image(error.to_string()))?;
    debug_assert_eq!(*document.hash().as_bytes(), host_key.hash());
    let mut kernel = vec![0; KERNEL];
    rand_bytes(&mut kernel)?;
    // No code: it boots nothing, and says so to whoever looks.
    for (at, part) in [(ENTRY, &b"S390EP"[..]), (COMMAND_LINE_LIMIT, &4096_u64.to_be_bytes())] {
        if let Some(place) = kernel.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    }
    let plain = if settings.dump_allowed { PCF_DUMP_ALLOWED } else { 0 };
    let mut secret = 0;
    if settings.cck_extension_secret {
        secret |= SCF_CCK_EXTENSION_SECRET;
    }
    if settings.cck_update {
        secret |= SCF_CCK_UPDATE;
    }
    let failed = |error: seimage::Error| Error::Image(error.to_string());
    let recipe = Recipe {
        loader: &Loader::own(),
        host_keys: &[document.trust_unverified()],
        keys: ImageKeys::random().map_err(failed)?,
        plaintext_control_flags: sehdr::pcf::DEFAULT | plain,
        secret_control_flags: secret,
        psw_address: None,
        kernel: Component::new(kernel.as_slice()),
        ramdisk: None,
        command_line: Some(Zeroizing::new(b"simulated".to_vec())),
    };
    let mut out = Cursor::new(Vec::new());
    let created = seimage::create(recipe, &mut out, &mut |_| ()).map_err(failed)?;
    let image = out.into_inner();
    let start = usize::try_from(created.header).unwrap_or_default();
    let size = usize::try_from(created.header_size).unwrap_or_default();
    let header = image.get(start..start + size).unwrap_or_default().to_vec();
    Ok((image, header))
}
