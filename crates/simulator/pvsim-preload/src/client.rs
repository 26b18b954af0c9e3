//! Asking `pvsim`. Each question has a connection of its own, so threads and processes need no order.
//!
//! A frame is a big-endian u32 length and that many bytes. A question is one byte for its kind, then its fields;
//! byte strings in simulation of others have their own u32 length. All numbers are big-endian.
//!
//! | kind | fields | answer |
//! |---|---|---|
//! | 1 prepare | name | u32 errno; then of a folder its names in the order of a listing, each with a zero byte |
//! | 2 open | u32 [`mode`], name | u32 errno |
//! | 3 write | u32 length, name, bytes | u32 errno, u32 count |
//! | 4 ioctl | u64 number, u64 third argument, name | the conversation below |
//!
//! During an ioctl `pvsim` says what to do with this process's memory, until it is done:
//!
//! | kind | fields | answer |
//! |---|---|---|
//! | 1 read memory | u64 address, u32 length | u32 errno, bytes |
//! | 2 write memory | u64 address, bytes | u32 errno |
//! | 3 done | u32 errno | none |

use crate::memory;
use crate::place::Simulation;
use libc::{c_int, c_void};

/// How a file is opened.
pub(crate) mod mode {
    pub(crate) const READ: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const CREATE: u32 = 4;
    pub(crate) const EXCLUSIVE: u32 = 8;
}

/// The errno of a call that fails.
pub(crate) type Errno = c_int;

/// Gives the names in a folder in the order of a listing; none for anything else.
pub(crate) fn prepare(name: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let names = ask(1, &[name])?;
    Ok(names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

pub(crate) fn open(name: &[u8], mode: u32) -> Result<(), Errno> {
    ask(2, &[&mode.to_be_bytes(), name]).map(drop)
}

/// Gives how many bytes were taken.
pub(crate) fn write(name: &[u8], bytes: &[u8]) -> Result<usize, Errno> {
    let length = name.len() as u32;
    let answer = ask(3, &[&length.to_be_bytes(), name, bytes])?;
    Ok(answer.first_chunk().map_or(0, |count| u32::from_be_bytes(*count)) as usize)
}

pub(crate) fn ioctl(name: &[u8], number: u64, argument: u64) -> Result<(), Errno> {
    let connection = Connection::open()?;
    connection.send(&[&[4], &number.to_be_bytes(), &argument.to_be_bytes(), name])?;
    loop {
        let order = connection.receive()?;
        let (kind, fields) = order.split_first().ok_or(libc::EIO)?;
        if *kind == 3 {
            return errno_of(fields).and_then(|errno| if errno == 0 { Ok(()) } else { Err(errno) });
        }
        let (address, rest) = fields.split_first_chunk().ok_or(libc::EIO)?;
        let address = u64::from_be_bytes(*address);
        let done = match kind {
            1 => {
                let length = u32::from_be_bytes(*rest.first_chunk().ok_or(libc::EIO)?);
                memory::read(address, length as usize)
            }
            2 => memory::write(address, rest).map(|()| vec![]),
            _ => return Err(libc::EIO),
        };
        match done {
            Ok(bytes) => connection.send(&[&[0; 4], &bytes])?,
            Err(memory::Fault) => connection.send(&[&libc::EFAULT.to_be_bytes()])?,
        }
    }
}

/// A question with one answer: what follows the errno in it.
fn ask(kind: u8, fields: &[&[u8]]) -> Result<Vec<u8>, Errno> {
    let connection = Connection::open()?;
    connection.send(&[&[&[kind][..]], fields].concat())?;
    let mut answer = connection.receive()?;
    match errno_of(&answer)? {
        0 => Ok(answer.split_off(4)),
        errno => Err(errno),
    }
}

fn errno_of(bytes: &[u8]) -> Result<Errno, Errno> {
    bytes.first_chunk().map(|errno| c_int::from_be_bytes(*errno)).ok_or(libc::EIO)
}

/// A connection to `pvsim`. One that breaks off is as a device that has gone: `ENODEV`.
struct Connection(c_int);

impl Connection {
    fn open() -> Result<Self, Errno> {
        let simulation = Simulation::of_process().ok_or(libc::ENODEV)?;
        // SAFETY: all bytes zero is a valid value of this struct of numbers.
        let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        if simulation.socket.len() >= address.sun_path.len() {
            return Err(libc::ENODEV);
        }
        for (to, from) in address.sun_path.iter_mut().zip(&simulation.socket) {
            *to = *from as libc::c_char;
        }
        // SAFETY: no pointers are given.
        let socket = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(crate::errno());
        }
        let connection = Self(socket);
        let size = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        // SAFETY: the address is alive and as long as said.
        while unsafe { libc::connect(socket, (&raw const address).cast(), size) } != 0 {
            if crate::errno() != libc::EINTR {
                return Err(libc::ENODEV);
            }
        }
        Ok(connection)
    }

    fn send(&self, parts: &[&[u8]]) -> Result<(), Errno> {
        let body = parts.concat();
        let frame = [&(body.len() as u32).to_be_bytes()[..], &body].concat();
        self.repeat(frame.len(), |done| {
            let rest = &frame[done..];
            // SAFETY: the buffer is alive and as long as said.
            unsafe { libc::send(self.0, rest.as_ptr().cast::<c_void>(), rest.len(), libc::MSG_NOSIGNAL) }
        })
    }

    fn receive(&self) -> Result<Vec<u8>, Errno> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.fill(&mut body)?;
        Ok(body)
    }

    fn fill(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        let length = buffer.len();
        self.repeat(length, |done| {
            let rest = &mut buffer[done..];
            // SAFETY: the buffer is alive and as long as said.
            unsafe { libc::recv(self.0, rest.as_mut_ptr().cast::<c_void>(), rest.len(), 0) }
        })
    }

    /// Calls `step` with how much is done until all of `length` is.
    fn repeat(&self, length: usize, mut step: impl FnMut(usize) -> isize) -> Result<(), Errno> {
        let mut done = 0;
        while done < length {
            match step(done) {
                moved if moved > 0 => done += moved as usize,
                -1 if crate::errno() == libc::EINTR => {}
                _ => return Err(libc::ENODEV),
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used again.
        unsafe { libc::close(self.0) };
    }
}
