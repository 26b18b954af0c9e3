//! A machine in a folder.
//!
//! | file | what |
//! |---|---|
//! | `host.key` | the machine's private host key (PEM) |
//! | `host.crt` | its host-key document |
//! | `signing-key.crt`, `intermediate.crt`, `root-ca.crt` | the certificates behind it |
//! | `signing-key.key` | the key that signs host-key documents, for those of other machines |
//! | `signing-key.crl`, `intermediate.crl`, `root-ca.crl` | their CRLs |
//! | `se.hdr`, `se.img` | the SE header and the boot image around it |
//! | `cck.bin` | the customer-communication key in the header |
//! | `inventory.yaml` | the inventory as it was given, or the one that is taken without |
//! | `settings.json` | what kernel and firmware can do: [`Settings`](crate::Settings) |
//! | `firmware-state.bin` | what attestations report |
//! | `guest.json` | the running guest: [`Guest`], decrypted secrets included |
//! | `faults.json` | what is ordered to go wrong: a list of [`Fault`] |
//! | `ap.json` | the AP bus: settings, cards, queues, what is under way |
//! | `ap-writes.jsonl` | every write to an attribute of the AP bus, a line each: [`crate::ap::LoggedWrite`] |
//! | `lock` | whoever holds its advisory lock may change the files that change |
//!
//! Every file but the list of writes is replaced as a whole, by renaming. So readers need no lock, and a process that is killed leaves the
//! state from before its call or the one after it.

mod boot_image;
mod init;

pub use boot_image::Parts;
pub use init::Kin;

use crate::device::{IoctlAnswer, IoctlCall};
use crate::driver::{Accepted, Errno};
use crate::fault::{self, Action, Fault};
use crate::platform::{BootImage, Platform};
use crate::ultravisor::Ultravisor;
use crate::{Error, Guest, HostKey, image, unpack};
use nix::fcntl::{Flock, FlockArg};
use openssl::x509::X509;
use seimage::ImageKeys;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const HOST_KEY: &str = "host.key";
const HOST_KEY_DOCUMENT: &str = "host.crt";
const HEADER: &str = "se.hdr";
const IMAGE: &str = "se.img";
const CCK: &str = "cck.bin";
const INVENTORY: &str = "inventory.yaml";
const SETTINGS: &str = "settings.json";
const FIRMWARE_STATE: &str = "firmware-state.bin";
const GUEST: &str = "guest.json";
const FAULTS: &str = "faults.json";
const LOCK: &str = "lock";

/// A machine. Several processes may have it open.
#[derive(Clone, Debug)]
pub struct Machine {
    folder: PathBuf,
    platform: Platform,
}

/// The right to change what lasts from call to call. Given back when dropped, or when the process dies.
pub(crate) struct MachineLock<'a> {
    folder: &'a Path,
    lock: Flock<File>,
}

