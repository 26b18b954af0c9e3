//! What `/sys/firmware/uv` shows in the guest.
//!
//! Source: Linux `arch/s390/kernel/uv.c`. Masks are hex without a prefix, counts decimal, `max_address` hex.

use crate::Machine;
use crate::image::{PCF_KNOWN, PCF_PCKMO_HMAC};
use crate::ultravisor::KINDS;
use pvsim_machine::QueryInfo;

/// Bits of the 64-bit masks count from the most significant.
const fn bits(numbers: &[u8]) -> u64 {
    let mut mask = 0;
    let mut at = 0;
    while at < numbers.len() {
        mask |= 1 << (63 - numbers[at]);
        at += 1;
    }
    mask
}

/// Calls of the ultravisor: all up to 33 (retrieve secret) but the reserved one.
const CALLS: u64 = (!0 << (63 - 33)) & !bits(&[10]);
/// Adapter interrupts, AP pass-through and interpretation.
const FEATURES: u64 = bits(&[1, 4, 5]);
/// Version 1 of a format is bit 0.
const VERSION_1: u64 = bits(&[0]);
/// What a header may have, but for PCKMO for HMAC keys: that is taken, and not told. The simulator's choice.
const HEADER_FLAGS: u64 = PCF_KNOWN & !PCF_PCKMO_HMAC;
/// Nonce, two host-key hashes, secret-store hash, firmware state.
const ATTESTATION_FLAGS: u64 = bits(&[1, 2, 3, 4, 5]);
/// Disable dump.
const ADD_SECRET_FLAGS: u64 = bits(&[0]);

impl Machine {
    /// What a kernel hears that asks the ultravisor itself.
    pub(crate) fn query_info(&self) -> QueryInfo {
        let settings = &self.platform().settings;
        let calls = settings.facilities.as_deref().and_then(|text| u64::from_str_radix(text, 16).ok());
        let calls = if settings.secure_execution { calls.unwrap_or(CALLS) } else { 0 };
        let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        QueryInfo {
            inst_calls_list: [calls, 0, 0, 0],
            max_num_sec_conf: 1024,
            max_guest_stor_addr: (1 << 42) - 1,
            max_guest_cpu_id: 247,
            uv_feature_indications: FEATURES,
            supp_se_hdr_versions: VERSION_1,
            supp_se_hdr_pcf: HEADER_FLAGS,
            conf_dump_storage_state_len: 0x10,
            conf_dump_finalize_len: 0x1000,
            supp_att_req_hdr_ver: VERSION_1,
            supp_att_pflags: ATTESTATION_FLAGS,
            supp_add_secret_req_ver: VERSION_1,
            supp_add_secret_pcf: ADD_SECRET_FLAGS,
            supp_secret_types: KINDS,
            max_assoc_secrets: count(settings.max_association),
            max_retr_secrets: count(settings.max_retrievable),
        }
    }

    /// The files below `/sys/firmware/uv`, each with its content.
    pub fn firmware_files(&self) -> Vec<(&'static str, String)> {
        let settings = &self.platform().settings;
        let mask = |mask: u64| format!("{mask:x}\n");
        let count = |count: usize| format!("{count}\n");
        let facilities = settings.facilities.clone().unwrap_or_else(|| format!("{CALLS:x}"));
        vec![
            ("prot_virt_guest", count(settings.secure_execution.into())),
            ("prot_virt_host", count(0)),
            ("query/facilities", format!("{facilities}\n0\n0\n0\n")),
            ("query/feature_indications", mask(FEATURES)),
            ("query/max_address", mask((1 << 42) - 1)),
            ("query/max_assoc_secrets", count(settings.max_association)),
            ("query/max_cpus", count(248)),
            ("query/max_guests", count(1024)),
            ("query/max_retr_secrets", count(settings.max_retrievable)),
            ("query/max_secrets", count(settings.max_secrets)),
            ("query/supp_add_secret_pcf", mask(ADD_SECRET_FLAGS)),
            ("query/supp_add_secret_req_ver", mask(VERSION_1)),
            ("query/supp_att_pflags", mask(ATTESTATION_FLAGS)),
            ("query/supp_att_req_hdr_ver", mask(VERSION_1)),
            ("query/supp_se_hdr_pcf", mask(HEADER_FLAGS)),
            ("query/supp_se_hdr_ver", mask(VERSION_1)),
            ("query/supp_secret_types", mask(KINDS)),
            ("query/dump_cpu_len", mask(0x800)),
            ("query/dump_finalize_len", mask(0x1000)),
            ("query/dump_storage_state_len", mask(0x10)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_count_from_the_most_significant_bit() {
        assert_eq!(VERSION_1, 0x8000_0000_0000_0000);
        assert_eq!(ATTESTATION_FLAGS, 0x7c00_0000_0000_0000);
        assert_eq!(CALLS, 0xffdf_ffff_c000_0000);
        assert_eq!(KINDS, 0x7fe0_7e00_0000_0000);
    }

    #[test]
    fn shows_the_limits_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::init(folder.path(), Some("guest: {max_association: 7}")).unwrap();
        let files = machine.firmware_files();
        let content = |name| files.iter().find(|(file, _)| *file == name).map(|(_, content)| content.as_str());
        assert_eq!(content("prot_virt_guest"), Some("1\n"));
        assert_eq!(content("query/max_assoc_secrets"), Some("7\n"));
        assert_eq!(content("query/facilities"), Some("ffdfffffc0000000\n0\n0\n0\n"));
    }
}
