//! The boot loader's two stages, and the arguments in them.

use crate::Error;
use crate::layout::STAGE3A;
use uvtypes::layout::{self, Field, FieldKind};

/// Bytes at the end of stage3a for its arguments.
const STAGE3A_ARGUMENTS: usize = layout::end(Loader::STAGE3A_ARGUMENTS);
/// Bytes at the end of stage3b for its arguments.
pub(crate) const STAGE3B_ARGUMENTS: usize = 64;
/// What the kernel starts with.
pub(crate) const KERNEL_PSW: (u64, u64) = (0x0000_0001_8000_0000, 0x10000);

/// A loader: stage3a asks for secure mode, stage3b runs in it and starts the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    stage3a: Vec<u8>,
    stage3b: Vec<u8>,
}

/// Where something is in the guest's memory, and its bytes without padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) address: u64,
    pub(crate) size: u64,
}

/// What stage3b is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stage3bArguments {
    pub(crate) kernel: Span,
    pub(crate) command_line: Span,
    pub(crate) ramdisk: Span,
}

impl Loader {
    /// A loader from its two binaries.
    ///
    /// # Errors
    /// [`Error::Loader`] for sizes that cannot be.
    pub fn new(stage3a: Vec<u8>, stage3b: Vec<u8>) -> Result<Self, Error> {
        // The entry of the short PSW is one page behind the start.
        let rows = [
            ("stage3a", stage3a.len(), 0x1000 + STAGE3A_ARGUMENTS, "expected more than 4 KiB"),
            ("stage3b", stage3b.len(), STAGE3B_ARGUMENTS, "expected its 64 bytes of arguments at least"),
        ];
        for (what, size, least, limit) in rows {
            if size < least {
                return Err(Error::Loader { what, size, limit });
            }
            if size > Self::MAX_STAGE {
                return Err(Error::Loader { what, size, limit: "expected 64 KiB at most" });
            }
        }
        Ok(Self { stage3a, stage3b })
    }

    /// Our own, which comes with the program. The README of the loader's folder says how its binaries are made.
    pub fn own() -> Self {
        Self { stage3a: seloader::STAGE3A.to_vec(), stage3b: seloader::STAGE3B.to_vec() }
    }

    /// The arguments of stage3a, its last bytes. Both places count from the first of them.
    pub const STAGE3A_ARGUMENTS: &'static [Field] = &[
        Field::new(0, 8, "from here to the SE header", FieldKind::Address),
        Field::new(8, 8, "bytes of the SE header", FieldKind::Number),
        Field::new(16, 8, "from here to the IPIB", FieldKind::Address),
    ];

    /// Largest size of a stage, in bytes.
    pub const MAX_STAGE: usize = 64 << 10;

    /// The stages as they were given.
    pub fn stages(&self) -> [&[u8]; 2] {
        [&self.stage3a, &self.stage3b]
    }

    /// Bytes of stage3a.
    pub fn stage3a_size(&self) -> usize {
        self.stage3a.len()
    }

    /// stage3a with its arguments: offset and size of the header, offset of the IPIB, 8 bytes each, big-endian. Both offsets
    /// count from the address of the arguments.
    pub(crate) fn stage3a(&self, header: u64, header_size: u64, ipib: u64) -> Vec<u8> {
        let arguments = STAGE3A + (self.stage3a.len() - STAGE3A_ARGUMENTS) as u64;
        let words = [header.wrapping_sub(arguments), header_size, ipib.wrapping_sub(arguments)];
        with_arguments(&self.stage3a, &words)
    }

    /// stage3b with its arguments, 8 words of 8 bytes, big-endian.
    pub(crate) fn stage3b(&self, arguments: &Stage3bArguments) -> Vec<u8> {
        let Stage3bArguments { kernel, command_line, ramdisk } = arguments;
        let words =
            [kernel.address, kernel.size, command_line.address, command_line.size, ramdisk.address, ramdisk.size];
        with_arguments(&self.stage3b, &[&words[..], &[KERNEL_PSW.0, KERNEL_PSW.1]].concat())
    }

    /// The stage3a that `area`, the file from 0x10000 to the header, holds: how many bytes it has, found by its
    /// arguments. They need not be aligned, so every place is tried.
    pub(crate) fn find_stage3a(area: &[u8], header: u64, header_size: u64, ipib: u64) -> Option<usize> {
        area.windows(STAGE3A_ARGUMENTS).enumerate().find_map(|(at, window)| {
            let arguments = STAGE3A + at as u64;
            let words = [header.wrapping_sub(arguments), header_size, ipib.wrapping_sub(arguments)];
            let fits = window.chunks_exact(8).zip(words).all(|(bytes, word)| bytes == word.to_be_bytes());
            fits.then_some(at + STAGE3A_ARGUMENTS)
        })
    }

    /// Whether `stage3a`, arguments at its end, is this loader's.
    pub fn has_stage3a(&self, stage3a: &[u8]) -> bool {
        let code = self.stage3a.len() - STAGE3A_ARGUMENTS;
        stage3a.len() == self.stage3a.len() && stage3a.get(..code) == self.stage3a.get(..code)
    }
}

fn with_arguments(stage: &[u8], words: &[u64]) -> Vec<u8> {
    let mut bytes = stage.to_vec();
    bytes.truncate(stage.len().saturating_sub(8 * words.len()));
    words.iter().for_each(|word| bytes.extend(word.to_be_bytes()));
    bytes
}

impl Stage3bArguments {
    /// Finds the arguments in the decrypted pages of stage3b, whose unpadded size nobody tells: they end with the PSW of
    /// the kernel, and the kernel's address must be `kernel`. Gives the unpadded size, too.
    pub(crate) fn find(stage3b: &[u8], kernel: u64) -> Option<(Self, u64)> {
        stage3b.windows(STAGE3B_ARGUMENTS).enumerate().rev().find_map(|(at, window)| {
            let mut words =
                window.chunks_exact(8).filter_map(|word| word.first_chunk()).map(|word| u64::from_be_bytes(*word));
            let mut span = || Some(Span { address: words.next()?, size: words.next()? });
            let [first, command_line, ramdisk, psw] = [span()?, span()?, span()?, span()?];
            let found = (psw.address, psw.size) == KERNEL_PSW && first.address == kernel;
            found.then_some((Self { kernel: first, command_line, ramdisk }, (at + STAGE3B_ARGUMENTS) as u64))
        })
    }
}
