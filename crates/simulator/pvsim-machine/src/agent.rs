//! The line to the guest's agent, `pvsim-init`: programs that are run in the guest from outside.
//!
//! Frames go both ways: u32 length, then that many bytes. A question is `run`: its parts are a list of byte strings, each
//! with a u32 length. See `pvsim-init` for the other side.

use crate::Error;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// More than that no program prints.
const MOST: u32 = 64 << 20;

/// A program to run in the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads from standard input.
    pub stdin: Vec<u8>,
    /// Files that are written before it starts, by absolute path.
    pub files: Vec<(String, Vec<u8>)>,
    /// Milliseconds after which it is killed.
    pub limit_ms: u64,
}

/// What a program in the guest did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Its exit status, or 128 and its signal; `None` when it was killed because its time was over.
    pub status: Option<u8>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it printed there.
    pub stderr: Vec<u8>,
    /// How long it ran, by the guest's clock.
    pub took: Duration,
    /// CPU time that it and its children had, in user mode.
    pub user: Duration,
    /// And in the kernel.
    pub system: Duration,
}

/// The guest's agent.
#[derive(Debug)]
pub struct Agent {
    stream: UnixStream,
}

impl Agent {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Waits until the agent is there. Gives what it says of the guest: the kernel's release.
    ///
    /// # Errors
    /// [`Error::Agent`] when the guest ended before.
    pub fn ready(&mut self) -> Result<String, Error> {
        self.receive().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs a program and waits for its end.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn run(&mut self, job: &Job) -> Result<Done, Error> {
        let count = |count: usize| (count as u64).to_be_bytes().to_vec();
        let mut parts = vec![b"run".to_vec(), job.limit_ms.to_be_bytes().to_vec(), job.stdin.clone()];
        parts.push(count(job.files.len()));
        for (path, content) in &job.files {
            parts.extend([path.clone().into_bytes(), content.clone()]);
        }
        parts.extend(job.command.iter().map(|word| word.clone().into_bytes()));
        self.send(&parts)?;
        let answer = self.receive()?;
        let parts = split(&answer).ok_or_else(|| Error::Agent("its answer is cut".into()))?;
        let [status, times, stdout, stderr] = parts.as_slice() else {
            return Err(Error::Agent(format!("its answer has {} parts, expected 4", parts.len())));
        };
        let mut times = times.chunks(8).map(|time| time.iter().fold(0, |time, byte| time << 8 | u64::from(*byte)));
        let mut time = || Duration::from_millis(times.next().unwrap_or_default());
        Ok(Done {
            status: status.first().copied(),
            stdout: stdout.clone(),
            stderr: stderr.clone(),
            took: time(),
            user: time(),
            system: time(),
        })
    }

    /// Writes to a file that is there, as one write: an attribute, for example.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn write(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        match self.try_write(path, content)? {
            None => Ok(()),
            Some(errno) => Err(Error::Agent(format!("cannot write to {path}: errno {errno}"))),
        }
    }

    /// Makes a file with this content.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn put(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        match self.short(&[b"put".to_vec(), path.as_bytes().to_vec(), content.to_vec()])? {
            0 => Ok(()),
            errno => Err(Error::Agent(format!("cannot make {path}: errno {errno}"))),
        }
    }

    /// What a file holds; nothing for one that is not there.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        self.send(&[b"get".to_vec(), path.as_bytes().to_vec()])?;
        self.receive()
    }

    /// What a file holds, or the errno of reading it.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn try_read(&mut self, path: &str) -> Result<Result<Vec<u8>, u8>, Error> {
        self.send(&[b"read".to_vec(), path.as_bytes().to_vec()])?;
        let mut answer = self.receive()?;
        match answer.first().copied() {
            Some(0) => Ok(Ok(answer.split_off(1))),
            Some(errno) => Ok(Err(errno)),
            None => Err(Error::Agent("its answer is empty".into())),
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn remove(&mut self, path: &str) -> Result<(), Error> {
        self.short(&[b"remove".to_vec(), path.as_bytes().to_vec()]).map(drop)
    }

    /// Whether something is there.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn has(&mut self, path: &str) -> Result<bool, Error> {
        Ok(self.short(&[b"has".to_vec(), path.as_bytes().to_vec()])? != 0)
    }

    /// Type and permissions of a file (`st_mode`), if it is there.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn mode(&mut self, path: &str) -> Result<Option<u32>, Error> {
        self.send(&[b"mode".to_vec(), path.as_bytes().to_vec()])?;
        match self.receive()?.as_slice() {
            [] => Ok(None),
            [a, b, c, d] => Ok(Some(u32::from_be_bytes([*a, *b, *c, *d]))),
            other => Err(Error::Agent(format!("its answer has {} bytes, expected 4 or none", other.len()))),
        }
    }

    /// Writes to a file that is there, as [`Self::write`] does, and gives the errno of an attempt that failed.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn try_write(&mut self, path: &str, content: &[u8]) -> Result<Option<u8>, Error> {
        let errno = self.short(&[b"write".to_vec(), path.as_bytes().to_vec(), content.to_vec()])?;
        Ok((errno != 0).then_some(errno))
    }

    /// A question whose answer is one byte.
    fn short(&mut self, parts: &[Vec<u8>]) -> Result<u8, Error> {
        self.send(parts)?;
        match self.receive()?.as_slice() {
            [answer] => Ok(*answer),
            other => Err(Error::Agent(format!("its answer has {} bytes, expected 1", other.len()))),
        }
    }

    /// Asks the agent to switch the guest off, with this exit status of all.
    ///
    /// # Errors
    /// [`Error::Agent`].
    pub fn power_off(&mut self, status: u8) -> Result<(), Error> {
        self.send(&[b"off".to_vec(), vec![status]])
    }

    fn send(&mut self, parts: &[Vec<u8>]) -> Result<(), Error> {
        let mut body = Vec::new();
        for part in parts {
            body.extend((part.len() as u32).to_be_bytes());
            body.extend(part);
        }
        let frame = [(body.len() as u32).to_be_bytes().as_slice(), &body].concat();
        self.stream.write_all(&frame).map_err(|error| Error::Agent(format!("cannot be asked: {error}")))
    }

    fn receive(&mut self) -> Result<Vec<u8>, Error> {
        let ended = |_| Error::Agent("the guest ended".into());
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(ended)?;
        let length = u32::from_be_bytes(length);
        if length > MOST {
            return Err(Error::Agent(format!("its answer has {length} bytes, expected {MOST} at most")));
        }
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body).map_err(ended)?;
        Ok(body)
    }
}

