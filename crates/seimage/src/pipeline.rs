//! SHA-512 over all pages beside everything else: it is what takes longest, and cannot be divided.

use crate::page::PAGE;
use openssl::sha::Sha512;
use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use zeroize::Zeroizing;

/// Bytes that go from thread to thread at once: whole pages.
const CHUNK: usize = 64 * PAGE;
/// So many are under way; memory does not grow with the image.
const CHUNKS: usize = 8;

/// A piece of an image. Wiped when dropped: it may hold what is not yet encrypted.
pub(crate) struct Chunk {
    room: Zeroizing<Vec<u8>>,
    used: usize,
}

impl Chunk {
    pub(crate) fn new() -> Self {
        Self { room: vec![0; CHUNK].into(), used: 0 }
    }

    /// Reads until it is full or the source, of which `limit` bytes are wanted, ends.
    pub(crate) fn fill(&mut self, source: &mut (impl Read + ?Sized), limit: u64) -> io::Result<usize> {
        self.used = 0;
        let wanted = usize::try_from(limit).unwrap_or(CHUNK).min(CHUNK);
        while let Some(rest) = self.room.get_mut(self.used..wanted).filter(|rest| !rest.is_empty()) {
            match source.read(rest) {
                Ok(0) => break,
                Ok(count) => self.used += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.used)
    }

    /// Zeros up to the next page; at least one page.
    pub(crate) fn pad(&mut self) {
        let end = self.used.max(1).next_multiple_of(PAGE);
        if let Some(padding) = self.room.get_mut(self.used..end) {
            padding.fill(0);
        }
        self.used = end;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.room.get(..self.used).unwrap_or_default()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.room.get_mut(..self.used).unwrap_or_default()
    }

    /// Whether another one may follow.
    pub(crate) fn is_full(&self) -> bool {
        self.used == CHUNK
    }
}

/// Where finished chunks go, in their order.
pub(crate) struct PageList {
    finished: SyncSender<Chunk>,
    free: Receiver<Chunk>,
}

impl PageList {
    /// A chunk that nobody uses; waits for one.
    pub(crate) fn chunk(&self) -> Chunk {
        // Only a panic of the other thread closes its end, and is passed on when it is joined.
        self.free.recv().unwrap_or_else(|_| Chunk::new())
    }

    pub(crate) fn push(&self, chunk: Chunk) {
        let _ = self.finished.send(chunk);
    }
}

/// Runs `work` and gives SHA-512 over all that it pushed.
pub(crate) fn digest_beside<T, E>(work: impl FnOnce(&PageList) -> Result<T, E>) -> Result<(T, [u8; 64]), E> {
    std::thread::scope(|scope| {
        let (finished, to_hash) = sync_channel::<Chunk>(CHUNKS);
        let (back, free) = channel();
        for _ in 0..CHUNKS {
            let _ = back.send(Chunk::new());
        }
        let hasher = scope.spawn(move || {
            let mut hash = Sha512::new();
            for chunk in to_hash {
                hash.update(chunk.bytes());
                let _ = back.send(chunk);
            }
            hash.finish()
        });
        let list = PageList { finished, free };
        let result = work(&list);
        drop(list);
        match hasher.join() {
            Ok(digest) => Ok((result?, digest)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_hashed_in_order() {
        let input: Vec<u8> = (0..5 * CHUNK + 12345).map(|at| (at / 251) as u8).collect();
        let work = |list: &PageList| -> io::Result<u64> {
            let (mut source, mut total) = (&input[..], 0);
            loop {
                let mut chunk = list.chunk();
                total += chunk.fill(&mut source, u64::MAX)? as u64;
                let last = !chunk.is_full();
                list.push(chunk);
                if last {
                    return Ok(total);
                }
            }
        };
        let (total, digest) = digest_beside(work).unwrap();
        assert_eq!((total, digest), (input.len() as u64, openssl::sha::sha512(&input)));
    }

    #[test]
    fn an_error_ends_both_threads() {
        let result = digest_beside(|list| {
            list.push(list.chunk());
            Err::<(), _>("no more")
        });
        assert_eq!(result.unwrap_err(), "no more");
    }
}
