//! What is in an image.

use std::fmt;
use std::io::Read;

/// Kind of a component. The order is that of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The Linux kernel, in the raw form for s390x.
    Kernel,
    /// The initial ramdisk.
    Ramdisk,
    /// The kernel's command line.
    CommandLine,
    /// The loader that runs in secure mode.
    Stage3b,
}

impl Kind {
    /// All kinds, in the order of the image.
    pub const ALL: [Self; 4] = [Self::Kernel, Self::Ramdisk, Self::CommandLine, Self::Stage3b];

    /// The kind of component that has tweaks with this first half, by the convention of those who make images.
    pub fn of_prefix(prefix: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| u64::from(kind.prefix()) == prefix >> 48)
    }

    /// The first two bytes of the component's tweaks: they grow with the addresses.
    pub(crate) const fn prefix(self) -> u16 {
        match self {
            Self::Kernel => 40,
            Self::Ramdisk => 50,
            Self::CommandLine => 60,
            Self::Stage3b => 70,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Ramdisk => "ramdisk",
            Self::CommandLine => "command line",
            Self::Stage3b => "stage3b",
        })
    }
}

/// A component to put into an image.
pub struct Component<'a> {
    /// Content of the component.
    pub source: Box<dyn Read + Send + 'a>,
    /// Number of bytes that the content must have, where that is known before it is read.
    pub size: Option<u64>,
    /// SHA-512 of what it must be, where keys were derived from that.
    pub digest: Option<[u8; 64]>,
}

impl<'a> Component<'a> {
    /// A component whose size nobody knows yet.
    pub fn new(source: impl Read + Send + 'a) -> Self {
        Self { source: Box::new(source), size: None, digest: None }
    }

    /// This component with its size known: other than `size` bytes are an error, as the file changed while it was read.
    #[must_use]
    pub fn of_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }
}

impl fmt::Debug for Component<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Component({:?} bytes)", self.size)
    }
}
