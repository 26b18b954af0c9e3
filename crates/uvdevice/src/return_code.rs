//! What the ultravisor answers: return code (rc) and return reason code (rrc).

use crate::abi::Command;
use std::fmt;

/// The verdict on one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnCode {
    /// Return code: what it is.
    pub rc: u16,
    /// Return reason code: detail, for which there is no public table.
    pub rrc: u16,
}

/// One row of the table of return codes.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// The command it is for; `None` for all commands.
    pub command: Option<Command>,
    /// Return code, rc.
    pub rc: u16,
    /// Meaning of the code.
    pub text: &'static str,
}

impl ReturnCode {
    /// The command was carried out: rc 0x0001.
    pub const SUCCESS: Self = Self { rc: 0x0001, rrc: 0 };
    /// Done, and there is more than the buffer holds.
    pub const MORE_DATA: Self = Self { rc: 0x0100, rrc: 0 };

    /// Whether the command was carried out.
    pub fn is_success(self) -> bool {
        self.rc == Self::SUCCESS.rc || self.has_more_data()
    }

    /// Whether the command was carried out, and there is more than the buffer holds.
    pub fn has_more_data(self) -> bool {
        self.rc == Self::MORE_DATA.rc
    }

    /// Meaning of the code for `command`.
    pub fn reason(self, command: Command) -> &'static str {
        REASONS
            .iter()
            .find(|row| row.rc == self.rc && row.command.is_none_or(|of| of == command))
            .map_or("unexpected error-code", |row| row.text)
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x},{:#06x}", self.rc, self.rrc)
    }
}

const fn any(rc: u16, text: &'static str) -> Reason {
    Reason { command: None, rc, text }
}

const fn add(rc: u16, text: &'static str) -> Reason {
    Reason { command: Some(Command::AddSecret), rc, text }
}

const fn lock(rc: u16, text: &'static str) -> Reason {
    Reason { command: Some(Command::LockSecrets), rc, text }
}

const fn attest(rc: u16, text: &'static str) -> Reason {
    Reason { command: Some(Command::Attest), rc, text }
}

const fn retrieve(rc: u16, text: &'static str) -> Reason {
    Reason { command: Some(Command::RetrieveSecret), rc, text }
}

