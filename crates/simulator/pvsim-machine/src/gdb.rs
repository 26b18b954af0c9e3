//! A client of QEMU's debugger interface (the GDB remote serial protocol), with the few packets that are needed.
//!
//! Registers of s390x, as QEMU numbers them: 0 PSW mask, 1 PSW address, 2 to 17 the general registers. Memory is that
//! which the CPU sees: its address space, translated, prefixed.

use crate::Error;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Bytes of memory in one packet: QEMU takes packets of 4096 characters.
const CHUNK: usize = 2000;
/// No answer takes longer, however busy the machine is.
const ANSWER: Duration = Duration::from_secs(60);
/// How the answer begins that a breakpoint, a step or an interrupt has stopped the machine.
const TRAP: &str = "T05";
/// How many registers are read at once.
pub(crate) const REGISTERS: usize = 18;

/// A debugged machine.
#[derive(Debug)]
pub(crate) struct Gdb {
    stream: UnixStream,
    received: Vec<u8>,
    /// Whether the other side is still there.
    open: bool,
}

/// Why the machine does not run any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A breakpoint, a step, an interrupt.
    Trap,
    /// It was switched off.
    Off,
}

impl Gdb {
    /// Begins to talk to a machine, which stands still.
    pub(crate) fn new(stream: UnixStream) -> Result<Self, Error> {
        let mut gdb = Self { stream, received: Vec::new(), open: true };
        gdb.ask("qSupported:xmlRegisters=s390")?;
        // Without this question QEMU has no registers to show.
        gdb.ask("qXfer:features:read:target.xml:0,ffb")?;
        Ok(gdb)
    }

    /// All registers that count.
    pub(crate) fn registers(&mut self) -> Result<[u64; REGISTERS], Error> {
        let answer = self.ask("g")?;
        let mut registers = [0; REGISTERS];
        for (register, digits) in registers.iter_mut().zip(answer.as_bytes().chunks_exact(16)) {
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            *register = u64::from_str_radix(digits, 16).map_err(|_| unexpected("registers", &answer))?;
        }
        if answer.len() < 16 * REGISTERS { Err(unexpected("registers", &answer)) } else { Ok(registers) }
    }

    pub(crate) fn set_register(&mut self, number: usize, value: u64) -> Result<(), Error> {
        self.confirm(&format!("P{number:x}={value:016x}"))
    }

