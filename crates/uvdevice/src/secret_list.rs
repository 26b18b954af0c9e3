//! The list of the secrets in the store. Big-endian, as the ultravisor writes it.

use crate::Error;
use std::fmt;
use std::str::FromStr;
use uvtypes::Reader;

const HEADER_SIZE: usize = 16;
const ENTRY_SIZE: usize = 48;
/// Entries that one page holds.
pub(crate) const ENTRIES_PER_PAGE: usize = (crate::abi::LIST_PAGE - HEADER_SIZE) / ENTRY_SIZE;

/// What the store holds, or as much of it as the buffer did.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | number of entries that follow |
/// | 2 | 2 | secrets in the store |
/// | 4 | 2 | next valid index, 0 at the end |
/// | 6 | 10 | reserved |
/// | 16 | 48 n | entries: [`ListedSecret`] |
///
/// Source: Linux `arch/s390/include/asm/uv.h`, `struct uv_secret_list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretList {
    /// Secrets in the store. May be more than [`SecretList::secrets`].
    pub total: u16,
    /// What is listed, by index.
    pub secrets: Vec<ListedSecret>,
    bytes: Vec<u8>,
}

/// A secret in the store, without the secret.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | index |
/// | 2 | 2 | kind |
/// | 4 | 4 | length |
/// | 8 | 8 | reserved |
/// | 16 | 32 | id |
///
/// Source: Linux `arch/s390/include/asm/uv.h`, `struct uv_secret_list_item_hdr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSecret {
    /// How commands name it.
    pub index: u16,
    /// What it is.
    pub kind: SecretKind,
    /// Bytes that a retrieval gives.
    pub length: u32,
    /// How its owner names it.
    pub id: SecretId,
}

/// How its owner names a secret: the SHA-256 of a name, or the name itself filled with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(pub [u8; 32]);

/// What a secret is, as the ultravisor numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretKind(pub u16);

impl SecretList {
    /// Reads a list. Bytes behind its last entry are not looked at: the buffer may be larger.
    ///
    /// # Errors
    /// [`Error::ListCut`] when `bytes` ends before the last entry, [`Error::ListTotal`] when it lists more secrets
    /// than the store has.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let listed = reader.u16("number of listed secrets")?;
        let total = reader.u16("number of secrets in the store")?;
        reader.bytes(HEADER_SIZE - 4, "rest of the list's header")?;
        if listed > total {
            return Err(Error::ListTotal { listed, total });
        }
        let secrets =
            (0..listed).map(|_| ListedSecret::parse(&mut reader)).collect::<Result<Vec<_>, uvtypes::ReadError>>()?;
        let bytes = bytes.get(..reader.offset()).unwrap_or_default().to_vec();
        Ok(Self { total, secrets, bytes })
    }

    /// Whether the store holds more than is listed.
    pub fn is_cut(&self) -> bool {
        self.secrets.len() < usize::from(self.total)
    }

    /// Header and entries as they were received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl ListedSecret {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, uvtypes::ReadError> {
        let index = reader.u16("index of a secret")?;
        let kind = SecretKind(reader.u16("kind of a secret")?);
        let length = reader.u32("length of a secret")?;
        reader.bytes(8, "reserved")?;
        Ok(Self { index, kind, length, id: SecretId(reader.array("id of a secret")?) })
    }
}

impl SecretId {
    /// The name that the id is: printable ASCII, filled with zeros. `None` for all others, which are hashes.
    pub fn as_name(&self) -> Option<&str> {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        // No line breaks and tabs: a name must not look like another line of the list.
        let printable = name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        if name.is_empty() || !printable || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        std::str::from_utf8(name).ok()
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for SecretId {
    type Err = Error;

    /// `0x` and 64 hex digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64).ok_or(Error::SecretId)?;
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |digit: Option<&u8>| digit.and_then(|digit| char::from(*digit).to_digit(16));
            let (high, low) = digit(pair.first()).zip(digit(pair.get(1))).ok_or(Error::SecretId)?;
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(id))
    }
}

impl SecretKind {
    /// To be associated with a crypto queue.
    pub const ASSOCIATION: Self = Self(0x02);
    /// Data that the guest gets back as they are.
    pub const PLAINTEXT: Self = Self(0x03);

