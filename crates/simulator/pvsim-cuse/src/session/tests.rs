//! The session against a kernel that does what Linux's `fs/fuse/ioctl.c` does, on a few areas of memory.

use super::*;
use crate::protocol::OutHeader;
use nix::libc::{EINVAL, ENOTTY};
use std::collections::BTreeMap;
use tempfile::TempDir;

const BLOCK_AT: u64 = 0x1000;
const ARGUMENT_AT: u64 = 0x2000;
const FILE: u64 = 1;

struct Kernel {
    session: Session,
    memory: BTreeMap<u64, Vec<u8>>,
    rounds: usize,
    _folder: TempDir,
}

impl Kernel {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::init(&folder.path().join("machine"), None).unwrap();
        Self { session: Session::new(machine), memory: BTreeMap::new(), rounds: 0, _folder: folder }
    }

    fn send(&mut self, opcode: u32, pid: u32, parts: &[&[u8]]) -> (OutHeader, Vec<u8>) {
        let body = parts.concat();
        let len = (size_of::<InHeader>() + body.len()) as u32;
        let header = InHeader { len, opcode, unique: 77, nodeid: 0, uid: 0, gid: 0, pid, padding: 0 };
        let (reply, trouble) = self.session.answer(&[header.as_bytes(), &body].concat()).unwrap();
        assert!(trouble.is_none(), "{trouble:?}");
        let reply = reply.unwrap();
        let (header, body): (OutHeader, _) = take(&reply, "reply").unwrap();
        assert_eq!((header.len as usize, header.unique), (reply.len(), 77));
        (header, body.to_vec())
    }

    /// `ioctl(fd, cmd, arg)`: 0 or the errno.
    fn ioctl(&mut self, cmd: u32, arg: u64) -> i32 {
        let (mut data, mut room) = (Vec::new(), Vec::<Area>::new());
        for round in 1.. {
            assert!(round <= 5, "more rounds than a call has");
            self.rounds = round;
            let out_size = room.iter().map(|area| area.len).sum::<u64>() as u32;
            let call = IoctlIn { fh: FILE, flags: 0, cmd, arg, in_size: data.len() as u32, out_size };
            let (header, body) = self.send(opcode::IOCTL, 9, &[call.as_bytes(), &data]);
            if header.error != 0 {
                return -header.error;
            }
            let (out, mut rest): (IoctlOut, _) = take(&body, "reply").unwrap();
            if out.flags & IOCTL_RETRY == 0 {
                assert_eq!(rest.len(), out_size as usize);
                for area in room {
                    let (bytes, after) = rest.split_at(area.len as usize);
                    rest = after;
                    let Some(memory) = self.memory.get_mut(&area.base) else { return EFAULT };
                    memory[..bytes.len()].copy_from_slice(bytes);
                }
                return out.result;
            }
            let mut areas = Vec::new();
            while !rest.is_empty() {
                let (area, after): (Area, _) = take(rest, "area").unwrap();
                areas.push(area);
                rest = after;
            }
            room = areas.split_off(out.in_iovs as usize);
            assert_eq!(room.len(), out.out_iovs as usize);
            assert!(!areas.is_empty(), "Linux cannot go back to bringing nothing");
            data.clear();
            for area in areas {
                let Some(memory) = self.memory.get(&area.base) else { return EFAULT };
                data.extend_from_slice(&memory[..area.len as usize]);
            }
        }
        0
    }

    /// Calls `command` with an argument at an address of its own; gives the errno and the return code.
    fn call(&mut self, command: Command, argument: Vec<u8>) -> (i32, u16) {
        let block = ControlBlock {
            flags: 0,
            uv_rc: 0,
            uv_rrc: 0,
            argument_addr: if argument.is_empty() { 0 } else { ARGUMENT_AT },
            argument_len: argument.len() as u32,
            reserved14: [0; 44],
        };
        self.memory.insert(BLOCK_AT, block.as_bytes().to_vec());
        self.memory.insert(ARGUMENT_AT, argument);
        let errno = self.ioctl(command.request(), BLOCK_AT);
        (errno, ControlBlock::read_from_bytes(&self.memory[&BLOCK_AT]).unwrap().uv_rc)
    }
}

