//! The list of the secrets in the store of a guest. Big-endian, as the ultravisor writes it.

use crate::layout::{self, Field, FieldKind};
use crate::{ReadError, Reader, SecretId, SecretKind};

/// List of the secrets in the store, or as much of it as the buffer held.
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
    /// The secrets that are listed, by index.
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
    /// The number by which commands name the secret.
    pub index: u16,
    /// Kind of the secret.
    pub kind: SecretKind,
    /// Bytes that a retrieval gives.
    pub length: u32,
    /// The id by which its owner names the secret.
    pub id: SecretId,
}

/// Reason why bytes are not a list of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretListError {
    /// A list ends before all its entries, or inside its header.
    #[error("the secret list is truncated")]
    Cut(#[from] ReadError),
    /// The list says that it holds more than there is.
    #[error("the secret list says that it holds {listed} of {total} secrets")]
    Total {
        /// Secrets in the list.
        listed: u16,
        /// Secrets in the store.
        total: u16,
    },
}

impl SecretList {
    /// The fields in front of the entries.
    pub const HEADER: &[Field] = &[
        Field::new(0, 2, "number of secrets in this list", FieldKind::Number),
        Field::new(2, 2, "number of secrets in the store", FieldKind::Number),
        Field::new(4, 2, "next valid index", FieldKind::Number),
        Field::reserved(6, 10),
    ];
    /// The fields of an entry.
    pub const ENTRY: &[Field] = &[
        Field::new(0, 2, "index", FieldKind::Number),
        Field::new(2, 2, "kind", FieldKind::SecretKind),
        Field::new(4, 4, "size", FieldKind::Number),
        Field::reserved(8, 8),
        Field::new(16, 32, "id", FieldKind::SecretId),
    ];
    /// Bytes in front of the entries.
    pub const HEADER_SIZE: usize = layout::end(Self::HEADER);
    /// Bytes of an entry.
    pub const ENTRY_SIZE: usize = layout::end(Self::ENTRY);

    /// Reads a list. Bytes behind its last entry are not looked at: the buffer may be larger.
    ///
    /// # Errors
    /// [`SecretListError::Cut`] when `bytes` ends before the last entry, [`SecretListError::Total`] when it lists more
    /// secrets than the store has.
    pub fn parse(bytes: &[u8]) -> Result<Self, SecretListError> {
        let mut reader = Reader::new(bytes);
        let listed = reader.u16("number of listed secrets")?;
        let total = reader.u16("number of secrets in the store")?;
        reader.bytes(Self::HEADER_SIZE - 4, "rest of the list's header")?;
        if listed > total {
            return Err(SecretListError::Total { listed, total });
        }
        let secrets = (0..listed).map(|_| ListedSecret::parse(&mut reader)).collect::<Result<Vec<_>, ReadError>>()?;
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
    fn parse(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        let index = reader.u16("index of a secret")?;
        let kind = SecretKind(reader.u16("kind of a secret")?);
        let length = reader.u32("length of a secret")?;
        reader.bytes(8, "reserved")?;
        Ok(Self { index, kind, length, id: SecretId(reader.array("id of a secret")?) })
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
            assert!(matches!(SecretList::parse(&whole[..length]), Err(SecretListError::Cut(_))), "{length} bytes");
        }
        assert!(!SecretList::parse(&whole).unwrap().is_cut());
    }

    #[test]
    fn refuses_a_list_of_more_than_there_is() {
        let error = SecretList::parse(&page(2, 1, &[])).unwrap_err();
        assert!(matches!(error, SecretListError::Total { listed: 2, total: 1 }), "{error}");
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
    }
}
