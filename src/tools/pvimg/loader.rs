//! Which boot loader goes into an image.

use crate::shared::input;
use anyhow::Context;
use seimage::Loader;
use std::path::Path;

/// Our own, or that in `folder`: `stage3a.bin` and `stage3b_reloc.bin` as s390-tools installs them, or `stage3b.bin`.
pub(super) fn load(folder: Option<&Path>) -> anyhow::Result<Loader> {
    let Some(folder) = folder else { return Ok(Loader::own()) };
    let read = |name: &str| -> anyhow::Result<Vec<u8>> {
        Ok(input::read(&folder.join(name), Loader::MAX_STAGE, "boot loader")?.to_vec())
    };
    let stage3b = ["stage3b_reloc.bin", "stage3b.bin"].into_iter().find(|name| folder.join(name).exists());
    let (stage3a, stage3b) = (read("stage3a.bin")?, read(stage3b.unwrap_or("stage3b_reloc.bin"))?);
    Loader::new(stage3a, stage3b).with_context(|| format!("Cannot use the boot loader in '{}'", folder.display()))
}
