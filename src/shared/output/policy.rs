//! What happens to what is under the name of an output: the table in `docs/security.md` as one function.

use super::Privacy;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// What is there, as `lstat` tells; for a public output the links on the way to it have been followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    /// A FIFO, a socket or a character device.
    Stream,
    BlockDevice,
}

/// Something with a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) owner: u32,
    pub(super) group: u32,
    /// Permissions, with set-id and sticky bits.
    pub(super) mode: u32,
    /// How many names it has.
    pub(super) names: u64,
}

/// The folder in which it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folder {
    pub(super) owner: u32,
    pub(super) mode: u32,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Write to what is there, which has no content of its own.
    Stream,
    /// Make a new file and let it take the place of whatever is there.
    New(Rights),
    /// Write into the file that is there.
    InPlace,
    /// Leave it alone, for this reason.
    Refuse(&'static str),
}

/// Whose a new file becomes, and who may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// The caller's alone: 0600.
    Private,
    /// The caller's; the umask decides.
    Default,
    /// The caller's, with this group and these permissions.
    Kept { group: u32, mode: u32 },
    /// Somebody else's, as it was.
    Others { owner: u32, group: u32, mode: u32 },
}

/// The permissions that may be kept: never set-id or sticky bits.
const PERMISSIONS: u32 = 0o777;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

impl Found {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        let kind = if kind.is_file() {
            Kind::File
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_symlink() {
            Kind::Link
        } else if kind.is_block_device() {
            Kind::BlockDevice
        } else {
            Kind::Stream
        };
        let (owner, group, names) = (metadata.uid(), metadata.gid(), metadata.nlink());
        Self { kind, owner, group, mode: metadata.mode() & 0o7777, names }
    }
}

impl Folder {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { owner: metadata.uid(), mode: metadata.mode() & 0o7777 }
    }

    /// Whether nobody but root and the caller can have put something there.
    fn is_closed(self, caller: u32) -> bool {
        [0, caller].contains(&self.owner) && self.mode & OTHERS_WRITE == 0
    }

    /// Whether a link there is followed that `owner` made, and a line appended to a file of his: the rule of the kernel's
    /// `protected_symlinks` and `protected_regular`.
    pub(super) fn may_follow(self, owner: u32, caller: u32) -> bool {
        let shared = self.mode & STICKY != 0 && self.mode & OTHERS_WRITE != 0;
        !shared || [0, caller, self.owner].contains(&owner)
    }
}

/// The way for an output of `caller` in `folder`, where `found` is.
pub(super) fn way(privacy: Privacy, caller: u32, folder: Folder, found: Option<Found>) -> Way {
    let new = match privacy {
        Privacy::Secret => Rights::Private,
        Privacy::Public => Rights::Default,
    };
    let Some(found) = found else { return Way::New(new) };
    match (found.kind, privacy) {
        (Kind::Folder, _) => Way::Refuse("it is a directory"),
        (Kind::BlockDevice, _) => Way::Refuse("it is a block device"),
        (Kind::Stream, Privacy::Public) => Way::Stream,
        (Kind::Stream, Privacy::Secret) if [0, caller].contains(&found.owner) => Way::Stream,
        (_, Privacy::Secret) => Way::New(Rights::Private),
        // Those that are followed have been.
        (Kind::Link, Privacy::Public) => Way::Refuse("it is a link of another user in a folder that is for all"),
        (Kind::File, Privacy::Public) => file(caller, folder, found),
    }
}

/// The way for a public output where a file is.
fn file(caller: u32, folder: Folder, found: Found) -> Way {
    let (owner, group, mode) = (found.owner, found.group, found.mode & PERMISSIONS);
    if found.names > 1 && folder.is_closed(caller) {
        Way::InPlace
    } else if owner == caller {
        Way::New(Rights::Kept { group, mode })
    } else if owner == folder.owner || folder.is_closed(caller) {
        Way::New(Rights::Others { owner, group, mode })
    } else {
        Way::New(Rights::Default)
    }
}

/// Whether a line may be appended to a file, or why not: it stays whose it is, with all its names, so it must be nobody
/// else's choice.
pub(super) fn may_append(caller: u32, folder: Folder, found: Found) -> Result<(), &'static str> {
    if found.kind != Kind::File {
        Err("another process has just replaced it")
    } else if found.names > 1 && !folder.is_closed(caller) {
        Err("it has several names, in a folder that others may write to")
    } else if !folder.may_follow(found.owner, caller) {
        Err("it is another user's, in a folder that is for all")
    } else {
        Ok(())
    }
}

/// Whether a file may be written in place because it cannot be replaced.
pub(super) fn may_write_in_place(privacy: Privacy, caller: u32, folder: Folder, found: Found) -> bool {
    let is_strange = file(caller, folder, found) == Way::New(Rights::Default);
    privacy == Privacy::Public
        && found.kind == Kind::File
        && !is_strange
        && (found.names == 1 || folder.is_closed(caller))
}
