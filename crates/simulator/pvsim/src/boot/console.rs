//! The guest's console: shown, kept, and watched for the guest's exit status.

use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The agreed line.
const STATUS: &str = "pvsim: exit status ";
/// Bytes that are kept.
const KEPT: usize = 64 << 10;

/// Takes what comes from the console.
pub(super) struct Console {
    shown: bool,
    file: Option<File>,
    said: Said,
}

/// What has come so far.
#[derive(Clone, Default)]
pub(super) struct Said(Arc<Mutex<Vec<u8>>>);

impl Console {
    /// A console that goes to the end of `file`, and to standard output if `shown`.
    pub(super) fn new(file: Option<&Path>, shown: bool) -> anyhow::Result<Self> {
        let open = |path: &Path| {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.with_context(|| format!("cannot open '{}'", path.display()))
        };
        Ok(Self { shown, file: file.map(open).transpose()?, said: Said::default() })
    }

    pub(super) fn said(&self) -> Said {
        self.said.clone()
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What the guest writes must not work on the terminal here.
        let clean: Vec<u8> =
            bytes.iter().copied().filter(|byte| !byte.is_ascii_control() || b"\n\t".contains(byte)).collect();
        if self.shown {
            let mut out = io::stdout().lock();
            // A guest goes on though nobody reads any more.
            let _ = out.write_all(&clean).and_then(|()| out.flush());
        }
        if let Some(file) = &mut self.file {
            file.write_all(&clean)?;
        }
        let mut kept = self.said.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(clean);
        let too_many = kept.len().saturating_sub(KEPT);
        kept.drain(..too_many);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Said {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The exit status that the guest said last.
    pub(super) fn status(&self) -> Option<u8> {
        self.text().lines().rev().find_map(|line| line.strip_prefix(STATUS)?.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_status_counts_and_no_escape_gets_through() {
        let mut console = Console::new(None, false).unwrap();
        let said = console.said();
        assert_eq!(said.status(), None);
        console.write_all(b"\x1b[31mred\r\npvsim: exit status 3\r\nmore\npvsim: exit st").unwrap();
        assert_eq!(said.status(), Some(3));
        console.write_all(b"atus 7\n").unwrap();
        assert_eq!(said.status(), Some(7));
        assert!(!said.text().contains('\x1b'));
        console.write_all(&[b'x'; 2 * KEPT]).unwrap();
        assert_eq!(said.text().len(), KEPT);
    }
}
