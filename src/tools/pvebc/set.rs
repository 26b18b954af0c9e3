//! A set of add-secret requests, read once and checked as a whole before anything of it is used.
//!
//! ```text
//! toc.asr ── user data: SHA-256 and path ──▶ toc.pol: a line a request, its tag (32 hexadecimal digits)
//!                                               │
//!                                  *.asr with that tag ── user data: SHA-256 and path ──▶ its policy, if any
//! ```
//!
//! Whoever changes, adds, removes or swaps a file of the set changes a tag or a hash. The tag of `toc.asr` is checked by
//! the ultravisor alone.

use super::folder::Folder;
use anyhow::{Context, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use uvdevice::abi::ADD_SECRET_MAX;
use uvrequest::secret::{AddSecretRequestView, VerifiedUserData};
use uvtypes::SecretId;

/// The key that has to have signed the root.
#[cfg(feature = "workstation")]
pub(super) type Signer = openssl::pkey::PKey<openssl::pkey::Public>;
/// Without OpenSSL, nobody's signature can be checked: there is no such key.
#[cfg(not(feature = "workstation"))]
pub(super) enum Signer {}

/// A table of contents: no store takes so many secrets that more would make sense.
const MAX_TOC: usize = 1 << 20;
/// As `pvsecret create --policy` takes it.
const MAX_POLICY: usize = 64 << 20;
/// Size of SHA-256, in front of the path that it belongs to.
const HASH: usize = 32;

/// A policy that a request refers to, and whose hash was found right.
pub(super) struct Policy {
    pub(super) name: PathBuf,
    pub(super) hash: [u8; HASH],
}

/// A request of a set.
pub(super) struct Request {
    pub(super) name: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) tag: [u8; 16],
    pub(super) id: Option<SecretId>,
    pub(super) policy: Option<Policy>,
}

/// A set whose parts belong together: `requests[0]` is the root, the others follow in the order of the table of contents.
pub(super) struct Set {
    pub(super) requests: Vec<Request>,
    /// Files that look like requests and are none of the set, with the reason if they could not be read.
    pub(super) ignored: Vec<(PathBuf, Option<anyhow::Error>)>,
}

impl Set {
    /// Reads and checks the set of `root`. With `signer`, the root has to be signed by its key: else anybody can make a
    /// set of their own for a known host key.
    pub(super) fn load(root: &Path, signer: Option<&Signer>) -> anyhow::Result<Self> {
        let name = root.file_name().map(PathBuf::from);
        let name = name.with_context(|| format!("'{}' does not name a file", root.display()))?;
        let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = Folder::open(parent)?;
        let mut policies = Policies { folder: &folder, hashes: HashMap::new(), first: None };

        let what = || format!("Cannot use '{}'", folder.display(&name));
        let bytes = folder.read(&name, ADD_SECRET_MAX).with_context(what)?;
        let root = request(name.clone(), bytes, signer, &mut policies).with_context(what)?;
        let reference = root.policy.as_ref().ok_or_else(|| {
            anyhow!(
                "'{}' does not refer to a table of contents; 'pvsecret create --policy FILE' makes it do so",
                folder.display(&name)
            )
        })?;
        let toc_path = folder.display(&reference.name);
        let cannot = || format!("Cannot use the table of contents '{toc_path}'");
        // The bytes whose hash was compared.
        let text = policies.first.take().unwrap_or_default();
        ensure!(text.len() <= MAX_TOC, "{}: it is larger than {MAX_TOC} bytes", cannot());
        let tags = parse_toc(&text).with_context(cannot)?;
        ensure!(
            !tags.contains_key(&root.tag),
            "The table of contents '{toc_path}' lists '{}' itself",
            folder.display(&name)
        );

        let mut found: HashMap<[u8; 16], (PathBuf, Vec<u8>)> = HashMap::new();
        let mut ignored = Vec::new();
        for candidate in folder.requests()? {
            if candidate == name {
                continue;
            }
            match folder.read_if(&candidate, ADD_SECRET_MAX, |tag| tags.contains_key(tag)) {
                Ok(Some(bytes)) => {
                    let tag = tag_of(&bytes).filter(|tag| tags.contains_key(tag));
                    let tag =
                        tag.with_context(|| format!("'{}' changed while it was read", folder.display(&candidate)))?;
                    match found.get(&tag) {
                        Some((_, same)) if *same == bytes => ignored.push((candidate, None)),
                        Some((other, _)) => bail!(
                            "'{}' and '{}' have the same tag and differ: one of them is forged",
                            folder.display(other),
                            folder.display(&candidate)
                        ),
                        None => drop(found.insert(tag, (candidate, bytes))),
                    }
                }
                Ok(None) => ignored.push((candidate, None)),
                Err(error) => ignored.push((candidate, Some(error))),
            }
        }

        let mut requests = vec![root];
        let mut ids: HashMap<SecretId, PathBuf> = HashMap::new();
        let mut order: Vec<_> = tags.into_iter().collect();
        order.sort_by_cached_key(|(_, line)| *line);
        for (tag, line) in order {
            let Some((name, bytes)) = found.remove(&tag) else {
                let reasons: Vec<_> = ignored
                    .iter()
                    .filter_map(|(name, error)| {
                        error.as_ref().map(|error| format!("; '{}' could not be read: {error:#}", folder.display(name)))
                    })
                    .collect();
                bail!("No request has the tag {} of line {line} of '{toc_path}'{}", hex::encode(tag), reasons.concat());
            };
            let shown = folder.display(&name);
            let request = request(name, bytes, None, &mut policies).with_context(|| format!("Cannot use '{shown}'"))?;
            if let Some(other) = request.id.and_then(|id| ids.insert(id, request.name.clone())) {
                bail!("'{shown}' and '{}' have the same secret id", folder.display(&other));
            }
            requests.push(request);
        }
        Ok(Self { requests, ignored })
    }
}

