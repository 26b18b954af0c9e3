//! `--seed`: the same image from the same inputs.

use super::parts::{Part, Parts};
use anyhow::{Context, bail};
use openssl::sha::{Sha512, sha512};
use seimage::{InputsDigest, Kind};
use std::io::Read;
use zeroize::Zeroizing;

/// Puts the components into `digest`. Each file is read to its end, and once more when the image is written: then it must
/// be the same.
pub(super) fn add_components(parts: &mut Parts, digest: &mut InputsDigest) -> anyhow::Result<()> {
    let files = [(Kind::Kernel, Some(&mut parts.kernel)), (Kind::Ramdisk, parts.ramdisk.as_mut())];
    for (kind, part) in files {
        match part {
            Some(part) => digest.add_component(kind, &read_once(kind, part)?),
            None => digest.add(&format!("no {kind}"), &[]),
        }
    }
    match &parts.command_line {
        Some(line) => digest.add_component(Kind::CommandLine, &sha512(line)),
        None => digest.add(&format!("no {}", Kind::CommandLine), &[]),
    }
    Ok(())
}

fn read_once(kind: Kind, part: &mut Part) -> anyhow::Result<[u8; 64]> {
    if part.size.is_none() {
        bail!("With '--seed', the {kind} must be a regular file, for it is read twice");
    }
    part.rewound(|source| hash(source).with_context(|| format!("Cannot read the {kind}")))?;
    part.digest.with_context(|| format!("Cannot read the {kind}"))
}

fn hash(source: &mut dyn Read) -> anyhow::Result<[u8; 64]> {
    let (mut hash, mut buffer) = (Sha512::new(), Zeroizing::new(vec![0; 1 << 18]));
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}
