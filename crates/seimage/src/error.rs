use crate::{Kind, MAX_HOST_KEYS};
use openssl::error::ErrorStack;
use std::io;

pub(crate) type Field = &'static str;

/// Reason why an image cannot be made, read or taken apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image is for at least one machine, and a header has room for 95.
    #[error("expected 1 to {MAX_HOST_KEYS} host keys, found {0}")]
    HostKeyCount(usize),
    /// A key is not as long as it must be.
    #[error("{what}: expected {expected} bytes, found {actual}")]
    KeySize {
        /// Name of the key.
        what: &'static str,
        /// Size that was found, in bytes.
        actual: usize,
        /// Size that the key must have, in bytes.
        expected: usize,
    },
    /// Both halves of an AES-XTS key are the same.
    #[error("the two halves of the image key are the same; AES-XTS needs two different keys")]
    EqualHalves,
    /// The image would reach beyond 2 GiB.
    #[error("the image is too large: with the {0} it would end above 2 GiB")]
    TooLarge(Kind),
    /// A component had another size than its file said.
    #[error("the {kind} changed while it was read: expected {expected} bytes, found {found}")]
    Changed {
        /// Component that changed.
        kind: Kind,
        /// The size at the beginning.
        expected: u64,
        /// Bytes that were read; one more than expected if there were more.
        found: u64,
    },
    /// A component is no longer what keys were derived from.
    #[error("the {0} changed while it was read: it is not what the keys were derived from")]
    ChangedContent(Kind),
    /// A component could not be read.
    #[error("cannot read the {0}")]
    Read(Kind, #[source] io::Error),
    /// The image could not be written.
    #[error("cannot write the image")]
    Write(#[source] io::Error),
    /// The image could not be read.
    #[error("cannot read the image")]
    Io(#[from] io::Error),
    /// A loader that cannot be one.
    #[error("{what} is {size} bytes long; {limit}")]
    Loader {
        /// Part of the image.
        what: &'static str,
        /// Size that was found, in bytes.
        size: usize,
        /// Sizes that are possible, in words.
        limit: &'static str,
    },
    /// The kernel is not one that the loader can start.
    #[error("the kernel {0}")]
    Kernel(&'static str),
    /// The command line is longer than the kernel takes.
    #[error("the command line has {size} bytes with its final NUL; this kernel takes {limit} at most")]
    CommandLine {
        /// Size of the command line in bytes, NUL included.
        size: u64,
        /// The kernel's own limit.
        limit: u64,
    },
    /// There is no metadata block.
    #[error("it has no image metadata at 0xc000: it is a bare header, an image of an old tool, or none at all")]
    NoMetadata,
    /// The metadata is of a version this program does not know.
    #[error("expected version 1 of the image metadata, found {0}")]
    MetadataVersion(u32),
    /// The metadata names a place that cannot be.
    #[error("the image metadata names {what} at offset {offset:#x}; {problem}")]
    Place {
        /// Part of the image that the metadata names.
        what: &'static str,
        /// Offset in the file that the metadata gives, in bytes.
        offset: u64,
        /// Fault, as the end of a sentence.
        problem: &'static str,
    },
    /// A field of the IPIB is not what it must be.
    #[error("{field} in the IPIB: expected {expected:#x}, found {found:#x}")]
    Ipib {
        /// Field of the IPIB.
        field: Field,
        /// Value of the field.
        found: u64,
        /// Value that the field must have.
        expected: u64,
    },
    /// A reserved byte of the IPIB is set.
    #[error("byte {0:#x} of the IPIB is reserved and must be 0")]
    IpibReserved(usize),
    /// A component in the IPIB cannot be.
    #[error("component {number} of the IPIB, at address {address:#x}, {problem}")]
    Components {
        /// Number of the component in the list, counted from 0.
        number: u32,
        /// Address that the list gives the component.
        address: u64,
        /// Fault, as the end of a sentence.
        problem: &'static str,
    },
    /// The file is not what its header says.
    #[error(transparent)]
    Differs(#[from] Difference),
    /// The header does not open.
    #[error("the SE header does not open with this header key")]
    HeaderKey,
    /// The decrypted stage3b has no arguments.
    #[error("no arguments were found in the decrypted stage3b: this is not the key of the image")]
    NoArguments,
    /// There is no such component.
    #[error("the image has no {0}")]
    NoComponent(Kind),
    /// The header is bad.
    #[error(transparent)]
    Header(sehdr::Error),
    /// Key slots could not be made.
    #[error(transparent)]
    KeySlots(#[from] uvrequest::Error),
    /// A structure is cut.
    #[error("the image is truncated")]
    Wire(#[from] uvtypes::ReadError),
    /// OpenSSL refused an operation.
    #[error("OpenSSL failed")]
    OpenSsl(#[from] ErrorStack),
}

/// That the file cannot be read is no judgement of its header.
impl From<sehdr::Error> for Error {
    fn from(error: sehdr::Error) -> Self {
        match error {
            sehdr::Error::Io(error) => Self::Io(error),
            other => Self::Header(other),
        }
    }
}

/// Part of an image that does not fit the rest of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// The image does not begin with the short PSW.
    #[error("expected the PSW 0x0008000180011000 of SE images at the start, found {0:#018x}")]
    ShortPsw(u64),
    /// Bytes that belong to nothing must be zero.
    #[error("byte {offset:#x} of the image, where nothing lies: expected 0, found {value:#04x}")]
    Gap {
        /// Offset in the file that the metadata gives, in bytes.
        offset: u64,
        /// Value of the byte.
        value: u8,
    },
    /// The IPIB and the metadata name different headers.
    #[error(
        "the IPIB names an SE header of {size} bytes at {address:#x}; expected {expected_size} bytes at {expected:#x}"
    )]
    Header {
        /// Address in the IPIB.
        address: u64,
        /// Size that the IPIB states, in bytes.
        size: u64,
        /// Offset at which the header lies.
        expected: u64,
        /// Size that the header has, in bytes.
        expected_size: u64,
    },
    /// No component may lie where something else is.
    #[error("the component at {address:#x} lies on the {what}")]
    Overlap {
        /// Address of the component.
        address: u64,
        /// Part of the image that lies there, too.
        what: &'static str,
    },
    /// No reader takes a header of this size.
    #[error("expected an SE header of at most 8192 bytes, found {0}")]
    HeaderSize(u32),
    /// Between stage3a and header there is no loader's argument that fits.
    #[error("stage3a has no arguments that name this SE header and this IPIB")]
    LoaderArguments,
    /// Another number of pages.
    #[error("expected components of {expected} pages, as the SE header says, found {found}")]
    Pages {
        /// Number of pages of all components in the IPIB.
        found: u64,
        /// In the header.
        expected: u64,
    },
    /// A digest is another.
    #[error("the {list} is {}...; expected {}..., as the SE header says: {meaning}", start(.found), start(.expected))]
    Digest {
        /// Which.
        list: &'static str,
        /// What that means.
        meaning: &'static str,
        /// Recomputed from the file.
        found: Box<[u8; 64]>,
        /// In the header.
        expected: Box<[u8; 64]>,
    },
    /// The tag of the header does not fit.
    #[error("the SE header does not open with this header key: another key, or a changed byte")]
    HeaderTag,
}

/// Enough of a digest to tell it from another.
fn start(digest: &[u8; 64]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