/// Checks one request and what it refers to.
fn request(
    name: PathBuf,
    bytes: Vec<u8>,
    signer: Option<&Signer>,
    policies: &mut Policies<'_>,
) -> anyhow::Result<Request> {
    let view = AddSecretRequestView::parse(&bytes)?;
    #[cfg(feature = "workstation")]
    let user_data = view.verify_user_data(signer);
    #[cfg(not(feature = "workstation"))]
    let user_data = view.unsigned_user_data();
    let user_data = match (signer, user_data) {
        // Signed by somebody: what it says binds nobody here, its tag stands in the table.
        (None, Err(uvrequest::Error::SignatureWithoutCertificate(_))) => VerifiedUserData::None,
        (_, result) => result?,
    };
    ensure!(
        signer.is_none() || matches!(user_data, VerifiedUserData::Signed(_)),
        "expected user data signed by the key of the certificate, found none"
    );
    let policy = match user_data {
        VerifiedUserData::None => None,
        VerifiedUserData::Unsigned(data) | VerifiedUserData::Signed(data) => policies.of(data)?,
    };
    let (tag, id) = (view.tag(), view.secret_id());
    Ok(Request { name, tag, id, policy, bytes })
}

/// The policies of a folder, each read once.
struct Policies<'a> {
    folder: &'a Folder,
    hashes: HashMap<PathBuf, [u8; HASH]>,
    /// The bytes of the first one: the table of contents, which the root refers to.
    first: Option<Vec<u8>>,
}

impl Policies<'_> {
    /// The policy that user data refers to: its SHA-256, then its path up to a NUL. A hash of zeros refers to none.
    fn of(&mut self, user_data: &[u8]) -> anyhow::Result<Option<Policy>> {
        let Some((hash, path)) = user_data.split_first_chunk::<HASH>() else { return Ok(None) };
        if hash.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
        let name = PathBuf::from(OsStr::from_bytes(path.get(..end).unwrap_or_default()));
        let shown = self.folder.display(&name);
        let calculated = match self.hashes.get(&name) {
            Some(calculated) => *calculated,
            None => {
                let bytes = self.folder.read(&name, MAX_POLICY);
                let bytes = bytes.with_context(|| format!("Cannot read the policy '{shown}'"))?;
                let calculated = sha256(&bytes);
                if self.hashes.insert(name.clone(), calculated).is_none() && self.hashes.len() == 1 {
                    self.first = Some(bytes);
                }
                calculated
            }
        };
        ensure!(
            calculated == *hash,
            "the policy '{shown}' was changed: expected SHA-256 {}, found {}",
            hex::encode(hash),
            hex::encode(calculated)
        );
        Ok(Some(Policy { name, hash: *hash }))
    }
}

/// Tags of a table of contents with their lines, counted from 1.
fn parse_toc(text: &[u8]) -> anyhow::Result<BTreeMap<[u8; 16], usize>> {
    let mut tags = BTreeMap::new();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = number + 1;
        let mut tag = [0; 16];
        let digits = line.strip_suffix(b"\r").unwrap_or(line);
        hex::decode_to_slice(digits, &mut tag)
            .map_err(|_| anyhow!("line {number}: expected 32 hexadecimal digits, found '{}'", digits.escape_ascii()))?;
        if let Some(first) = tags.insert(tag, number) {
            bail!("line {number} repeats line {first}");
        }
    }
    Ok(tags)
}

fn tag_of(request: &[u8]) -> Option<[u8; 16]> {
    request.last_chunk().copied()
}

fn sha256(bytes: &[u8]) -> [u8; HASH] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_contents_has_a_tag_a_line() {
        let (one, two) = ("00112233445566778899aabbccddeeff", "0123456789ABCDEF0123456789abcdef");
        let tags = parse_toc(format!("{two}\n{one}\r\n").as_bytes()).unwrap();
        assert_eq!(tags.values().copied().collect::<Vec<_>>(), [2, 1]);
        let long = format!("{one}\n{one}0");
        let twice = format!("{one}\n{two}\n{one}\n");
        for (text, error) in [
            ("", "line 1: expected 32 hexadecimal digits, found ''"),
            ("\x1b[31m\n", r"line 1: expected 32 hexadecimal digits, found '\x1b[31m'"),
            (&long, "line 2: expected 32"),
            (&twice, "line 3 repeats line 1"),
        ] {
            let found = parse_toc(text.as_bytes()).unwrap_err().to_string();
            assert!(found.starts_with(error), "{text:?}: {found}");
        }
    }
}
