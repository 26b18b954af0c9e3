//! Kernel, ramdisk and command line: opened and checked before anything is written.

use crate::shared::input;
use crate::shared::system::System;
use anyhow::{Context, anyhow, bail};
use seimage::{Component, DROPPED, KERNEL_HEAD, KernelFacts, Kind, check_kernel};
use std::fs::{File, Metadata};
use std::io::{Cursor, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// No kernel takes a longer command line.
const MAX_COMMAND_LINE: usize = 1 << 20;

/// A component that is a file.
pub(super) struct Part {
    /// Read already, to be looked at.
    head: Zeroizing<Vec<u8>>,
    rest: File,
    /// Of a regular file.
    pub(super) size: Option<u64>,
    /// When it was read once to be hashed.
    pub(super) digest: Option<[u8; 64]>,
}

/// What goes into an image.
pub(super) struct Parts {
    pub(super) kernel: Part,
    pub(super) ramdisk: Option<Part>,
    pub(super) command_line: Option<Zeroizing<Vec<u8>>>,
}

impl Part {
    fn open(path: &Path, kind: Kind, head: usize) -> anyhow::Result<Self> {
        let mut rest = input::open(path, &kind.to_string())?;
        let metadata = rest.metadata()?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(head));
        let read = (&mut rest).take(head as u64).read_to_end(&mut bytes);
        read.with_context(|| input::cannot_read(path, &kind.to_string()))?;
        Ok(Self { head: bytes, rest, size: metadata.is_file().then_some(metadata.len()), digest: None })
    }

    /// Everything once, for hashing; it can be read again then.
    pub(super) fn rewound(
        &mut self,
        read: impl FnOnce(&mut dyn Read) -> anyhow::Result<[u8; 64]>,
    ) -> anyhow::Result<()> {
        use std::io::{Seek, SeekFrom};
        let digest = read(&mut Cursor::new(&self.head[..]).chain(&mut self.rest))?;
        self.rest.seek(SeekFrom::Start(self.head.len() as u64))?;
        self.digest = Some(digest);
        Ok(())
    }

    pub(super) fn component(self) -> Component<'static> {
        let component = Component::new(HeadThenRest { head: self.head, at: 0, rest: self.rest });
        Component { size: self.size, digest: self.digest, ..component }
    }
}

/// The head is kept in a place that is wiped.
struct HeadThenRest {
    head: Zeroizing<Vec<u8>>,
    at: usize,
    rest: File,
}

impl Read for HeadThenRest {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut head = self.head.get(self.at..).unwrap_or_default();
        if head.is_empty() {
            return self.rest.read(buffer);
        }
        let count = head.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

impl Parts {
    /// Opens all. What the loader or the kernel would refuse is an error, or with `!check` a warning.
    pub(super) fn open(
        kernel: &Path,
        ramdisk: Option<&Path>,
        parmfile: Option<&Path>,
        check: bool,
        system: &mut System,
    ) -> anyhow::Result<Self> {
        let part = Part::open(kernel, Kind::Kernel, KERNEL_HEAD)?;
        let refuse = |error: seimage::Error, system: &mut System| {
            if check {
                return Err(anyhow!(error).context(format!("Cannot use '{}' as kernel", kernel.display())));
            }
            system.warn(&format!("WARNING: {error}"));
            Ok(())
        };
        match check_kernel(&part.head) {
            Ok(_) => {}
            Err(error) => refuse(error, system)?,
        }
        let ramdisk = ramdisk.map(|path| Part::open(path, Kind::Ramdisk, 0)).transpose()?;
        let command_line = parmfile.map(|path| read_command_line(path, system)).transpose()?;
        if let Some(line) = &command_line {
            let size = line.len() as u64 + u64::from(!line.ends_with(&[0]));
            // Without a whole kernel there is no limit to compare with.
            let limit = KernelFacts::of(&part.head).check_command_line(size);
            if let Err(error) =
                limit.or_else(|error| if part.head.len() as u64 > DROPPED { Err(error) } else { Ok(()) })
            {
                refuse(error, system)?;
            }
        }
        Ok(Self { kernel: part, ramdisk, command_line })
    }

    /// Bytes of all components that are known.
    pub(super) fn size(&self) -> Option<u64> {
        let ramdisk = self.ramdisk.as_ref().map_or(Some(0), |part| part.size);
        let command_line = self.command_line.as_ref().map_or(0, |line| line.len() as u64);
        Some(self.kernel.size?.saturating_add(ramdisk?).saturating_add(command_line))
    }
}

fn read_command_line(path: &Path, system: &mut System) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // Files of /proc say that they have no bytes.
    let size = path.metadata().ok().filter(Metadata::is_file).map(|metadata| metadata.len()).filter(|size| *size > 0);
    let line = input::read(path, MAX_COMMAND_LINE, "parameter file")?;
    if let Some(expected) = size.filter(|size| *size != line.len() as u64) {
        let found = line.len();
        bail!("'{}' changed while it was read: expected {expected} bytes, found {found}", path.display());
    }
    if line.ends_with(b"\n") {
        system.warn(&format!("The line break at the end of '{}' becomes a part of the command line.", path.display()));
    }
    Ok(line)
}
