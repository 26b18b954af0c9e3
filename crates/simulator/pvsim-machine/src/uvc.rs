//! UVC: the guest calls the ultravisor with a control block.
//!
//! Every block begins with u16 length, u16 command, u16 rc, u16 rrc. Source: Linux `arch/s390/include/asm/uv.h`.

use crate::Error;
use crate::cpu::Cpu;
use crate::firmware::{Firmware, QueryInfo, UvAnswer, UvCall, UvData};

const QUERY: u16 = 0x0001;
const QUERY_KEYS: u16 = 0x0002;
const SHARE: u16 = 0x1000;
const UNSHARE: u16 = 0x1001;
const ATTEST: u16 = 0x1020;
const ADD_SECRET: u16 = 0x1031;
const LIST_SECRETS: u16 = 0x1033;
const LOCK_SECRETS: u16 = 0x1034;
const RETRIEVE_SECRET: u16 = 0x1035;

/// The command is not known.
const UNKNOWN_COMMAND: (u16, u16) = (0x0002, 0);
/// The control block is not as long as the command wants it.
const WRONG_LENGTH: (u16, u16) = (0x0005, 0);
/// An address in the control block is none.
const WRONG_ADDRESS: (u16, u16) = (0x0032, 0);
/// Done, and done with more to come.
const DONE: [u16; 2] = [0x0001, 0x0100];

/// More than any request has.
const REQUEST_MAX: usize = 1 << 20;
/// Where an add-secret request says how long it is.
const REQUEST_LENGTH: u64 = 12;
const LIST_PAGE: usize = 0x1000;

/// The control block of a call.
struct Block {
    address: u64,
    bytes: Vec<u8>,
}

impl Block {
    fn u16(&self, offset: usize) -> u16 {
        self.bytes.get(offset..offset + 2).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from(self.u16(offset)) << 16 | u32::from(self.u16(offset + 2))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from(self.u32(offset)) << 32 | u64::from(self.u32(offset + 4))
    }
}

/// Bytes that a command's control block has at least.
fn least(command: u16) -> Option<usize> {
    Some(match command {
        QUERY => 0x20,
        QUERY_KEYS => 0x200,
        SHARE | UNSHARE => 0x30,
        ATTEST => 0x168,
        ADD_SECRET | LIST_SECRETS | RETRIEVE_SECRET => 0x28,
        LOCK_SECRETS => 0x18,
        _ => return None,
    })
}

/// Carries out the call whose control block is at `address`. Gives the condition code; `None` when there is no
/// control block.
pub(crate) fn carry_out(cpu: &mut Cpu<'_>, firmware: &mut impl Firmware, address: u64) -> Result<Option<u8>, Error> {
    let Some(head) = cpu.read(address, 8)? else { return Ok(None) };
    let head = Block { address, bytes: head };
    let (length, command) = (usize::from(head.u16(0)), head.u16(2));
    let codes = match least(command) {
        None => UNKNOWN_COMMAND,
        Some(least) if length < least => WRONG_LENGTH,
        Some(_) => {
            let Some(bytes) = cpu.read(address, length)? else { return Ok(None) };
            call(cpu, firmware, command, &Block { address, bytes })?
        }
    };
    let written = cpu.write(address + 4, &[codes.0.to_be_bytes(), codes.1.to_be_bytes()].concat())?;
    Ok(written.then(|| u8::from(!DONE.contains(&codes.0))))
}

