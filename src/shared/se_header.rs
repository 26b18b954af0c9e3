//! SE headers that commands are given, on their own or in a boot image.

use crate::shared::input;
use crate::shared::system::System;
use anyhow::Context;
use sehdr::{BootTags, SeHeader, Search};
use std::path::Path;

/// The boot tags in an SE header or boot image.
pub(crate) fn load_boot_tags(path: &Path, system: &mut System) -> anyhow::Result<BootTags> {
    let mut file = input::open_seekable(path, "SE header", system)?;
    let cannot = || format!("Cannot use '{}' as SE header or image", path.display());
    let found = sehdr::locate(&mut file, Search::Everywhere).with_context(cannot)?;
    system.debug(&format!("SE header found at offset {:#x}", found.offset));
    Ok(SeHeader::parse(&found.bytes).with_context(cannot)?.boot_tags().clone())
}
