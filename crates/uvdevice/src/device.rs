//! The commands, each as one safe method.

use crate::abi::{
    ADD_SECRET_MAX, ADDITIONAL_MAX, ARCB_MAX, Command, InfoArgument, LIST_PAGE, MEASUREMENT_MAX, RETRIEVE_MAX,
    RETRIEVE_MIN, USER_DATA_MAX,
};
use crate::{AttestCall, Driver, Error, Kernel, ReturnCode};
use nix::errno::Errno;
use std::cell::OnceCell;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use uvtypes::{Cuid, SecretBox, SecretList};
use zerocopy::IntoBytes;

/// Pages that the first try to list the store has room for.
const LIST_PAGES: usize = 8;

/// Entries that one page of the list holds.
const ENTRIES_PER_PAGE: usize = (LIST_PAGE - SecretList::HEADER_SIZE) / SecretList::ENTRY_SIZE;
const _: () = assert!(ENTRIES_PER_PAGE == 85);

/// Commands that a guest can give to the ultravisor.
pub trait Ultravisor {
    /// Which commands there are.
    ///
    /// # Errors
    /// [`Error::Ioctl`].
    fn info(&self) -> Result<Info, Error>;

    /// Measures the guest.
    ///
    /// # Errors
    /// Any of [`Error`] but those about opening and about lists.
    fn attest(&self, input: &AttestInput<'_>) -> Result<Attested, Error>;

    /// Adds the secret in `request` to the store.
    ///
    /// # Errors
    /// As for [`Ultravisor::attest`].
    fn add_secret(&self, request: &[u8]) -> Result<(), Error>;

    /// Lists the store: all of it if the kernel can, else what fits on one page.
    ///
    /// # Errors
    /// As for [`Ultravisor::attest`], and those about lists.
    fn list_secrets(&self) -> Result<SecretList, Error>;

    /// Locks the store until the next boot.
    ///
    /// # Errors
    /// As for [`Ultravisor::attest`].
    fn lock_secrets(&self) -> Result<(), Error>;

    /// Retrieves the secret with `index`, which has `length` bytes according to the list.
    ///
    /// # Errors
    /// As for [`Ultravisor::attest`].
    fn retrieve_secret(&self, index: u16, length: u32) -> Result<SecretBox<Vec<u8>>, Error>;
}

/// Commands that exist: bit n, counted from the least significant, stands for the command with number n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Commands of the driver.
    pub driver_commands: u64,
    /// Commands that the ultravisor has too. The bit of [`Command::Info`] is never set.
    pub ultravisor_commands: u64,
}

impl Info {
    /// What a kernel offers that cannot be asked.
    const ATTEST_ONLY: Self =
        Self { driver_commands: Command::Attest.bit(), ultravisor_commands: Command::Attest.bit() };

    fn require(self, command: Command) -> Result<(), Error> {
        if self.driver_commands & command.bit() == 0 {
            return Err(Error::KernelTooOld(command));
        }
        if self.ultravisor_commands & command.bit() == 0 {
            return Err(Error::UltravisorTooOld(command));
        }
        Ok(())
    }
}

/// Input of an attestation.
#[derive(Clone, Copy, Debug)]
pub struct AttestInput<'a> {
    /// The attestation request, 1 byte to 1 MiB.
    pub request: &'a [u8],
    /// User data that the measurement covers, up to 256 bytes.
    pub user_data: &'a [u8],
    /// Bytes of the measurement, 1 to 32768.
    pub measurement_size: usize,
    /// Room for additional data, up to 32768 bytes.
    pub additional_size: usize,
}

/// Result of an attestation, as the ultravisor gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// The measurement: an HMAC over the guest's state.
    pub measurement: Vec<u8>,
    /// Additional data that the request asked for; empty if none.
    pub additional: Vec<u8>,
    /// Configuration unique id of the guest.
    pub cuid: Cuid,
}

/// The ultravisor behind a driver.
#[derive(Debug)]
pub struct UvDevice<D = Kernel> {
    driver: D,
    info: OnceCell<Info>,
}

impl UvDevice {
    /// Opens the device at `path`.
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::Permission`], [`Error::Open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| Error::of_opening(path, source))?;
        Ok(Self::new(Kernel(file)))
    }
}

impl<D: Driver> UvDevice<D> {
    /// The ultravisor behind `driver`.
    pub fn new(driver: D) -> Self {
        Self { driver, info: OnceCell::new() }
    }

    /// Calls `command` if there is one, and turns a refusal into an error.
    fn call(&self, command: Command, argument: &mut [u8]) -> Result<ReturnCode, Error> {
        self.info()?.require(command)?;
        let result = self.driver.call(command, argument);
        judge(command, result)
    }