    /// Whether a guest can retrieve such a secret: as it is, or as a protected key.
    pub fn is_retrievable(self) -> bool {
        matches!(self.0, 0x03..=0x0a | 0x11..=0x15)
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0x02 => "Association",
            0x03 => "PLAINTEXT",
            0x04 => "AES-128-KEY",
            0x05 => "AES-192-KEY",
            0x06 => "AES-256-KEY",
            0x07 => "AES-XTS-128-KEY",
            0x08 => "AES-XTS-256-KEY",
            0x09 => "HMAC-SHA-256-KEY",
            0x0a => "HMAC-SHA-512-KEY",
            0x11 => "EC-SECP256R1-PRIVATE-KEY",
            0x12 => "EC-SECP384R1-PRIVATE-KEY",
            0x13 => "EC-SECP521R1-PRIVATE-KEY",
            0x14 => "EC-ED25519-PRIVATE-KEY",
            0x15 => "EC-ED448-PRIVATE-KEY",
            // Meta and update-CCK requests leave nothing in the store.
            0x00 | 0x01 | 0x16 => return write!(f, "Invalid({:#06x})", self.0),
            _ => return write!(f, "Unknown({:#06x})", self.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(listed: u16, total: u16, entries: &[(u16, u16, u32, [u8; 32])]) -> Vec<u8> {
        let mut page = Vec::new();
        page.extend(listed.to_be_bytes());
        page.extend(total.to_be_bytes());
        page.extend([0; 12]);
        for (index, kind, length, id) in entries {
            page.extend(index.to_be_bytes());
            page.extend(kind.to_be_bytes());
            page.extend(length.to_be_bytes());
            page.extend([0; 8]);
            page.extend(id);
        }
        page
    }

    #[test]
    fn reads_header_and_entries_and_nothing_behind() {
        let exact = page(2, 5, &[(0, 2, 32, [1; 32]), (7, 6, 64, [2; 32])]);
        let mut buffer = exact.clone();
        buffer.resize(4096, 0xee);
        let list = SecretList::parse(&buffer).unwrap();
        assert_eq!((list.total, list.is_cut(), list.as_bytes()), (5, true, &exact[..]));
        assert_eq!(list.secrets[1], ListedSecret { index: 7, kind: SecretKind(6), length: 64, id: SecretId([2; 32]) });
    }

    #[test]
    fn refuses_every_cut() {
        let whole = page(2, 2, &[(0, 2, 32, [1; 32]), (1, 3, 16, [2; 32])]);
        for length in 0..whole.len() {
            assert!(matches!(SecretList::parse(&whole[..length]), Err(Error::ListCut(_))), "{length} bytes");
        }
        assert!(!SecretList::parse(&whole).unwrap().is_cut());
    }

    #[test]
    fn refuses_a_list_of_more_than_there_is() {
        let error = SecretList::parse(&page(2, 1, &[])).unwrap_err();
        assert!(matches!(error, Error::ListTotal { listed: 2, total: 1 }), "{error}");
    }

    #[test]
    fn one_page_holds_85() {
        assert_eq!(ENTRIES_PER_PAGE, 85);
    }

    #[test]
    fn shows_ids_that_are_names() {
        let id = |start: &[u8]| {
            let mut id = [0; 32];
            id[..start.len()].copy_from_slice(start);
            SecretId(id)
        };
        let rows: [(&[u8], Option<&str>); 8] = [
            (b"SHORT", Some("SHORT")),
            (b"with blank", Some("with blank")),
            (b"thirty-two bytes, no zero at all", Some("thirty-two bytes, no zero at all")),
            (b"", None),
            (b"two\nlines", None),
            (b"\x1b[2J", None),
            (b"hidden\0tail", None),
            ("caf\u{e9}".as_bytes(), None),
        ];
        for (start, expected) in rows {
            assert_eq!(id(start).as_name(), expected, "{:?}", String::from_utf8_lossy(start));
        }
    }

    #[test]
    fn names_the_kinds() {
        let rows = [
            (0x02, "Association"),
            (0x03, "PLAINTEXT"),
            (0x04, "AES-128-KEY"),
            (0x05, "AES-192-KEY"),
            (0x06, "AES-256-KEY"),
            (0x07, "AES-XTS-128-KEY"),
            (0x08, "AES-XTS-256-KEY"),
            (0x09, "HMAC-SHA-256-KEY"),
            (0x0a, "HMAC-SHA-512-KEY"),
            (0x11, "EC-SECP256R1-PRIVATE-KEY"),
            (0x12, "EC-SECP384R1-PRIVATE-KEY"),
            (0x13, "EC-SECP521R1-PRIVATE-KEY"),
            (0x14, "EC-ED25519-PRIVATE-KEY"),
            (0x15, "EC-ED448-PRIVATE-KEY"),
            (0x00, "Invalid(0x0000)"),
            (0x01, "Invalid(0x0001)"),
            (0x16, "Invalid(0x0016)"),
            (0x0b, "Unknown(0x000b)"),
            (0x99, "Unknown(0x0099)"),
        ];
        for (kind, name) in rows {
            assert_eq!(SecretKind(kind).to_string(), name);
            let retrievable = name.ends_with("-KEY") || name == "PLAINTEXT";
            assert_eq!(SecretKind(kind).is_retrievable(), retrievable, "{name}");
        }
    }

    #[test]
    fn reads_only_whole_ids() {
        let text = format!("0x{}", "0aF".repeat(21) + "1");
        assert_eq!(text.parse::<SecretId>().unwrap().to_string(), text.to_lowercase());
        let digits = &text[2..];
        for wrong in ["", "0x", digits, &text[..65], &format!("{text}0"), &format!("0X{digits}")] {
            assert!(wrong.parse::<SecretId>().is_err(), "{wrong}");
        }
        assert!(format!("0x+{}", &digits[1..]).parse::<SecretId>().is_err());
        assert!(format!("0x\u{e9}{}", &digits[2..]).parse::<SecretId>().is_err());
    }

    proptest! {
        #[test]
        fn reads_what_was_written(
            entries in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u32>(), any::<[u8; 32]>()), 0..100)
        ) {
            let count = u16::try_from(entries.len()).unwrap();
            let bytes = page(count, count, &entries);
            let list = SecretList::parse(&bytes).unwrap();
            let read: Vec<_> = list.secrets.iter().map(|s| (s.index, s.kind.0, s.length, s.id.0)).collect();
            prop_assert_eq!(read, entries);
            prop_assert_eq!(list.as_bytes(), &bytes[..]);
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SecretList::parse(&bytes);
        }

        #[test]
        fn an_id_survives_its_text(id in any::<[u8; 32]>()) {
            prop_assert_eq!(SecretId(id).to_string().parse::<SecretId>().unwrap(), SecretId(id));
        }
    }
}