/// The parts of a frame.
fn split(frame: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    let mut rest = frame;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        parts.push(behind.get(..length)?.to_vec());
        rest = &behind[length..];
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn asks_and_is_answered() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let other = thread::spawn(move || {
            let mut other = Agent::new(theirs);
            let asked = split(&other.receive().unwrap()).unwrap();
            let times = [1234_u64, 5, 6].map(u64::to_be_bytes).concat();
            other.send(&[vec![3], times, b"out".to_vec(), vec![]]).unwrap();
            asked
        });
        let job = Job { command: vec!["/bin/a".into(), "b".into()], limit_ms: 5, ..Job::default() };
        let done = Agent::new(ours).run(&job).unwrap();
        assert_eq!(done.status, Some(3));
        assert_eq!(done.stdout, b"out");
        assert_eq!([done.took, done.user, done.system].map(|time| time.as_millis()), [1234, 5, 6]);
        let asked = other.join().unwrap();
        assert_eq!(asked[0], b"run");
        assert_eq!(asked[4..], [b"/bin/a".to_vec(), b"b".to_vec()]);
    }

    #[test]
    fn a_guest_that_ends_is_no_answer() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(Agent::new(ours).ready().is_err());
        assert_eq!(split(&[0, 0, 0, 2, 1]), None);
    }
}
