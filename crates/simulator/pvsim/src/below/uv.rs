//! Calls of the ultravisor, as the kernel makes them.

use crate::fault::Action;
use crate::ultravisor::{Failure, Ultravisor};
use crate::{Error, Machine};
use pvsim_machine::{UvAnswer, UvCall, UvData};
use std::thread;
use std::time::Duration;
use uvdevice::abi::Command;

const DONE: u16 = 0x0001;
const MORE_DATA: u16 = 0x0100;
/// Hashes that a query of keys gives: the host key, the backup host key, 13 reserved.
const KEY_HASHES: usize = 15;

fn answer(rc: u16, data: UvData) -> UvAnswer {
    UvAnswer { rc, rrc: 0, data }
}

/// Carries out a call.
pub(super) fn carry_out(machine: &Machine, call: UvCall) -> Result<UvAnswer, Error> {
    let command = match &call {
        UvCall::Query => return Ok(answer(DONE, UvData::Query(Box::new(machine.query_info())))),
        UvCall::QueryKeys => {
            let mut hashes = machine.platform().host_key.hash().to_vec();
            hashes.resize(32 * KEY_HASHES, 0);
            return Ok(answer(DONE, UvData::Bytes(hashes)));
        }
        UvCall::Share { .. } => return Ok(answer(DONE, UvData::Nothing)),
        UvCall::Attest { .. } => Command::Attest,
        UvCall::AddSecret(_) => Command::AddSecret,
        UvCall::ListSecrets { .. } => Command::ListSecrets,
        UvCall::LockSecrets => Command::LockSecrets,
        UvCall::RetrieveSecret { .. } => Command::RetrieveSecret,
    };
    match machine.take_matching_fault("uv", Some(command))? {
        Some(Action::ReturnCode(rc, rrc)) => return Ok(UvAnswer { rc, rrc, data: UvData::Nothing }),
        Some(Action::Delay(time)) => thread::sleep(Duration::from_millis(time)),
        // An errno is the driver's to give, and here it is the kernel's own.
        Some(Action::Errno(_)) | None => {}
    }
    let lock = machine.lock()?;
    let before = lock.guest()?;
    let mut guest = before.clone();
    let mut uv = Ultravisor { platform: machine.platform(), guest: &mut guest };
    let result = match call {
        UvCall::AddSecret(request) => uv.add_secret(&request).map(|()| answer(DONE, UvData::Nothing)),
        UvCall::ListSecrets { start } => {
            let (page, more) = uv.list_page(start);
            Ok(answer(if more { MORE_DATA } else { DONE }, UvData::Bytes(page)))
        }
        UvCall::LockSecrets => uv.lock_secrets().map(|()| answer(DONE, UvData::Nothing)),
        UvCall::RetrieveSecret { index, room } => {
            uv.retrieve_secret(index, room).map(|secret| answer(DONE, UvData::Bytes(secret)))
        }
        UvCall::Attest { request, user_data, measurement_room, additional_room } => {
            let attested = uv.attest(&request, &user_data, measurement_room, additional_room);
            let cuid = uv.guest.cuid.0;
            attested.map(|attestation| {
                let (measurement, additional) = (attestation.measurement, attestation.additional);
                answer(DONE, UvData::Attestation { cuid, measurement, additional })
            })
        }
        UvCall::Query | UvCall::QueryKeys | UvCall::Share { .. } => Ok(answer(DONE, UvData::Nothing)),
    };
    if guest != before {
        lock.set_guest(&guest)?;
    }
    match result {
        Ok(answer) => Ok(answer),
        Err(Failure::Refused(refusal)) => {
            let (rc, rrc) = refusal.code();
            Ok(UvAnswer { rc, rrc, data: UvData::Nothing })
        }
        Err(Failure::Broken(error)) => Err(error),
    }
}