impl Machine {
    /// The machine in `folder`.
    ///
    /// # Errors
    /// [`Error::NoMachine`], or what is wrong with its files.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if !folder.join(GUEST).is_file() {
            return Err(Error::NoMachine(folder.to_owned()));
        }
        let host_key = HostKey::from_pem(&read(folder, HOST_KEY)?)?;
        let firmware_state = read(folder, FIRMWARE_STATE)?;
        let firmware_state = firmware_state
            .try_into()
            .map_err(|_| Error::Content { file: FIRMWARE_STATE, reason: "must have 320 bytes".into() })?;
        let platform = Platform {
            image: BootImage::open(&read(folder, HEADER)?, &host_key)?,
            host_key,
            settings: load(folder, SETTINGS)?,
            firmware_state,
        };
        Ok(Self { folder: folder.to_owned(), platform })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What stays the same from boot to boot.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The inventory file that it was made with.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn inventory(&self) -> Result<String, Error> {
        let bytes = read(&self.folder, INVENTORY)?;
        String::from_utf8(bytes).map_err(|_| Error::Content { file: INVENTORY, reason: "is not UTF-8".into() })
    }

    /// The running guest.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn guest(&self) -> Result<Guest, Error> {
        load(&self.folder, GUEST)
    }

    /// What is ordered to go wrong.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn faults(&self) -> Result<Vec<Fault>, Error> {
        load(&self.folder, FAULTS)
    }

    /// Starts the guest again: a new CUID, an empty store. Faults that were ordered stay.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`], [`Error::OpenSsl`].
    pub fn reboot(&self) -> Result<Guest, Error> {
        let lock = self.lock()?;
        let guest = Guest::boot(&self.platform, lock.guest()?.boot + 1)?;
        lock.save(GUEST, &guest)?;
        self.reboot_bus(&lock)?;
        Ok(guest)
    }

    /// Starts another image: header opened, pages decrypted and compared as the firmware does, then as [`Machine::reboot`].
    /// An image that is refused leaves everything as it is.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::File`], [`Error::Content`], [`Error::OpenSsl`].
    pub fn reboot_with(&mut self, image: &[u8]) -> Result<Guest, Error> {
        let header = unpack::unpack(image, &self.platform.host_key)?.header;
        self.platform.image = BootImage::open(&header, &self.platform.host_key)?;
        let lock = self.lock()?;
        let guest = Guest::boot(&self.platform, lock.guest()?.boot + 1)?;
        replace(&self.folder, IMAGE, image)?;
        replace(&self.folder, HEADER, &header)?;
        replace(&self.folder, CCK, &self.platform.image.secrets.cck)?;
        lock.save(GUEST, &guest)?;
        self.reboot_bus(&lock)?;
        Ok(guest)
    }

    /// Writes an image that boots on this machine, with the flags that the inventory asks for and the CCK that the
    /// machine has.
    ///
    /// # Errors
    /// [`Error::Image`], [`Error::File`], [`Error::OpenSsl`].
    pub fn build_image(&self, parts: Parts<'_>, out: &mut (impl Write + Seek)) -> Result<(), Error> {
        let secrets = &self.platform.image.secrets;
        let mut keys = ImageKeys::random().map_err(|error| Error::Image(error.to_string()))?;
        *keys.cck.expose_mut() = secrets.cck;
        let flags = boot_image::Flags {
            plaintext: if self.platform.image.dump_allowed { image::PCF_DUMP_ALLOWED } else { 0 },
            secret: secrets.secret_control_flags,
        };
        let document = X509::from_pem(&read(&self.folder, HOST_KEY_DOCUMENT)?)?;
        boot_image::create(parts, document, keys, flags, out).map(drop)
    }

    /// A real kernel starts from an image with this header, for which secure mode has been granted. The first guest of a
    /// machine is the one that it was made with: its CUID, secrets and queues are there.
    ///
    /// # Errors
    /// [`Error::Header`], [`Error::File`], [`Error::Content`], [`Error::OpenSsl`].
    pub fn start(&mut self, header: &[u8]) -> Result<(), Error> {
        let image = BootImage::open(header, &self.platform.host_key)?;
        self.platform.image = image;
        let lock = self.lock()?;
        let before = lock.guest()?;
        let first = before.boot == 1 && before.request_tags.is_empty() && !before.locked;
        let mut guest = Guest::boot(&self.platform, before.boot + 1)?;
        if first {
            guest.cuid = before.cuid;
            guest.secrets = before.secrets;
        }
        replace(&self.folder, HEADER, header)?;
        replace(&self.folder, CCK, &self.platform.image.secrets.cck)?;
        lock.save(GUEST, &guest)?;
        self.hand_bus_over(&lock, !first)
    }

    /// Orders a fault.
    ///
    /// # Errors
    /// [`Error::Fault`] when it cannot be, [`Error::File`], [`Error::Content`].
    pub fn order(&self, fault: Fault) -> Result<(), Error> {
        fault.check()?;
        let lock = self.lock()?;
        let mut faults = lock.faults()?;
        faults.push(fault);
        lock.save(FAULTS, &faults)
    }

    /// Orders that nothing goes wrong any more.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn clear_faults(&self) -> Result<(), Error> {
        self.lock()?.save::<[Fault]>(FAULTS, &[])
    }

    /// What happens when a program opens `/dev/uv`: nothing, or the errno that was ordered.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn open_device(&self) -> Result<Option<i32>, Error> {
        if !self.platform.settings.secure_execution {
            return Ok(Some(nix::libc::ENOENT));
        }
        match self.take_matching_fault("uv_open", None)? {
            Some(Action::Errno(errno)) => Ok(Some(errno)),
            Some(Action::Delay(time)) => {
                thread::sleep(Duration::from_millis(time));
                Ok(None)
            }
            Some(Action::ReturnCode(..)) | None => Ok(None),
        }
    }

    /// What an ioctl of `/dev/uv` does. Calls of several processes come one after another, in any order.
    ///
    /// # Errors
    /// Only what is wrong with the simulator: [`Error::File`], [`Error::Content`], [`Error::OpenSsl`].
    pub fn ioctl(&self, call: &IoctlCall) -> Result<IoctlAnswer, Error> {
        let accepted = match Accepted::check(call, self.platform.settings.kernel) {
            Ok(accepted) => accepted,
            Err(Errno(errno)) => return Ok(IoctlAnswer::Errno(errno)),
        };
        match self.take_matching_fault("uv", Some(accepted.command))? {
            Some(Action::Errno(errno)) => return Ok(IoctlAnswer::Errno(errno)),
            Some(Action::ReturnCode(rc, rrc)) => return Ok(IoctlAnswer::Done { rc, rrc, writes: vec![] }),
            // Slow firmware: others are served meanwhile.
            Some(Action::Delay(time)) => thread::sleep(Duration::from_millis(time)),
            None => {}
        }
        let lock = self.lock()?;
        let before = lock.guest()?;
        let mut guest = before.clone();
        let answer = accepted.carry_out(&mut Ultravisor { platform: &self.platform, guest: &mut guest })?;
        if guest != before {
            lock.save(GUEST, &guest)?;
        }
        Ok(answer)
    }

    pub(crate) fn take_matching_fault(
        &self,
        op: &str,
        command: Option<uvdevice::abi::Command>,
    ) -> Result<Option<Action>, Error> {
        // Nearly always there are none, and no lock is needed to see that.
        if self.faults()?.is_empty() {
            return Ok(None);
        }
        let lock = self.lock()?;
        let before = lock.faults()?;
        let mut faults = before.clone();
        let action = fault::take_matching_fault(&mut faults, op, command)?;
        if faults != before {
            lock.save(FAULTS, &faults)?;
        }
        Ok(action)
    }

    pub(crate) fn lock(&self) -> Result<MachineLock<'_>, Error> {
        self.lock_by(self.lock_file()?)
    }

    /// The file whose lock is the right to change the others. Only one thread at a time may use it, or a duplicate of
    /// it, as a lock.
    pub(crate) fn lock_file(&self) -> Result<File, Error> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.folder.join(LOCK));
        file.map_err(|source| Error::File { file: LOCK, source })
    }

    pub(crate) fn lock_by(&self, lock_file: File) -> Result<MachineLock<'_>, Error> {
        let lock = Flock::lock(lock_file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Error::File { file: LOCK, source: errno.into() })?;
        Ok(MachineLock { folder: &self.folder, lock })
    }
}

