use std::io;

/// Reason why there is no usable SE header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No page that was looked at begins with the magic `IBMSecEx`.
    #[error("does not contain an SE header")]
    NotFound,
    /// The image metadata names an offset at which there is no SE header.
    #[error("the image metadata at 0xc000 names an SE header at offset {offset:#x}, but there is none")]
    NotWhereStated {
        /// The offset that the metadata names.
        offset: u64,
    },
    /// The input ends inside the header.
    #[error(
        "the SE header at offset {offset:#x} says it is {size} bytes long, but the file ends {missing} bytes earlier"
    )]
    Truncated {
        /// Offset of the header in the file, in bytes.
        offset: u64,
        /// The size it states.
        size: u32,
        /// Number of bytes by which the file is too short.
        missing: u64,
    },
    /// The size in the header cannot be right.
    #[error("the SE header states a size of {size} bytes; {reason}")]
    Size {
        /// The size it states.
        size: u32,
        /// Reason why a header cannot have this size.
        reason: String,
    },
    /// The header is of a version this program does not know.
    #[error("expected version 0x100 of the SE header, found {0:#x}")]
    Version(u32),
    /// A number of key slots that no header has.
    #[error("expected 1 to 255 key slots in the SE header, found {0}")]
    KeySlots(u64),
    /// The header does not begin with its magic.
    #[error("not an SE header: it does not begin with 'IBMSecEx'")]
    Magic,
    /// The header ends within a field.
    #[error("the SE header is truncated")]
    Wire(#[from] uvtypes::ReadError),
    /// The file could not be read.
    #[error("cannot read")]
    Io(#[from] io::Error),
}
