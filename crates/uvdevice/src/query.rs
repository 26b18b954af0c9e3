//! What the ultravisor says of itself: `/sys/firmware/uv`, made by the kernel (`arch/s390/kernel/uv.c`).
//!
//! | file | text |
//! |---|---|
//! | `prot_virt_guest`, `prot_virt_host` | `1` or `0` |
//! | `query/facilities` | four lines of hex digits without leading zeros, bits counted from the left of 64 |
//! | `query/feature_indications`, `query/supp_*` | one such line |
//! | `query/max_address` | hex digits |
//! | `query/max_*`, all others | a decimal number |

use crate::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use uvtypes::text::shown;

/// The folder with what the ultravisor says.
#[derive(Clone, Debug)]
pub struct UvInfo {
    folder: PathBuf,
}

/// A set of bits, counted from the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits(u64);

/// Side of Secure Execution that a machine is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeStatus {
    /// A Secure Execution guest.
    Guest,
    /// A host of such guests.
    Host,
    /// Neither guest nor host of Secure Execution.
    None,
    /// Guest and host at once, which cannot be.
    Both,
}

impl UvInfo {
    /// Opens what the ultravisor says below `sysfs`, which is `/sys` but in tests. `None` where it says nothing at all.
    pub fn at_sysfs(sysfs: &Path) -> Option<Self> {
        let folder = sysfs.join("firmware/uv");
        folder.is_dir().then_some(Self { folder })
    }

    /// Side of Secure Execution that this machine is on.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn se_status(&self) -> Result<SeStatus, Error> {
        let is = |name| Ok::<_, Error>(self.text(name)?.is_some_and(|text| text.starts_with('1')));
        Ok(match (is("prot_virt_guest")?, is("prot_virt_host")?) {
            (true, false) => SeStatus::Guest,
            (false, true) => SeStatus::Host,
            (false, false) => SeStatus::None,
            (true, true) => SeStatus::Both,
        })
    }

    /// The first 64 bits of a file below `query/`; none without the file, or with an empty one.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::QueryText`].
    pub fn bits(&self, name: &str) -> Result<Option<Bits>, Error> {
        let Some(text) = self.text(&format!("query/{name}"))? else { return Ok(None) };
        let first = text.lines().next().unwrap_or_default().trim();
        if first.is_empty() {
            return Ok(None);
        }
        let digits = first.strip_prefix("0x").unwrap_or(first);
        let bits = u64::from_str_radix(digits, 16).map_err(|_| self.unreadable(name, first, "hex digits"))?;
        Ok(Some(Bits(bits)))
    }

    /// The number in a file below `query/`; none without the file, or with an empty one.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::QueryText`].
    pub fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        self.number_to_base(name, 10, "a decimal number")
    }

    /// The address in a file below `query/`, which is the only number that the kernel writes in hex.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::QueryText`].
    pub fn address(&self, name: &str) -> Result<Option<u64>, Error> {
        self.number_to_base(name, 16, "hex digits")
    }

    fn number_to_base(&self, name: &str, base: u32, wanted: &'static str) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(&format!("query/{name}"))? else { return Ok(None) };
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        u64::from_str_radix(text, base).map(Some).map_err(|_| self.unreadable(name, text, wanted))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Query { path, source }),
        }
    }

    fn unreadable(&self, name: &str, text: &str, wanted: &'static str) -> Error {
        Error::QueryText { path: self.folder.join("query").join(name), text: shown(text), wanted }
    }
}

impl Bits {
    /// Whether `bit`, counted from the most significant, is set.
    pub fn has(self, bit: u32) -> bool {
        bit < 64 && self.0 >> (63 - bit) & 1 == 1
    }

    /// Numbers of the bits that are on, from the left.
    pub fn ones(self) -> impl Iterator<Item = u32> {
        (0..64).filter(move |bit| self.has(*bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(files: &[(&str, &str)]) -> (tempfile::TempDir, UvInfo) {
        let sysfs = tempfile::tempdir().unwrap();
        fs::create_dir_all(sysfs.path().join("firmware/uv/query")).unwrap();
        for (name, text) in files {
            fs::write(sysfs.path().join("firmware/uv").join(name), text).unwrap();
        }
        let query = UvInfo::at_sysfs(sysfs.path()).unwrap();
        (sysfs, query)
    }

    #[test]
    fn tells_whose_side_this_is() {
        for (guest, host, side) in [
            ("1\n", "0\n", SeStatus::Guest),
            ("0\n", "1\n", SeStatus::Host),
            ("0\n", "0\n", SeStatus::None),
            ("1\n", "1\n", SeStatus::Both),
        ] {
            let (_sysfs, query) = query(&[("prot_virt_guest", guest), ("prot_virt_host", host)]);
            assert_eq!(query.se_status().unwrap(), side);
        }
        assert_eq!(query(&[]).1.se_status().unwrap(), SeStatus::None);
    }

    #[test]
    fn counts_bits_from_the_left_of_64_whatever_zeros_are_missing() {
        let (_sysfs, query) = query(&[("query/facilities", "c000000200000001\nffff\n"), ("query/short", "1\n")]);
        let bits = query.bits("facilities").unwrap().unwrap();
        assert_eq!(bits.ones().collect::<Vec<_>>(), [0, 1, 30, 63]);
        assert_eq!(query.bits("short").unwrap().unwrap().ones().collect::<Vec<_>>(), [63]);
        assert!(!bits.has(64));
    }

    #[test]
    fn takes_missing_and_empty_files_for_nothing_said() {
        let (_sysfs, query) = query(&[("query/empty", "\n"), ("query/max_cpus", "247\n")]);
        assert_eq!((query.bits("empty").unwrap(), query.bits("nowhere").unwrap()), (None, None));
        assert_eq!((query.number("empty").unwrap(), query.number("max_cpus").unwrap()), (None, Some(247)));
    }

    #[test]
    fn reads_addresses_in_hex() {
        let (_sysfs, query) = query(&[("query/max_address", "3ffffffffff\n"), ("query/round", "10000000000\n")]);
        assert_eq!(query.address("max_address").unwrap(), Some((1 << 42) - 1));
        assert_eq!(query.address("round").unwrap(), Some(1 << 40));
        assert_eq!(query.address("nowhere").unwrap(), None);
        assert!(query.number("max_address").unwrap_err().to_string().contains("3ffffffffff"));
    }

    #[test]
    fn refuses_other_texts_with_the_file() {
        let (_sysfs, query) = query(&[("query/facilities", "no hex\n"), ("query/max_cpus", "0x10\n")]);
        for error in [query.bits("facilities").unwrap_err(), query.number("max_cpus").unwrap_err()] {
            assert!(error.to_string().contains("/firmware/uv/query/"), "{error}");
        }
    }
}