/// Every return code that is documented as a failure. Source: Linux `arch/s390/include/asm/uv.h` and the messages of
/// s390-tools 2.43, whose short texts scripts may look for.
pub const REASONS: &[Reason] = &[
    any(0x0000, "invalid rc"),
    any(0x0002, "invalid UV command"),
    any(0x0005, "request has an invalid size"),
    any(0x0030, "home-space control is wrong: the guest or its kernel is damaged, stop using this guest"),
    any(0x0031, "address translation failed: the guest or its kernel is damaged, stop using this guest"),
    any(0x0032, "invalid address: the guest or its kernel is damaged, stop using this guest"),
    add(0x0101, "not allowed to modify the secret store"),
    add(0x0102, "secret store locked"),
    add(0x0103, "the ultravisor cannot access the request"),
    add(0x0104, "unsupported add secret version"),
    add(0x0105, "invalid request size"),
    add(0x0106, "invalid number of host-keys"),
    add(0x0107, "unsupported flags specified"),
    add(0x0108, "unable to decrypt the request"),
    add(0x0109, "unsupported secret provided"),
    add(0x010a, "invalid length for the specified secret"),
    add(0x010b, "secret store full"),
    add(0x010c, "unable to add secret"),
    add(0x010d, "dump in progress, try again later"),
    lock(0x0101, "not allowed to modify the secret store"),
    lock(0x0102, "secret store already locked"),
    attest(0x0101, "invalid continuation token"),
    attest(0x0102, "user data is longer than 256 bytes"),
    attest(0x0103, "the ultravisor cannot access the attestation request"),
    attest(0x0104, "the ultravisor cannot access the measurement area"),
    attest(0x0105, "the ultravisor cannot access the additional-data area"),
    attest(0x0106, "Unsupported attestation request version"),
    attest(0x0107, "attestation request has a length that is invalid for its version"),
    attest(0x0108, "invalid number of key slots in the attestation request"),
    attest(0x0109, "size of the encrypted area does not fit the measurement key and the optional items"),
    attest(0x010a, "Unsupported plaintext attestation flag set"),
    attest(0x010b, "Unsupported measurement algorithm specified."),
    attest(0x010c, "unable to decrypt the attestation request: no valid key slot for this host"),
    attest(0x010d, "measurement area is too small"),
    attest(0x010e, "additional-data area is too small"),
    retrieve(0x0009, "buffer too small for the secret"),
    retrieve(0x0102, "the ultravisor cannot access the buffer"),
    // The kernel's name for it is UVC_RC_RETR_SECR_BUF_SMALL; 0x0009 is what s390-tools has the same sentence for.
    retrieve(0x0109, "buffer too small for the secret"),
    retrieve(0x010f, "the secret store is empty"),
    retrieve(0x0110, "no secret with this index"),
    retrieve(0x0111, "the secret is not retrievable"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::abi::Command::{AddSecret, Attest, Info, ListSecrets, LockSecrets, RetrieveSecret};

    /// Written down once more from the documents, as (command, rc, words that the reason must have).
    const EXPECTED: &[(Option<Command>, u16, &str)] = &[
        (None, 0x0000, "invalid rc"),
        (None, 0x0002, "invalid UV command"),
        (None, 0x0005, "request has an invalid size"),
        (None, 0x0030, "stop using this guest"),
        (None, 0x0031, "stop using this guest"),
        (None, 0x0032, "stop using this guest"),
        (Some(AddSecret), 0x0101, "not allowed to modify the secret store"),
        (Some(AddSecret), 0x0102, "secret store locked"),
        (Some(AddSecret), 0x0103, "cannot access the request"),
        (Some(AddSecret), 0x0104, "unsupported add secret version"),
        (Some(AddSecret), 0x0105, "invalid request size"),
        (Some(AddSecret), 0x0106, "invalid number of host-keys"),
        (Some(AddSecret), 0x0107, "unsupported flags specified"),
        (Some(AddSecret), 0x0108, "unable to decrypt the request"),
        (Some(AddSecret), 0x0109, "unsupported secret provided"),
        (Some(AddSecret), 0x010a, "invalid length for the specified secret"),
        (Some(AddSecret), 0x010b, "secret store full"),
        (Some(AddSecret), 0x010c, "unable to add secret"),
        (Some(AddSecret), 0x010d, "dump in progress, try again later"),
        (Some(LockSecrets), 0x0101, "not allowed to modify the secret store"),
        (Some(LockSecrets), 0x0102, "secret store already locked"),
        (Some(Attest), 0x0101, "continuation token"),
        (Some(Attest), 0x0102, "longer than 256"),
        (Some(Attest), 0x0103, "attestation request"),
        (Some(Attest), 0x0104, "measurement area"),
        (Some(Attest), 0x0105, "additional-data area"),
        (Some(Attest), 0x0106, "Unsupported attestation request version"),
        (Some(Attest), 0x0107, "length"),
        (Some(Attest), 0x0108, "number of key slots"),
        (Some(Attest), 0x0109, "size of the encrypted area"),
        (Some(Attest), 0x010a, "Unsupported plaintext attestation flag set"),
        (Some(Attest), 0x010b, "Unsupported measurement algorithm specified."),
        (Some(Attest), 0x010c, "unable to decrypt"),
        (Some(Attest), 0x010d, "measurement area is too small"),
        (Some(Attest), 0x010e, "additional-data area is too small"),
        (Some(RetrieveSecret), 0x0009, "buffer too small"),
        (Some(RetrieveSecret), 0x0102, "cannot access the buffer"),
        (Some(RetrieveSecret), 0x0109, "buffer too small"),
        (Some(RetrieveSecret), 0x010f, "store is empty"),
        (Some(RetrieveSecret), 0x0110, "no secret with this index"),
        (Some(RetrieveSecret), 0x0111, "the secret is not retrievable"),
    ];

    #[test]
    fn every_row_has_the_documented_meaning() {
        assert_eq!(EXPECTED.len(), REASONS.len());
        for (command, rc, words) in EXPECTED {
            let commands: &[Command] = command.as_ref().map_or(&Command::ALL, std::slice::from_ref);
            for command in commands {
                let reason = ReturnCode { rc: *rc, rrc: 0 }.reason(*command);
                assert!(reason.contains(words), "{} {rc:#06x}: {reason}", command.name());
            }
        }
    }

    #[test]
    fn a_code_means_nothing_for_other_commands() {
        for command in [Info, ListSecrets] {
            for rc in 0x0101..=0x0111 {
                assert_eq!(ReturnCode { rc, rrc: 0 }.reason(command), "unexpected error-code");
            }
        }
        assert_eq!(ReturnCode { rc: 0x0009, rrc: 0 }.reason(AddSecret), "unexpected error-code");
        assert_eq!(ReturnCode { rc: 0x0103, rrc: 0 }.reason(LockSecrets), "unexpected error-code");
    }

    #[test]
    fn only_two_codes_are_success() {
        let successes: Vec<u16> = (0..=u16::MAX).filter(|rc| ReturnCode { rc: *rc, rrc: 7 }.is_success()).collect();
        assert_eq!(successes, [0x0001, 0x0100]);
        assert!(ReturnCode::MORE_DATA.has_more_data() && !ReturnCode::SUCCESS.has_more_data());
    }

    #[test]
    fn prints_both_codes_with_four_digits() {
        let error = Error::Refused { command: AddSecret, code: ReturnCode { rc: 0x102, rrc: 0x3 } };
        assert_eq!(error.to_string(), "Ultravisor: 'secret store locked' (0x0102,0x0003)");
    }
}
