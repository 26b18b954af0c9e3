//! `pvimg info --components`: what is in an image.

use super::info::Format;
use super::open;
use crate::shared::error::Failure;
use crate::shared::system::System;
use anyhow::Context;
use openssl::sha::Sha256;
use sehdr::pcf;
use seimage::{Contents, Extent, Image, IpibComponent, Kind, contents, decrypt_header, extract, kernel_version};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;
use uvtypes::SecretBox;
use zeroize::Zeroizing;

/// The version is looked for in so many bytes of a kernel.
const KERNEL_START: u64 = 2 << 20;
/// A longer command line is not shown.
const MAX_COMMAND_LINE: u64 = 64 << 10;

/// A component as it is stored, and as it is.
struct Row {
    component: IpibComponent,
    stored: [u8; 32],
    plain: Option<Plain>,
}

struct Plain {
    extent: Extent,
    digest: [u8; 32],
    /// Version of the kernel, or the command line.
    says: Option<String>,
}

pub(super) fn run(
    path: &Path,
    header_key: Option<&SecretBox<[u8; 32]>>,
    image_key: Option<SecretBox<[u8; 64]>>,
    format: Format,
    system: &mut System,
) -> Result<(), Failure> {
    let (mut file, image) = open::image(path)?;
    let key = key_of(&image, header_key, image_key).with_context(|| format!("Cannot open '{}'", path.display()))?;
    let rows = rows(&image, &mut file, key.as_ref()).with_context(|| format!("Cannot read '{}'", path.display()))?;
    let text = match format {
        Format::Text { .. } => rows.iter().map(Row::text).collect(),
        Format::Json { pretty } => {
            let rows: Vec<_> = rows.iter().map(Row::json).collect();
            Format::json(pretty, json!({ "kind": "se_components", "components": rows }), system)?
        }
    };
    system.print(&text)
}

/// The key of the pages: given, out of the header, or none that is needed.
pub(super) fn key_of(
    image: &Image,
    header_key: Option<&SecretBox<[u8; 32]>>,
    image_key: Option<SecretBox<[u8; 64]>>,
) -> anyhow::Result<Option<SecretBox<[u8; 64]>>> {
    if let Some(key) = header_key {
        return Ok(Some(decrypt_header(image, key)?.image_key));
    }
    let encrypted = image.header.plaintext_control_flags() & pcf::NO_ENCRYPTION.mask() == 0;
    Ok(image_key.or_else(|| (!encrypted).then(SecretBox::zeros)))
}

fn rows(image: &Image, file: &mut File, key: Option<&SecretBox<[u8; 64]>>) -> anyhow::Result<Vec<Row>> {
    let contents = key.map(|key| contents(image, file, key)).transpose()?;
    let mut rows = Vec::new();
    for component in &image.ipib.components {
        let mut hash = Sha256::new();
        file.seek(SeekFrom::Start(component.address))?;
        io::copy(&mut file.take(component.size), &mut Hasher(&mut hash))?;
        let stored = hash.finish();
        let plain = match (key, contents.as_ref().and_then(|contents| named(contents, component))) {
            (Some(key), Some(extent)) => Some(Plain::read(image, file, *extent, key)?),
            _ => None,
        };
        rows.push(Row { component: *component, stored, plain });
    }
    Ok(rows)
}

fn named<'a>(contents: &'a Contents, component: &IpibComponent) -> Option<&'a Extent> {
    contents.extents.iter().find(|extent| extent.component == *component)
}

impl Plain {
    fn read(image: &Image, file: &mut File, extent: Extent, key: &SecretBox<[u8; 64]>) -> anyhow::Result<Self> {
        let mut hash = Sha256::new();
        extract(image, file, &extent, key, &mut Hasher(&mut hash), &mut |_| ())?;
        let limit = match extent.kind {
            Kind::Kernel => KERNEL_START,
            Kind::CommandLine => MAX_COMMAND_LINE,
            Kind::Ramdisk | Kind::Stage3b => 0,
        };
        let start = Extent { size: extent.size.min(limit), ..extent };
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(start.size).unwrap_or_default()));
        extract(image, file, &start, key, &mut *bytes, &mut |_| ())?;
        let says = match extent.kind {
            Kind::Kernel => kernel_version(&mut Cursor::new(&bytes[..])),
            Kind::CommandLine => {
                Some(uvtypes::text::shown(String::from_utf8_lossy(&bytes).trim_end_matches('\0')).to_string())
            }
            Kind::Ramdisk | Kind::Stage3b => None,
        };
        Ok(Self { extent, digest: hash.finish(), says })
    }
}

impl Row {
    fn text(&self) -> String {
        let IpibComponent { address, size, prefix } = self.component;
        let name = self.plain.as_ref().map_or_else(|| "component".to_owned(), |plain| plain.extent.kind.to_string());
        let mut text = format!("{name} at {address:#x}: {size} bytes on pages, tweak prefix {prefix:#018x}\n");
        text += &format!("  SHA-256 as stored: {}\n", hex::encode(self.stored));
        if let Some(Plain { extent, digest, says }) = &self.plain {
            text += &format!("  plain: {} bytes, SHA-256 {}\n", extent.size, hex::encode(digest));
            if let Some(says) = says {
                text += &format!("  {}: {says}\n", if extent.kind == Kind::Kernel { "version" } else { "text" });
            }
        }
        text
    }

    fn json(&self) -> Value {
        let IpibComponent { address, size, prefix } = self.component;
        let mut row = json!({
            "address": address,
            "size": size,
            "tweak_prefix_hex": format!("{prefix:016x}"),
            "stored_sha256_hex": hex::encode(self.stored),
        });
        if let (Some(Plain { extent, digest, says }), Some(row)) = (&self.plain, row.as_object_mut()) {
            let mut plain =
                json!({ "what": extent.kind.to_string(), "size": extent.size, "sha256_hex": hex::encode(digest) });
            if let (Some(says), Some(plain)) = (says, plain.as_object_mut()) {
                let name = if extent.kind == Kind::Kernel { "version" } else { "text" };
                plain.insert(name.to_owned(), json!(says));
            }
            row.insert("plain".to_owned(), plain);
        }
        row
    }
}

struct Hasher<'a>(&'a mut Sha256);

impl Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
