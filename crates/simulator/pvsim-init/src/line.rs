//! The line to the outside.

use crate::program;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const PORTS: &str = "/sys/class/virtio-ports";
const NAME: &str = "pvsim";
/// How long the kernel may take to find the port.
const PATIENCE: Duration = Duration::from_secs(20);

/// The port of the line, if there is one.
pub(crate) fn find() -> io::Result<Option<File>> {
    let began = Instant::now();
    while Path::new("/sys/bus/virtio/drivers/virtio_console").exists() && began.elapsed() < PATIENCE {
        for entry in fs::read_dir(PORTS).into_iter().flatten() {
            let path: PathBuf = entry?.path();
            let name = fs::read_to_string(path.join("name")).unwrap_or_default();
            if name.trim() == NAME {
                let device = Path::new("/dev").join(path.file_name().unwrap_or_default());
                return OpenOptions::new().read(true).write(true).open(device).map(Some);
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(None)
}

/// Answers questions until the machine is to be switched off. Gives the exit status of all.
pub(crate) fn serve(mut port: File) -> io::Result<u8> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    send(&mut port, release.trim().as_bytes())?;
    loop {
        let frame = receive(&mut port)?;
        let parts = split(&frame).ok_or_else(|| io::Error::other("a question is cut"))?;
        match parts.as_slice() {
            [b"off", [status]] => return Ok(*status),
            [b"run", limit, stdin, rest @ ..] => {
                let done = run(number(limit), stdin, rest)?;
                let status = done.status.map_or(vec![], |status| vec![status]);
                let times = [done.took.as_millis() as u64, done.user_ms, done.system_ms].map(u64::to_be_bytes).concat();
                let mut answer = Vec::new();
                for part in [&status, &times, &done.stdout, &done.stderr] {
                    answer.extend((part.len() as u32).to_be_bytes());
                    answer.extend(part);
                }
                send(&mut port, &answer)?;
            }
            [b"write", path, content] => {
                let written =
                    OpenOptions::new().write(true).open(path_of(path)).and_then(|mut file| file.write(content));
                send(&mut port, &[written.map_or_else(|error| errno(&error), |_| 0)])?;
            }
            [b"put", path, content] => {
                let written = fs::write(path_of(path), content);
                send(&mut port, &[written.map_or_else(|error| errno(&error), |()| 0)])?;
            }
            [b"get", path] => send(&mut port, &fs::read(path_of(path)).unwrap_or_default())?,
            [b"read", path] => {
                let read = fs::read(path_of(path));
                send(
                    &mut port,
                    &read.map_or_else(|error| vec![errno(&error)], |bytes| [&[0], bytes.as_slice()].concat()),
                )?;
            }
            [b"remove", path] => {
                // What is not there cannot be removed.
                let removed = fs::remove_file(path_of(path));
                send(&mut port, &[u8::from(removed.is_ok())])?;
            }
            [b"mode", path] => {
                let mode = fs::symlink_metadata(path_of(path)).map(|found| found.permissions().mode());
                send(&mut port, &mode.map_or(vec![], |mode| mode.to_be_bytes().to_vec()))?;
            }
            [b"has", path] => send(&mut port, &[u8::from(path_of(path).exists())])?,
            _ => return Err(io::Error::other("a question that nobody knows")),
        }
    }
}

fn run(limit: u64, stdin: &[u8], rest: &[&[u8]]) -> io::Result<program::Done> {
    let cut = || io::Error::other("a question is cut");
    let (count, rest) = rest.split_first().ok_or_else(cut)?;
    let count = usize::try_from(number(count)).map_err(|_| cut())?;
    let files = rest.get(..2 * count).ok_or_else(cut)?;
    for file in files.chunks_exact(2) {
        let path = path_of(file[0]);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, file[1])?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    }
    let words: Vec<_> = rest[2 * count..].iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    Ok(program::run(&words, stdin.to_vec(), Duration::from_millis(limit)))
}

/// 5 (EIO) for an error that is not the system's.
fn errno(error: &io::Error) -> u8 {
    error.raw_os_error().and_then(|errno| u8::try_from(errno).ok()).unwrap_or(5)
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn send(port: &mut File, body: &[u8]) -> io::Result<()> {
    port.write_all(&[(body.len() as u32).to_be_bytes().as_slice(), body].concat())
}

fn receive(port: &mut File) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    port.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    port.read_exact(&mut body)?;
    Ok(body)
}

/// The parts of a question.
fn split(frame: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let mut rest = frame;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        parts.push(behind.get(..length)?);
        rest = &behind[length..];
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_taken_apart() {
        let frame = [0, 0, 0, 3, b'o', b'f', b'f', 0, 0, 0, 1, 7];
        assert_eq!(split(&frame), Some(vec![b"off".as_slice(), &[7]]));
        assert_eq!(split(&frame[..11]), None);
        assert_eq!(number(&[1, 2]), 258);
    }

    #[test]
    fn a_program_runs_with_its_files() {
        let folder = std::env::temp_dir().join(format!("pvsim-init-{}", std::process::id()));
        let path = folder.join("script").display().to_string();
        let files = [&1_u64.to_be_bytes()[..], path.as_bytes(), b"#!/bin/sh\ncat; echo to $1 >&2; exit 3\n"];
        let words = [path.as_bytes(), b"stderr"];
        let done = run(10_000, b"input", &[&files[..], &words[..]].concat()).unwrap();
        assert_eq!(done.status, Some(3));
        assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (b"input".as_slice(), b"to stderr\n".as_slice()));
        let done = run(50, b"", &[&0_u64.to_be_bytes()[..], b"/bin/sleep", b"20"]).unwrap();
        assert_eq!(done.status, None);
        fs::remove_dir_all(folder).unwrap();
    }
}
