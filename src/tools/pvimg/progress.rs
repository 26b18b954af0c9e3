//! A line that tells a person how far it is.

use crate::shared::system::{Level, System};

/// Shown on a terminal alone, and gone when it is dropped with the work.
pub(super) struct Progress<'a> {
    system: &'a mut System,
    what: &'static str,
    /// Bytes of all, if that is known.
    total: Option<u64>,
    done: u64,
    shown: Option<u64>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(what: &'static str, total: Option<u64>, system: &'a mut System) -> Self {
        Self { system, what, total: total.filter(|total| *total > 0), done: 0, shown: None }
    }

    pub(super) fn advance(&mut self, bytes: u64) {
        const MIB: u64 = 1 << 20;
        self.done += bytes;
        // What is done before anybody can read it needs no line.
        if !self.system.stderr_is_terminal || self.system.level < Level::Warn || self.done < 32 * MIB {
            return;
        }
        let mark = match self.total {
            Some(total) => (self.done * 100 / total).min(100),
            None => self.done / (16 * MIB),
        };
        if self.shown.replace(mark) != Some(mark) {
            let amount = match self.total {
                Some(_) => format!("{mark:3} %"),
                None => format!("{} MiB", self.done / MIB),
            };
            self.system.eprint(&format!("\r{} {amount}", self.what));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.shown.is_some() {
            self.system.eprint("\r\x1b[K");
        }
    }
}