impl MachineLock<'_> {
    pub(crate) fn guest(&self) -> Result<Guest, Error> {
        load(self.folder, GUEST)
    }

    pub(crate) fn set_guest(&self, guest: &Guest) -> Result<(), Error> {
        self.save(GUEST, guest)
    }

    pub(crate) fn faults(&self) -> Result<Vec<Fault>, Error> {
        load(self.folder, FAULTS)
    }

    pub(crate) fn set_faults(&self, faults: &[Fault]) -> Result<(), Error> {
        self.save(FAULTS, faults)
    }

    /// A note in the lock file itself, for quick looks at what changed.
    pub(crate) fn note(&self) -> Result<u64, Error> {
        let mut note = [0; 8];
        match self.lock.read_at(&mut note, 0) {
            Ok(_) => Ok(u64::from_be_bytes(note)),
            Err(source) => Err(Error::File { file: LOCK, source }),
        }
    }

    pub(crate) fn set_note(&self, note: u64) -> Result<(), Error> {
        let written = self.lock.write_all_at(&note.to_be_bytes(), 0);
        written.map_err(|source| Error::File { file: LOCK, source })
    }

    /// What a file of JSON holds.
    pub(crate) fn load<T: DeserializeOwned>(&self, file: &'static str) -> Result<T, Error> {
        load(self.folder, file)
    }

    pub(crate) fn save<T: Serialize + ?Sized>(&self, file: &'static str, value: &T) -> Result<(), Error> {
        store(self.folder, file, value)
    }
}

fn read(folder: &Path, file: &'static str) -> Result<Vec<u8>, Error> {
    fs::read(folder.join(file)).map_err(|source| Error::File { file, source })
}

fn load<T: DeserializeOwned>(folder: &Path, file: &'static str) -> Result<T, Error> {
    serde_json::from_slice(&read(folder, file)?).map_err(|error| Error::Content { file, reason: error.to_string() })
}

pub(crate) fn store<T: Serialize + ?Sized>(folder: &Path, file: &'static str, value: &T) -> Result<(), Error> {
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|error| Error::Content { file, reason: error.to_string() })?;
    text.push(b'\n');
    replace(folder, file, &text)
}

/// Puts a new file in the place of an old one, for its owner alone. Only one process at a time may do so.
fn replace(folder: &Path, file: &'static str, content: &[u8]) -> Result<(), Error> {
    let new = folder.join(format!("{file}.new"));
    let write = || -> io::Result<()> {
        let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        opened.write_all(content)?;
        fs::rename(&new, folder.join(file))
    };
    write().map_err(|source| Error::File { file, source })
}

#[cfg(test)]
mod tests;
