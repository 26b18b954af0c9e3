//! What fuzz targets share. A target is a program of its own in `src/bin`: the engine looks at the counters of all code
//! in a program after each input, and a program of all targets has three hundred times those of a small one.

use std::io::{self, Read, Seek, SeekFrom};

/// Up to 2^64 - 1 bytes: parts at their places, and zeros everywhere else. Counts what is read, for no reader of a hostile
/// file may read more than it has to.
pub struct Sparse {
    size: u64,
    parts: Vec<(u64, Vec<u8>)>,
    at: u64,
    /// Bytes that were read.
    pub read: u64,
}

impl Sparse {
    pub fn new(size: u64, parts: Vec<(u64, Vec<u8>)>) -> Self {
        Self { size, parts, at: 0, read: 0 }
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.at);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..count];
        buffer.fill(0);
        for (start, bytes) in &self.parts {
            // A part may begin before what is read, or in it.
            let (target, source) = match start.checked_sub(self.at) {
                Some(behind) => (usize::try_from(behind).unwrap_or(usize::MAX), 0),
                None => (0, usize::try_from(self.at - start).unwrap_or(usize::MAX)),
            };
            if let (Some(target), Some(source)) = (buffer.get_mut(target..), bytes.get(source..)) {
                target.iter_mut().zip(source).for_each(|(target, byte)| *target = *byte);
            }
        }
        self.at += count as u64;
        self.read += count as u64;
        Ok(count)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let at = match position {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        // As Linux does.
        self.at = at.filter(|at| i64::try_from(*at).is_ok() || *at == self.size).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
