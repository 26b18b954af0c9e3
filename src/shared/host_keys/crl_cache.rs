//! CRLs that were downloaded before.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{Uid, UnlinkatFlags, unlinkat};
use openssl::rand::rand_bytes;
use openssl::sha::Sha256;
use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes of one CRL.
pub(super) const MAX_CRL: u64 = 16 << 20;
/// Bytes of the whole cache.
const MAX_CACHE: u64 = 64 << 20;
/// CRLs in the cache.
const MAX_ENTRIES: usize = 256;
/// Names of files that are not complete begin so.
const UNFINISHED: &str = ".new-";
/// How long a file may be incomplete before its writer must be dead.
const WRITING: Duration = Duration::from_secs(60 * 60);

/// The folder `pvtools/crl` in the caller's folder for caches: a file for each pair of address and issuer, with the DER of
/// one CRL. Its time of modification is the CRL's next update.
///
/// Other users are taken for hostile. The cache is used only if every folder on the way to it, and every link, is the
/// caller's or root's, and the last two folders and the file itself are the caller's own and writable by nobody else. So a
/// run as root with another user's HOME has no cache. Files appear by renaming; any number of processes may use the folder.
pub(super) struct CrlCache {
    folder: OwnedFd,
}

/// What stands for a CRL in the cache.
pub(super) struct Key(String);

impl Key {
    /// Of the CRL that the key with this DER signed and that `url` names.
    pub(super) fn new(url: &str, issuer_key: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(&(issuer_key.len() as u64).to_be_bytes());
        hash.update(issuer_key);
        hash.update(url.as_bytes());
        Self(hex::encode(hash.finish()))
    }
}

impl CrlCache {
    /// The cache in `base`, the caller's folder for caches of this program, which is made if need be.
    ///
    /// # Errors
    /// When the way there is not the caller's alone.
    pub(super) fn open(base: &Path) -> io::Result<Self> {
        let parent = base.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let name = base.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        make_folder(parent)?;
        let parent = own_way(parent)?;
        let parent = OwnedFd::from(File::open(parent)?);
        let folder = open_folder(&parent, Path::new(name))?;
        Ok(Self { folder: open_folder(&folder, Path::new("crl"))? })
    }

    /// The CRL that was stored, if it is there.
    ///
    /// # Errors
    /// When something is there that the caller cannot have stored.
    pub(super) fn load(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.folder, key.0.as_str(), flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            file => File::from(file?),
        };
        let facts = file.metadata()?;
        if !facts.is_file() || facts.nlink() != 1 {
            return Err(io::Error::other("expected a regular file with one name"));
        }
        refuse_foreign(&facts)?;
        let mut bytes = Vec::new();
        file.take(MAX_CRL + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_CRL {
            return Err(io::Error::other(format!("it is larger than {MAX_CRL} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Keeps the DER of a verified CRL until its next update, and removes those whose time has come: at `now`, or because
    /// there are too many of them, the next to expire first.
    ///
    /// # Errors
    /// When the file cannot be made or written.
    pub(super) fn store(&self, key: &Key, crl: &[u8], next_update: SystemTime, now: SystemTime) -> io::Result<()> {
        if crl.len() as u64 > MAX_CRL {
            return Err(io::Error::other(format!("it is larger than {MAX_CRL} bytes")));
        }
        self.make_room(crl.len() as u64, now)?;
        let mut random = [0; 12];
        rand_bytes(&mut random)?;
        let unfinished = format!("{UNFINISHED}{}", hex::encode(random));
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.folder, unfinished.as_str(), flags, Mode::from_bits_truncate(0o600))?);
        let written = file
            .write_all(crl)
            .and_then(|()| file.set_times(FileTimes::new().set_modified(next_update)))
            .and_then(|()| Ok(renameat(&self.folder, unfinished.as_str(), &self.folder, key.0.as_str())?));
        if written.is_err() {
            // What is left is removed by a later run.
            let _ = unlinkat(&self.folder, unfinished.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// Removes what expired, what a killed process left, and as many others as make room for `bytes`.
    fn make_room(&self, bytes: u64, now: SystemTime) -> io::Result<()> {
        let mut entries = Vec::new();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        for entry in Dir::openat(&self.folder, ".", flags, Mode::empty())?.iter() {
            let Ok(name) = entry?.file_name().to_str().map(str::to_owned) else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            // Another process may have removed it.
            let Ok(file) = openat(&self.folder, name.as_str(), flags, Mode::empty()) else { continue };
            let facts = File::from(file).metadata()?;
            let modified = facts.modified()?;
            let over = match name.starts_with(UNFINISHED) {
                true => modified.checked_add(WRITING).unwrap_or(modified),
                false => modified,
            };
            entries.push((over, facts.len(), name));
        }
        entries.sort();
        let mut room = MAX_CACHE.saturating_sub(bytes);
        let mut count = MAX_ENTRIES - 1;
        // Those that stay longest first.
        for (over, size, name) in entries.into_iter().rev() {
            if over > now && size <= room && count > 0 {
                room -= size;
                count -= 1;
            } else {
                // A folder that somebody put here stays; it is never read.
                let _ = unlinkat(&self.folder, name.as_str(), UnlinkatFlags::NoRemoveDir);
            }
        }
        Ok(())
    }
}

/// Makes `folder` as `mkdir -p` would, but only what the caller's own folder lacks.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let parent = folder.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = folder.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    make_folder(parent)?;
    let parent = OwnedFd::from(File::open(own_way(parent)?)?);
    if fstat(&parent)?.st_uid != Uid::effective().as_raw() {
        return Err(foreign());
    }
    open_folder(&parent, Path::new(name)).map(drop)
}

/// `path` without links, if nobody but the caller and root had a say in where it leads: each folder and each link on the
/// way is theirs.
fn own_way(path: &Path) -> io::Result<PathBuf> {
    let real = path.canonicalize()?;
    for way in [path, &real] {
        for part in way.ancestors().filter(|part| !part.as_os_str().is_empty()) {
            let owner = fs::symlink_metadata(part)?.uid();
            if owner != 0 && owner != Uid::effective().as_raw() {
                return Err(foreign());
            }
        }
    }
    Ok(real)
}

/// Opens the folder `name` in `parent`, made if it is not there, which must be the caller's own.
fn open_folder(parent: &OwnedFd, name: &Path) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_bits_truncate(0o700)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = File::from(openat(parent, name, flags, Mode::empty())?);
    refuse_foreign(&folder.metadata()?)?;
    Ok(folder.into())
}

fn refuse_foreign(facts: &Metadata) -> io::Result<()> {
    if facts.uid() != Uid::effective().as_raw() || facts.mode() & 0o022 != 0 {
        return Err(foreign());
    }
    Ok(())
}

fn foreign() -> io::Error {
    io::Error::other("it is another user's, or others can write to it")
}
