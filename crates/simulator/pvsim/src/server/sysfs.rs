//! What a simulated part of `/sys` has to tell.

use nix::errno::Errno;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder with these names in it.
    Folder(Vec<String>),
    /// An attribute with these permissions.
    Attribute {
        /// As in `st_mode`: `0o444`, `0o644`, `0o200`.
        mode: u32,
    },
    /// A symbolic link with this relative text.
    Link(String),
}

/// A part of `/sys`. Paths are absolute and without links, `.` and `..`. Several programs ask at the same time.
pub trait Sysfs: Send + Sync {
    /// What stands at `path`.
    ///
    /// # Errors
    /// `ENOENT` for nothing.
    fn node(&self, path: &str) -> Result<Node, Errno>;

    /// The text of the attribute at `path`.
    ///
    /// # Errors
    /// What reading the attribute gives.
    fn read(&self, path: &str) -> Result<Vec<u8>, Errno>;

    /// Writes to the attribute at `path`, which may have gone since it was opened. Gives how many bytes were taken.
    ///
    /// # Errors
    /// What writing to the attribute gives.
    fn write(&self, path: &str, bytes: &[u8]) -> Result<usize, Errno>;
}
