//! One question of the preload library. The frames are described there, in `pvsim-preload/src/client.rs`.

use super::Guest;
use super::tree::Opening;
use crate::Error;
use crate::device::{IoctlAnswer, IoctlCall};
use nix::errno::Errno;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use uvdevice::abi::{Command, ControlBlock};
use uvtypes::Reader;
use zerocopy::FromBytes;

/// More than any call has; longer frames are none of ours.
const MAX_FRAME: u32 = 16 << 20;
/// Where `uv_rc` and `uv_rrc` stand in the control block.
const RETURN_CODES: u64 = 4;
const DEVICE: &str = "/dev/uv";

pub(super) struct Connection<'a> {
    stream: UnixStream,
    guest: &'a Guest,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: UnixStream, guest: &'a Guest) -> Self {
        Self { stream, guest }
    }

    /// Reads the question and answers it.
    pub(super) fn answer(mut self) -> io::Result<()> {
        let frame = self.receive()?;
        let mut reader = Reader::new(&frame);
        match reader.u8("kind").map_err(malformed)? {
            1 => {
                let name = name(&mut reader)?;
                match self.guest.tree.names(&name) {
                    Ok(names) => self.send(&[&0_u32.to_be_bytes(), names.as_bytes()]),
                    Err(errno) => self.close(Err(errno)),
                }
            }
            2 => {
                let mode = reader.u32("mode").map_err(malformed)?;
                let result = self.open(&name(&mut reader)?, mode);
                self.close(result)
            }
            3 => {
                let length = reader.u32("length of the name").map_err(malformed)? as usize;
                let name = text(reader.bytes(length, "name").map_err(malformed)?)?;
                match self.write(&name, reader.rest()) {
                    Ok(count) => self.send(&[&0_u32.to_be_bytes(), &(count as u32).to_be_bytes()]),
                    Err(errno) => self.close(Err(errno)),
                }
            }
            4 => {
                let number = reader.u64("number").map_err(malformed)?;
                let argument = reader.u64("argument").map_err(malformed)?;
                let errno = self.ioctl(number, argument)?;
                self.send(&[&[3], &errno.to_be_bytes()])
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn open(&self, name: &str, mode: u32) -> Result<(), Errno> {
        let has = |bit| mode & bit != 0;
        let opening = Opening { read: has(1), write: has(2), create: has(4), exclusive: has(8) };
        if name != DEVICE {
            return self.guest.tree.open(name, opening);
        }
        if opening.create && opening.exclusive {
            return Err(Errno::EEXIST);
        }
        match self.guest.machine.open_device() {
            Ok(None) => Ok(()),
            Ok(Some(errno)) => Err(Errno::from_raw(errno)),
            Err(error) => Err(self.on_error(&error)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<usize, Errno> {
        // The device has no such operation.
        if name == DEVICE { Err(Errno::EINVAL) } else { self.guest.tree.write(name, bytes) }
    }

    /// Carries an ioctl out, with the memory of the program. Gives its errno.
    fn ioctl(&mut self, number: u64, address: u64) -> io::Result<i32> {
        // The kernel takes 32 bits of the number.
        let request = number as u32;
        let block = match Command::from_request(request) {
            Some(_) => self.read_memory(address, size_of::<ControlBlock>())?,
            // Refused for its number: its argument may be no address at all.
            None => None,
        };
        let control_block: Option<[u8; size_of::<ControlBlock>()]> = block.and_then(|bytes| bytes.try_into().ok());
        let argument = match &control_block {
            Some(block) => self.read_argument(request, block)?,
            None => None,
        };
        let wanted = argument.as_deref().and_then(|argument| IoctlCall::wanted_arcb(request, argument));
        let arcb = match wanted {
            Some((address, length)) => self.read_memory(address, length)?,
            None => None,
        };
        let call = IoctlCall { request, control_block, argument, arcb };
        let (rc, rrc, writes) = match self.guest.machine.ioctl(&call) {
            Ok(IoctlAnswer::Done { rc, rrc, writes }) => (rc, rrc, writes),
            Ok(IoctlAnswer::Errno(errno)) => return Ok(errno),
            Err(error) => return Ok(self.on_error(&error) as i32),
        };
        for write in writes {
            if !self.write_memory(write.address, &write.bytes)? {
                return Ok(Errno::EFAULT as i32);
            }
        }
        // The structures of this device are the machine's own, in its byte order.
        let codes = [rc.to_ne_bytes(), rrc.to_ne_bytes()].concat();
        let written = self.write_memory(address.wrapping_add(RETURN_CODES), &codes)?;
        Ok(if written { 0 } else { Errno::EFAULT as i32 })
    }

    fn read_argument(&mut self, request: u32, block: &[u8; size_of::<ControlBlock>()]) -> io::Result<Option<Vec<u8>>> {
        let length = IoctlCall::wanted_argument(request, block);
        if length == 0 {
            return Ok(Some(vec![]));
        }
        let address = ControlBlock::read_from_bytes(block).map_or(0, |block| block.argument_addr);
        self.read_memory(address, length)
    }

    fn read_memory(&mut self, address: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        self.send(&[&[1], &address.to_be_bytes(), &(length as u32).to_be_bytes()])?;
        let mut answer = self.receive()?;
        let there = answer.starts_with(&[0; 4]);
        Ok(there.then(|| answer.split_off(4)))
    }

    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> io::Result<bool> {
        self.send(&[&[2], &address.to_be_bytes(), bytes])?;
        Ok(self.receive()? == [0; 4])
    }

    /// Tells what is wrong with the simulator; the program sees an I/O error.
    fn on_error(&self, error: &Error) -> Errno {
        (self.guest.on_error)(error);
        Errno::EIO
    }

    fn close(mut self, result: Result<(), Errno>) -> io::Result<()> {
        let errno = result.map_or_else(|errno| errno as u32, |()| 0);
        self.send(&[&errno.to_be_bytes()])
    }

    fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let body = parts.concat();
        let length = u32::try_from(body.len()).map_err(malformed)?;
        self.stream.write_all(&[&length.to_be_bytes(), body.as_slice()].concat())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > MAX_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }
}

/// The rest of a question: a path. Simulated ones are all ASCII, so no other text is one.
fn name(reader: &mut Reader<'_>) -> io::Result<String> {
    text(reader.rest())
}

fn text(bytes: &[u8]) -> io::Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(malformed)
}

fn malformed<E>(_: E) -> io::Error {
    io::ErrorKind::InvalidData.into()
}