    /// Memory as the CPU sees it; `None` if it cannot be read.
    pub(crate) fn read(&mut self, address: u64, length: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = address.wrapping_add(bytes.len() as u64);
            let answer = self.ask(&format!("m{at:x},{:x}", CHUNK.min(length - bytes.len())))?;
            match hex::decode(&answer) {
                Ok(part) if !part.is_empty() => bytes.extend(part),
                _ => return Ok(None),
            }
        }
        bytes.truncate(length);
        Ok(Some(bytes))
    }

    /// Writes to memory as the CPU sees it. Gives whether it could be written.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<bool, Error> {
        let mut at = address;
        for part in bytes.chunks(CHUNK) {
            if self.ask(&format!("M{at:x},{:x}:{}", part.len(), hex::encode(part)))? != "OK" {
                return Ok(false);
            }
            at = at.wrapping_add(part.len() as u64);
        }
        Ok(true)
    }

    pub(crate) fn insert_breakpoint(&mut self, address: u64) -> Result<(), Error> {
        self.confirm(&format!("Z0,{address:x},2"))
    }

    pub(crate) fn remove_breakpoint(&mut self, address: u64) -> Result<(), Error> {
        self.confirm(&format!("z0,{address:x},2"))
    }

    /// Carries out one instruction.
    pub(crate) fn step(&mut self) -> Result<(), Error> {
        self.ask("s").map(drop)
    }

    /// Lets the machine run.
    pub(crate) fn go(&mut self) -> Result<(), Error> {
        self.send("c")
    }

    /// Waits for the machine to stop; `None` when it has not until then.
    pub(crate) fn wait(&mut self, until: Instant) -> Result<Option<Stop>, Error> {
        match self.packet(until)? {
            None => Ok(None),
            Some(packet) if packet.starts_with(TRAP) => Ok(Some(Stop::Trap)),
            // Whatever else stops it (a shutdown, a disabled wait) is its end.
            Some(_) => Ok(Some(Stop::Off)),
        }
    }

    fn confirm(&mut self, text: &str) -> Result<(), Error> {
        match self.ask(text)?.as_str() {
            "OK" => Ok(()),
            other => Err(unexpected("OK", other)),
        }
    }

    fn ask(&mut self, text: &str) -> Result<String, Error> {
        self.send(text)?;
        match self.packet(Instant::now() + ANSWER)? {
            Some(packet) if packet.is_empty() && !self.open => Err(Error::Off),
            Some(packet) => Ok(packet),
            None => Err(unexpected("an answer", "nothing")),
        }
    }

    fn send(&mut self, text: &str) -> Result<(), Error> {
        let sum = text.bytes().fold(0_u8, u8::wrapping_add);
        match self.stream.write_all(format!("${text}#{sum:02x}").as_bytes()) {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Err(Error::Off),
            written => written.map_err(Error::io("write to the debugger interface")),
        }
    }

    /// The next packet; an empty one when the machine is off, none when the time is over.
    fn packet(&mut self, until: Instant) -> Result<Option<String>, Error> {
        let mut buffer = [0; 8192];
        loop {
            if let Some(packet) = self.take() {
                // A machine that was switched off does not read this any more.
                let _ = self.stream.write_all(b"+");
                return Ok(Some(packet));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left)).map_err(Error::io("wait for the debugger interface"))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.open = false;
                    return Ok(Some(String::new()));
                }
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.open = false;
                    return Ok(Some(String::new()));
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(source) => return Err(Error::Io { what: "read from the debugger interface", source }),
            }
        }
    }

    /// A whole packet of what was received.
    fn take(&mut self) -> Option<String> {
        let start = self.received.iter().position(|byte| *byte == b'$')?;
        let end = start + self.received[start..].iter().position(|byte| *byte == b'#')?;
        if self.received.len() < end + 3 {
            return None;
        }
        let packet = String::from_utf8_lossy(&self.received[start + 1..end]).into_owned();
        self.received.drain(..end + 3);
        Some(packet)
    }
}

fn unexpected(expected: &'static str, found: &str) -> Error {
    Error::Debugger { expected, found: found.chars().take(80).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A machine that answers so, a packet after the other.
    fn machine(answers: &'static [&'static str]) -> (Gdb, thread::JoinHandle<Vec<String>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let answering = thread::spawn(move || {
            let mut other = Gdb { stream: theirs, received: vec![], open: true };
            let mut asked = vec![];
            for answer in answers {
                asked.push(other.packet(Instant::now() + ANSWER).unwrap().unwrap());
                other.send(answer).unwrap();
            }
            asked
        });
        (Gdb { stream: ours, received: vec![], open: true }, answering)
    }

    #[test]
    fn asks_as_the_protocol_wants_it() {
        let (mut gdb, answering) = machine(&["0102", "03", "OK", "E14", "OK", "E01"]);
        assert_eq!(gdb.read(0x1000, 3).unwrap(), Some(vec![1, 2, 3]));
        assert!(gdb.write(0x2000, &[0xab]).unwrap());
        assert_eq!(gdb.read(0x3000, 1).unwrap(), None);
        gdb.set_register(1, 0x1234).unwrap();
        assert!(gdb.insert_breakpoint(0x10).is_err());
        let asked = answering.join().unwrap();
        assert_eq!(asked, ["m1000,3", "m1002,1", "M2000,1:ab", "m3000,1", "P1=0000000000001234", "Z0,10,2"]);
    }

    #[test]
    fn a_machine_that_is_off_has_stopped() {
        let (mut gdb, answering) = machine(&[]);
        answering.join().unwrap();
        assert_eq!(gdb.wait(Instant::now() + ANSWER).unwrap(), Some(Stop::Off));
    }

    #[test]
    fn waiting_ends_with_the_time() {
        let (stream, _other) = UnixStream::pair().unwrap();
        let mut gdb = Gdb { stream, received: vec![], open: true };
        assert_eq!(gdb.wait(Instant::now() + Duration::from_millis(5)).unwrap(), None);
    }
}
