//! What an EP11 card answers to the two questions that the kernel has itself: about the module, and about a domain.
//!
//! A question is a message of type 6: 0x58 bytes of head, a CPRB of 32 bytes, and the payload in ASN.1: a sequence of
//! octet strings with function, domain, kind of query, and more. The reply is of type 86: 48 bytes of head, the CPRB,
//! the payload. Source: Linux `drivers/s390/crypto/zcrypt_ep11misc.c` and `zcrypt_msgtype6.c`.

use crate::ap::card::Card;
use crate::ap::name::QueueId;
use crate::ap::queue::Queue;

const REQUEST_HEAD: usize = 0x58;
const REPLY_HEAD: u32 = 48;
const CPRB: usize = 32;
/// Where the CPRB has its return code and the length of the payload.
const RETURN_CODE: usize = 16;
const PAYLOAD_LENGTH: usize = 28;
/// FIPS 2009, BSI 2009, FIPS 2011, BSI 2011.
const OPERATION_MODES: u64 = 0x0f;
const API_ORDINAL: u32 = 6;
/// Major and minor.
const FIRMWARE_VERSION: [u8; 4] = [5, 8, 0, 0];
/// Flags of a domain: out of imprint mode, has a current wrapping key.
const NO_IMPRINT: u32 = 0x10;
const CURRENT_VALID: u32 = 0x02;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// Serial number, firmware, modes.
    Module,
    /// The wrapping key.
    Domain,
}

/// The octet strings of a payload.
fn octets(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let (0x30, mut rest, _) = element(payload)? else { return None };
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (0x04, content, behind) = element(rest)? else { return None };
        found.push(content);
        rest = behind;
    }
    Some(found)
}

/// An element: its tag, its content, and what is behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), &rest[2..]),
        _ => return None,
    };
    Some((*tag, rest.get(..length)?, &rest[length..]))
}

/// What a message asks for, if it is one of the two questions.
pub(super) fn query(message: &[u8]) -> Option<Query> {
    match octets(message.get(REQUEST_HEAD + CPRB..)?)?.get(2)?.last()? {
        1 => Some(Query::Module),
        3 => Some(Query::Domain),
        _ => None,
    }
}

/// The reply to such a message.
pub(super) fn reply(message: &[u8], query: Query, card: &Card, queue: &Queue, id: QueueId) -> Option<Vec<u8>> {
    let parts = octets(message.get(REQUEST_HEAD + CPRB..)?)?;
    let [function, domain, ..] = parts.as_slice() else { return None };
    let data = match query {
        Query::Module => module(card),
        Query::Domain => domain_info(queue, id),
    };
    let mut content = Vec::new();
    for part in [*function, *domain, &[0; 4]] {
        content.extend([0x04, u8::try_from(part.len()).ok()?]);
        content.extend(part);
    }
    content.extend([0x04, 0x82]);
    content.extend((data.len() as u16).to_be_bytes());
    content.extend(data);
    let mut payload = vec![0x30, 0x82];
    payload.extend((content.len() as u16).to_be_bytes());
    payload.extend(content);

    let mut cprb = message.get(REQUEST_HEAD..REQUEST_HEAD + CPRB)?.to_vec();
    cprb[RETURN_CODE..RETURN_CODE + 4].fill(0);
    cprb[PAYLOAD_LENGTH..].copy_from_slice(&(payload.len() as u32).to_be_bytes());
    let mut reply = vec![0x00, 0x86, 0x02, 0x00];
    reply.resize(16, 0);
    reply.extend(((CPRB + payload.len()) as u32).to_be_bytes());
    reply.extend(REPLY_HEAD.to_be_bytes());
    reply.resize(REPLY_HEAD as usize, 0);
    reply.extend(cprb);
    reply.extend(payload);
    Some(reply)
}

fn module(card: &Card) -> Vec<u8> {
    let mut data = Vec::new();
    data.extend(API_ORDINAL.to_be_bytes());
    data.extend([0; 4]);
    data.extend(FIRMWARE_VERSION);
    data.extend([0; 96]);
    let serial: Vec<u8> = card.serial.bytes().chain(std::iter::repeat(b' ')).take(16).collect();
    data.extend(serial);
    data.extend(b"2026010100000000");
    data.extend(OPERATION_MODES.to_be_bytes());
    data.extend([0; 40]);
    data
}

fn domain_info(queue: &Queue, id: QueueId) -> Vec<u8> {
    let mut data = Vec::new();
    data.extend(u32::from(id.domain).to_be_bytes());
    data.extend(queue.master_key.map_or([0; 32], |key| key.0));
    data.extend([0; 32]);
    let valid = if queue.master_key.is_some() { CURRENT_VALID } else { 0 };
    data.extend((NO_IMPRINT | valid).to_be_bytes());
    data.extend(OPERATION_MODES.to_be_bytes());
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ap::card::CardType;
    use crate::ap::terms::{End, Mode, Start, Times};

    fn question(kind: u8) -> Vec<u8> {
        let mut message = vec![0; REQUEST_HEAD + CPRB];
        message[REQUEST_HEAD + RETURN_CODE] = 9;
        message.extend([0x30, 0x82, 0, 24]);
        for part in [[0, 1, 0, 38], [0, 0, 0, 0x14], [0, 0, 0, kind], [0, 0, 0, 0]] {
            message.extend([4, 4]);
            message.extend(part);
        }
        message
    }

    #[test]
    fn questions_are_told_apart() {
        assert_eq!(query(&question(1)), Some(Query::Module));
        assert_eq!(query(&question(3)), Some(Query::Domain));
        assert_eq!(query(&question(4)), None);
        for end in 0..question(1).len() {
            assert_eq!(query(&question(1)[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn replies_hold_what_the_machine_has() {
        let card = Card::new(CardType::default(), "93AADEV280000028".into());
        let times = Times { bind: 0, reset: 0, driver: 0, association: 0, rescan: 0 };
        let mut queue = Queue::new(Mode::Ep11, times, End::Ok, Start::Bound);
        queue.master_key = Some(crate::Hex([0xaa; 32]));
        let id = "28.0014".parse().unwrap();
        let module = reply(&question(1), Query::Module, &card, &queue, id).unwrap();
        assert!(module.windows(16).any(|part| part == b"93AADEV280000028"));
        assert_eq!(module[48 + RETURN_CODE], 0);
        let domain = reply(&question(3), Query::Domain, &card, &queue, id).unwrap();
        assert!(domain.windows(32).any(|part| part == [0xaa; 32]));
        let payload = octets(&domain[48 + CPRB..]).unwrap();
        assert_eq!(payload.iter().map(|part| part.len()).collect::<Vec<_>>(), [4, 4, 4, 80]);
    }
}
