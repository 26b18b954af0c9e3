//! What the firmware below the guest is asked for. Whoever has the machine's state answers.

use crate::{GuestMemory, Ipib};

/// The firmware of a machine: the ultravisor, and what stands behind the AP instructions.
///
/// An error is one of the simulator itself, and ends the machine. A refusal is an answer.
pub trait Firmware {
    /// The loader asks for secure mode: opens the header, unpacks the components where they are in memory, and checks
    /// them. Gives the PSW (mask, address) that the guest starts with.
    ///
    /// # Errors
    /// The simulator failed.
    fn start_secure(&mut self, ipib: &Ipib, memory: &GuestMemory) -> Result<Result<(u64, u64), Refused>, Failure>;

    /// A call of the ultravisor.
    ///
    /// # Errors
    /// The simulator failed.
    fn uv_call(&mut self, call: UvCall) -> Result<UvAnswer, Failure>;

    /// Whether the machine has AP instructions.
    fn has_ap(&self) -> bool;

    /// An AP instruction.
    ///
    /// # Errors
    /// The simulator failed.
    fn ap(&mut self, call: ApCall) -> Result<ApAnswer, Failure>;
}

/// The simulator itself failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Secure mode is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// At what: 2 set header, 3 unpack, 4 verify.
    pub command: u16,
    /// Return code.
    pub rc: u16,
    /// Reason code.
    pub rrc: u16,
}

/// A call that a guest makes to the ultravisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UvCall {
    /// What the ultravisor can do.
    Query,
    /// Hashes of the host keys.
    QueryKeys,
    /// A page is to be shared with the host, or not any more.
    Share {
        /// Absolute address.
        page: u64,
        /// Which of the two.
        shared: bool,
    },
    /// Measures the guest.
    Attest {
        /// The attestation request.
        request: Vec<u8>,
        /// What the measurement covers besides.
        user_data: Vec<u8>,
        /// Bytes of the area for the measurement.
        measurement_room: usize,
        /// Bytes of the area for additional data.
        additional_room: usize,
    },
    /// Adds a secret.
    AddSecret(Vec<u8>),
    /// A page of the list.
    ListSecrets {
        /// The smallest index that is wanted.
        start: u16,
    },
    /// Locks the store.
    LockSecrets,
    /// Gives a secret.
    RetrieveSecret {
        /// Which.
        index: u16,
        /// Bytes of the buffer for it.
        room: usize,
    },
}

/// What the ultravisor answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvAnswer {
    /// Return code: 1 done, 0x0100 done and there is more.
    pub rc: u16,
    /// Reason code.
    pub rrc: u16,
    /// What goes into the guest's memory.
    pub data: UvData,
}

/// What a call of the ultravisor gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UvData {
    /// Nothing but the codes.
    Nothing,
    /// What the ultravisor can do.
    Query(Box<QueryInfo>),
    /// For the caller's buffer, or into the control block from offset 0x20 on (hashes of keys).
    Bytes(Vec<u8>),
    /// A measurement.
    Attestation {
        /// Of the guest.
        cuid: [u8; 16],
        /// HMAC.
        measurement: Vec<u8>,
        /// What was asked for besides.
        additional: Vec<u8>,
    },
}

/// What the ultravisor can do, in a query's control block. Bits count from the most significant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the kernel's structure")]
pub struct QueryInfo {
    pub inst_calls_list: [u64; 4],
    pub max_num_sec_conf: u32,
    pub max_guest_stor_addr: u64,
    pub max_guest_cpu_id: u16,
    pub uv_feature_indications: u64,
    pub supp_se_hdr_versions: u64,
    pub supp_se_hdr_pcf: u64,
    pub conf_dump_storage_state_len: u64,
    pub conf_dump_finalize_len: u64,
    pub supp_att_req_hdr_ver: u64,
    pub supp_att_pflags: u64,
    pub supp_add_secret_req_ver: u64,
    pub supp_add_secret_pcf: u64,
    pub supp_secret_types: u64,
    pub max_assoc_secrets: u16,
    pub max_retr_secrets: u16,
}

/// An AP instruction. `apqn` is the card in the upper byte, the domain in the lower.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the variants say")]
pub enum ApCall {
    /// PQAP 0 (TAPQ): state and abilities of a queue.
    Test { apqn: u16 },
    /// PQAP 1 (RAPQ), with the F bit: the queue is unbound, too.
    Reset { apqn: u16, unbinds: bool },
    /// PQAP 2 (ZAPQ).
    Zeroize { apqn: u16 },
    /// PQAP 3 (AQIC): interrupts.
    InterruptControl { apqn: u16 },
    /// PQAP 4 (QCI): cards and domains of the guest.
    Configuration,
    /// PQAP 5 (QACT): as which type of card a queue can be used.
    CompatibleType { apqn: u16 },
    /// PQAP 7 (BAPQ).
    Bind { apqn: u16 },
    /// PQAP 8 (AAPQ).
    Associate { apqn: u16, index: u16 },
    /// NQAP: a message for the card.
    Enqueue { apqn: u16, message_id: u64, message: Vec<u8> },
    /// DQAP: the next reply.
    Dequeue { apqn: u16, room: usize },
    /// Another function of PQAP.
    Unknown { function: u8, apqn: u16 },
}

/// What an AP instruction gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApAnswer {
    /// Status of the queue.
    pub status: ApStatus,
    /// What else there is.
    pub data: ApData,
}

/// The status word of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApStatus {
    /// 0: normal.
    pub response: u8,
    /// The response is about an operation that began earlier.
    pub asynchronous: bool,
    /// Nothing is in the queue.
    pub empty: bool,
    /// A reply can be fetched.
    pub replies_wait: bool,
}

impl ApStatus {
    /// The word.
    pub(crate) fn word(self) -> u64 {
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        flag(self.empty, 0x8000_0000)
            | flag(self.replies_wait, 0x4000_0000)
            | flag(self.asynchronous, 0x0200_0000)
            | u64::from(self.response) << 16
    }
}

/// What an AP instruction gives besides the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ApData {
    /// Nothing.
    #[default]
    Nothing,
    /// For general register 2.
    Register(u64),
    /// For the area at general register 2.
    Configuration(Box<[u8; 128]>),
    /// A reply that is taken out of the queue.
    Reply {
        /// Of the message that it answers.
        message_id: u64,
        /// The reply.
        message: Vec<u8>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words_are_those_of_the_kernel() {
        let status = ApStatus { response: 0x36, asynchronous: true, empty: true, ..ApStatus::default() };
        assert_eq!(status.word(), 0x8236_0000);
        assert_eq!(ApStatus { replies_wait: true, ..ApStatus::default() }.word(), 0x4000_0000);
    }
}