#[test]
fn greets_the_kernel_in_its_own_version_and_names_the_node() {
    let mut kernel = Kernel::new();
    let greeting = CuseInitIn { major: 7, minor: 36, unused: 0, flags: 1 };
    let (header, body) = kernel.send(opcode::CUSE_INIT, 0, &[greeting.as_bytes()]);
    let (init, name): (CuseInitOut, _) = take(&body, "init").unwrap();
    assert_eq!((header.error, init.major, init.minor, init.flags), (0, 7, 36, CUSE_UNRESTRICTED_IOCTL));
    assert_eq!(name, b"DEVNAME=uv\0");
}

#[test]
fn commands_bring_and_get_what_they_need_and_no_more() {
    let mut kernel = Kernel::new();
    let rows = [
        // command, argument, return code, rounds, whether the argument is written
        (Command::Info, vec![0xee; 16], 0x0001, 3, true),
        (Command::ListSecrets, vec![0xee; 0x1000], 0x0001, 3, true),
        (Command::AddSecret, vec![0xee; 600], 0x0105, 4, false),
        (Command::RetrieveSecret, vec![0; 64], 0x010f, 4, true),
        (Command::LockSecrets, vec![], 0x0001, 3, false),
        (Command::LockSecrets, vec![], 0x0102, 3, false),
    ];
    for (command, argument, rc, rounds, writes) in rows {
        let name = format!("{command:?} {rc:#06x}");
        let result = kernel.call(command, argument.clone());
        assert_eq!((result, kernel.rounds), ((0, rc), rounds), "{name}");
        let retrieved_nothing = command == Command::RetrieveSecret;
        assert_eq!(kernel.memory[&ARGUMENT_AT] != argument, writes && !retrieved_nothing, "{name}");
    }
    assert_eq!(kernel.session.carried_out.len(), 0);
}

#[test]
fn refusals_are_those_of_the_driver() {
    let mut kernel = Kernel::new();
    assert_eq!(kernel.ioctl(0x5401, 0), ENOTTY, "another device's ioctl");
    assert_eq!(kernel.ioctl(Command::Info.request(), 0xdead), EFAULT, "no control block there");
    assert_eq!(kernel.call(Command::ListSecrets, vec![0; 100]).0, EINVAL, "not a page");
    let (errno, _) = kernel.call(Command::Attest, vec![0; size_of::<uvdevice::abi::AttestArgument>()]);
    assert_eq!(errno, EINVAL, "no request");
}

#[test]
fn what_a_killed_caller_left_is_not_given_to_the_next() {
    let mut kernel = Kernel::new();
    let stale = vec![0xaa; BLOCK];
    kernel.session.carried_out.insert((FILE, 9), stale);
    assert_eq!(kernel.call(Command::LockSecrets, vec![]), (0, 0x0001));
    kernel.session.carried_out.insert((FILE, 10), vec![1]);
    kernel.send(opcode::RELEASE, 10, &[&FILE.to_ne_bytes(), &[0; 16]]);
    assert_eq!(kernel.session.carried_out.len(), 0);
}

#[test]
fn a_message_that_is_cut_is_an_error() {
    let mut kernel = Kernel::new();
    let header = InHeader { len: 40, opcode: opcode::IOCTL, unique: 1, nodeid: 0, uid: 0, gid: 0, pid: 1, padding: 0 };
    let call = IoctlIn { fh: 1, flags: 0, cmd: Command::Info.request(), arg: 0, in_size: 8, out_size: 0 };
    let message = [header.as_bytes(), call.as_bytes(), &[0; 8]].concat();
    for length in 0..message.len() {
        assert!(kernel.session.answer(&message[..length]).is_err(), "{length}");
    }
    assert!(kernel.session.answer(&message).is_ok());
}