fn call(cpu: &mut Cpu<'_>, firmware: &mut impl Firmware, command: u16, block: &Block) -> Result<(u16, u16), Error> {
    let call = match command {
        QUERY => UvCall::Query,
        QUERY_KEYS => UvCall::QueryKeys,
        SHARE | UNSHARE => UvCall::Share { page: block.u64(0x20), shared: command == SHARE },
        ATTEST => {
            let Some(request) = request(cpu, block.u64(0x18))? else { return Ok((0x0103, 0)) };
            let room = |length| usize::try_from(length).unwrap_or(usize::MAX);
            let length = usize::from(block.u16(0x2e));
            // A length beyond the field is for the ultravisor to refuse.
            let mut user_data = block.bytes.get(0x30..0x130).unwrap_or_default().to_vec();
            user_data.resize(length, 0);
            UvCall::Attest {
                request,
                user_data,
                measurement_room: room(block.u32(0x13c)),
                additional_room: room(block.u32(0x15c)),
            }
        }
        ADD_SECRET => match request(cpu, block.u64(0x20))? {
            Some(request) => UvCall::AddSecret(request),
            None => return Ok((0x0103, 0)),
        },
        LIST_SECRETS => UvCall::ListSecrets { start: block.u16(0x1e) },
        LOCK_SECRETS => UvCall::LockSecrets,
        _ => {
            let room = usize::try_from(block.u32(0x1c)).unwrap_or(usize::MAX);
            UvCall::RetrieveSecret { index: block.u16(0x18), room }
        }
    };
    let UvAnswer { rc, rrc, data } = firmware.uv_call(call).map_err(Error::Firmware)?;
    let written = match data {
        UvData::Nothing => true,
        UvData::Query(info) => {
            let filled = query(&info, block.bytes.len());
            cpu.write(block.address + 0x10, filled.get(0x10..).unwrap_or_default())?
        }
        UvData::Bytes(hashes) if command == QUERY_KEYS => cpu.write(block.address + 0x20, &hashes)?,
        UvData::Bytes(mut bytes) => {
            if command == LIST_SECRETS {
                bytes.resize(LIST_PAGE, 0);
            }
            cpu.write(block.u64(0x20), &bytes)?
        }
        UvData::Attestation { cuid, measurement, additional } => {
            cpu.write(block.u64(0x140), &measurement)?
                && cpu.write(block.u64(0x160), &additional)?
                && cpu.write(block.address + 0x148, &cuid)?
                && cpu.write(block.address + 0x15c, &(additional.len() as u32).to_be_bytes())?
        }
    };
    Ok(if written { (rc, rrc) } else { WRONG_ADDRESS })
}

/// A request says in its own head, at offset 12, how long it is: the control block does not.
fn request(cpu: &mut Cpu<'_>, address: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some(length) = cpu.read(address.wrapping_add(REQUEST_LENGTH), 4)? else { return Ok(None) };
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    // At least the head, for the ultravisor to see what is wrong with it.
    cpu.read(address, length.clamp(16, REQUEST_MAX))
}

/// A query's control block with so many bytes.
fn query(info: &QueryInfo, length: usize) -> Vec<u8> {
    let mut block = vec![0; 0x120];
    let mut put = |offset: usize, bytes: &[u8]| block[offset..offset + bytes.len()].copy_from_slice(bytes);
    for (number, calls) in info.inst_calls_list.iter().enumerate() {
        put(0x10 + 8 * number, &calls.to_be_bytes());
    }
    put(0x7c, &info.max_num_sec_conf.to_be_bytes());
    put(0x80, &info.max_guest_stor_addr.to_be_bytes());
    put(0x9e, &info.max_guest_cpu_id.to_be_bytes());
    put(0xa0, &info.uv_feature_indications.to_be_bytes());
    put(0xb0, &info.supp_se_hdr_versions.to_be_bytes());
    put(0xb8, &info.supp_se_hdr_pcf.to_be_bytes());
    put(0xc8, &info.conf_dump_storage_state_len.to_be_bytes());
    put(0xd0, &info.conf_dump_finalize_len.to_be_bytes());
    put(0xe0, &info.supp_att_req_hdr_ver.to_be_bytes());
    put(0xe8, &info.supp_att_pflags.to_be_bytes());
    put(0xf8, &info.supp_add_secret_req_ver.to_be_bytes());
    put(0x100, &info.supp_add_secret_pcf.to_be_bytes());
    put(0x108, &info.supp_secret_types.to_be_bytes());
    put(0x110, &info.max_assoc_secrets.to_be_bytes());
    put(0x112, &info.max_retr_secrets.to_be_bytes());
    block.truncate(length);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_fills_no_more_than_the_block_has() {
        let info = QueryInfo { inst_calls_list: [1, 2, 3, 4], max_retr_secrets: 0x1234, ..QueryInfo::default() };
        let block = query(&info, 0x200);
        assert_eq!(block[0x10..0x20], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(block[0x112..0x114], [0x12, 0x34]);
        // Kernels before 6.13 have a shorter one.
        assert_eq!(query(&info, 0x100).len(), 0x100);
    }

    #[test]
    fn words_of_a_block_are_big_endian() {
        let block = Block { address: 0, bytes: (0..16).collect() };
        assert_eq!((block.u16(2), block.u32(4), block.u64(8)), (0x0203, 0x0405_0607, 0x0809_0a0b_0c0d_0e0f));
        assert_eq!(block.u64(12), 0x0c0d_0e0f_0000_0000);
    }
}