    fn list_pages(&self, pages: usize) -> Result<SecretList, Error> {
        let mut buffer = vec![0; pages * LIST_PAGE];
        self.call(Command::ListSecrets, &mut buffer)?;
        Ok(SecretList::parse(&buffer)?)
    }
}

impl<D: Driver> Ultravisor for UvDevice<D> {
    fn info(&self) -> Result<Info, Error> {
        if let Some(info) = self.info.get() {
            return Ok(*info);
        }
        let mut argument = InfoArgument::default();
        let info = match judge(Command::Info, self.driver.call(Command::Info, argument.as_mut_bytes())) {
            Ok(_) => Info { driver_commands: argument.supp_uvio_cmds, ultravisor_commands: argument.supp_uv_cmds },
            Err(Error::KernelTooOld(_)) => Info::ATTEST_ONLY,
            Err(error) => return Err(error),
        };
        Ok(*self.info.get_or_init(|| info))
    }

    fn attest(&self, input: &AttestInput<'_>) -> Result<Attested, Error> {
        check_length("an attestation request", input.request.len(), 1, ARCB_MAX)?;
        check_length("user data", input.user_data.len(), 0, USER_DATA_MAX)?;
        // The check above is stricter.
        let user_data_len = u16::try_from(input.user_data.len()).unwrap_or(u16::MAX);
        check_length("a measurement", input.measurement_size, 1, MEASUREMENT_MAX)?;
        check_length("additional data", input.additional_size, 0, ADDITIONAL_MAX)?;
        self.info()?.require(Command::Attest)?;
        let (mut measurement, mut additional) = (vec![0; input.measurement_size], vec![0; input.additional_size]);
        let mut user_data = [0; USER_DATA_MAX];
        for (to, from) in user_data.iter_mut().zip(input.user_data) {
            *to = *from;
        }
        let mut call = AttestCall {
            request: input.request,
            user_data,
            user_data_len,
            measurement: &mut measurement,
            additional: &mut additional,
            additional_len: 0,
            config_uid: [0; 16],
        };
        judge(Command::Attest, self.driver.attest(&mut call))?;
        let (said, cuid) = (call.additional_len, Cuid::from(call.config_uid));
        if said as usize > input.additional_size {
            return Err(Error::Overrun { said, room: input.additional_size });
        }
        additional.truncate(said as usize);
        Ok(Attested { measurement, additional, cuid })
    }

    fn add_secret(&self, request: &[u8]) -> Result<(), Error> {
        check_length("an add-secret request", request.len(), 1, ADD_SECRET_MAX)?;
        self.call(Command::AddSecret, &mut request.to_vec()).map(drop)
    }

    fn list_secrets(&self) -> Result<SecretList, Error> {
        match self.list_pages(LIST_PAGES) {
            // Linux before 6.13 takes one page and nothing else.
            Err(Error::Ioctl { source, .. }) if errno(&source) == Errno::EINVAL => self.list_pages(1),
            Ok(list) if list.is_cut() => {
                // One page more than needed, for what others add meanwhile.
                let larger = self.list_pages(usize::from(list.total).div_ceil(ENTRIES_PER_PAGE) + 1);
                Ok(larger.unwrap_or(list))
            }
            result => result,
        }
    }

    fn lock_secrets(&self) -> Result<(), Error> {
        self.call(Command::LockSecrets, &mut []).map(drop)
    }

    fn retrieve_secret(&self, index: u16, length: u32) -> Result<SecretBox<Vec<u8>>, Error> {
        let length = (length as usize).max(RETRIEVE_MIN);
        check_length("a secret", length, RETRIEVE_MIN, RETRIEVE_MAX)?;
        let mut buffer = SecretBox::new(vec![0; length]);
        for (to, from) in buffer.expose_mut().iter_mut().zip(index.to_be_bytes()) {
            *to = from;
        }
        self.call(Command::RetrieveSecret, buffer.expose_mut())?;
        Ok(buffer)
    }
}

fn judge(command: Command, result: io::Result<ReturnCode>) -> Result<ReturnCode, Error> {
    match result {
        Ok(code) if code.is_success() => Ok(code),
        Ok(code) => Err(Error::Refused { command, code }),
        Err(source) if errno(&source) == Errno::ENOTTY => Err(Error::KernelTooOld(command)),
        Err(source) => Err(Error::Ioctl { command, source }),
    }
}

fn check_length(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), Error> {
    if !(least..=most).contains(&found) {
        return Err(Error::Length { what, found, most, least });
    }
    Ok(())
}

pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

#[cfg(test)]
mod tests;
