//! Images and headers that commands are given.

use crate::shared::input;
use crate::shared::system::System;
use anyhow::Context;
use sehdr::{SeHeader, Search};
use seimage::Image;
use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

/// A whole image, which must be a file: it is read here and there.
pub(super) fn image(path: &Path) -> anyhow::Result<(File, Image)> {
    let mut file = input::open(path, "image")?;
    let image = Image::open(&mut file).with_context(|| format!("Cannot use '{}' as image", path.display()))?;
    Ok((file, image))
}

/// A header and its bytes, out of an image of any tool, or on its own.
pub(super) fn header(path: &Path, system: &mut System) -> anyhow::Result<(SeHeader, Vec<u8>)> {
    // As in s390-tools, '-' is a file of that name.
    let path = if path == Path::new("-") { Cow::Owned(Path::new(".").join(path)) } else { Cow::Borrowed(path) };
    let mut file = input::open_seekable(&path, "image", system)?;
    let cannot = || format!("Cannot use '{}' as SE header or image", path.display());
    let found = sehdr::locate(&mut file, Search::Everywhere).with_context(cannot)?;
    Ok((SeHeader::parse(&found.bytes).with_context(cannot)?, found.bytes))
}
