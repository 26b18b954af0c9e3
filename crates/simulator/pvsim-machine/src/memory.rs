//! The guest's memory, by absolute address: a file that QEMU has mapped, so both see the same bytes at once.

use crate::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of a page.
pub const PAGE: u64 = 0x1000;

/// The memory of a guest.
#[derive(Debug)]
pub struct GuestMemory(File);

impl GuestMemory {
    /// The memory behind this file.
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }

    /// Reads. `None` if not all of it is memory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, address: u64, length: usize) -> Result<Option<Vec<u8>>, Error> {
        if !self.has(address, length)? {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, address).map_err(Error::io("read the guest's memory"))?;
        Ok(Some(bytes))
    }

    /// Writes. Gives whether all of it is memory; nothing is written if not.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<bool, Error> {
        if !self.has(address, bytes.len())? {
            return Ok(false);
        }
        self.0.write_all_at(bytes, address).map_err(Error::io("write to the guest's memory"))?;
        Ok(true)
    }

    fn has(&self, address: u64, length: usize) -> Result<bool, Error> {
        let size = self.0.metadata().map_err(Error::io("look at the guest's memory"))?.len();
        Ok(address.checked_add(length as u64).is_some_and(|end| end <= size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_written_beyond_its_end() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(0x2000).unwrap();
        let memory = GuestMemory::new(file);
        assert!(memory.write(0x1ffe, &[1, 2]).unwrap());
        assert_eq!(memory.read(0x1ffd, 3).unwrap(), Some(vec![0, 1, 2]));
        assert_eq!(memory.read(0x1fff, 2).unwrap(), None);
        assert!(!memory.write(u64::MAX, &[1, 2]).unwrap());
    }
}
