//! The files of sysfs.

use crate::clock::{Backoff, timeout};
use crate::{Clock, Error};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// An attribute is at most a page.
const MOST: u64 = 4096;

/// Attributes that the driver has to ask the card for, by a message through a queue.
const ASKED_FROM_THE_CARD: [&str; 5] = ["mkvps", "serialnr", "op_modes", "API_ordinalnr", "FW_version"];

/// The text of an attribute, without the newline.
///
/// A card may never answer, and the kernel waits for that for a quarter of an hour. So what it is asked for is read in a
/// thread of its own, which is left behind then.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    if !path.file_name().is_some_and(|name| ASKED_FROM_THE_CARD.iter().any(|asked| name == *asked)) {
        return read_at_once(path);
    }
    let wrong = |source| Error::Read { path: path.to_owned(), source };
    let (sender, receiver) = mpsc::sync_channel(1);
    let file = path.to_owned();
    // The receiver may have given up.
    thread::Builder::new().spawn(move || drop(sender.send(read_at_once(&file)))).map_err(wrong)?;
    match receiver.recv_timeout(timeout::ANSWER) {
        Ok(text) => text,
        Err(RecvTimeoutError::Timeout) => Err(Error::Silent { path: path.to_owned(), waited: timeout::ANSWER }),
        Err(RecvTimeoutError::Disconnected) => Err(wrong(io::Error::other("its thread ended"))),
    }
}

fn read_at_once(path: &Path) -> Result<String, Error> {
    let wrong = |source| Error::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).map_err(wrong)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end().to_owned())
}

/// Writes to an attribute, in one call. Never creates a file: a missing attribute is `ENOENT`.
///
/// A driver may never come back from it, and nothing can end that but the end of the process. So the write has a thread
/// of its own, which is left behind then.
pub(crate) fn write(path: &Path, value: &str, clock: &dyn Clock) -> Result<(), Error> {
    /// No healthy write takes so long.
    const USUAL: Duration = Duration::from_millis(500);
    let wrong = |source| Error::Write { path: path.to_owned(), value: value.to_owned(), source };
    let (sender, receiver) = mpsc::sync_channel(1);
    let order = (path.to_owned(), value.to_owned());
    let backoff = &mut Backoff::new(clock, timeout::WRITE);
    thread::Builder::new()
        .spawn(move || {
            let (path, value) = order;
            let file = OpenOptions::new().write(true).open(path);
            // The receiver may have given up.
            let _ = sender.send(file.and_then(|mut file| file.write_all(value.as_bytes())));
        })
        .map_err(wrong)?;
    let mut answer = receiver.recv_timeout(USUAL);
    while matches!(answer, Err(RecvTimeoutError::Timeout)) && backoff.is_left() {
        backoff.wait();
        answer = receiver.recv_timeout(Duration::ZERO);
    }
    match answer {
        Ok(written) => written.map_err(wrong),
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::Stuck { path: path.to_owned(), value: value.to_owned(), waited: backoff.waited() })
        }
        Err(RecvTimeoutError::Disconnected) => Err(wrong(io::Error::other("its thread ended"))),
    }
}
