//! Faults to order: what shall go wrong, at which call.

use crate::Error;
use crate::ap::faults;
use serde::{Deserialize, Serialize};
use uvdevice::abi::Command;

/// A fault, as the `faults:` of an inventory file states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// At what: `uv` for an ioctl of `/dev/uv`, `uv_open` for its opening; `bind`, `unbind`, `assoc` for writes to the
    /// attributes of queues, `read_ATTRIBUTE` for reads.
    pub op: String,
    /// With `uv`: at this command alone (`add-secret`, `list-secrets`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// With an operation of the AP bus: at this queue, or all of this card, alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// What happens: the name of an errno; `delay:MS`; with `uv`, `rc:0xNNNN` or `rc:0xNNNN,0xNNNN` (with rrc); on the
    /// AP bus, `ignore`, `vanish`, `illicit`, `hostreset`, `hang`; `text:...` for reads; `never`, `async`, `drop`,
    /// `reset`, `other:N` for associations.
    pub act: String,
    /// Calls that are left alone first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip: u64,
    /// Calls that it strikes.
    #[serde(default = "one")]
    pub count: u64,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The system call fails with this errno.
    Errno(i32),
    /// The ultravisor answers this rc and rrc and does nothing.
    ReturnCode(u16, u16),
    /// It takes that many milliseconds longer.
    Delay(u64),
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn one() -> u64 {
    1
}

impl Fault {
    /// Whether this is about `/dev/uv`.
    pub fn is_of_uv(&self) -> bool {
        self.op == "uv" || self.op == "uv_open"
    }

    /// Whether this can be ordered.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn check(&self) -> Result<(), Error> {
        if self.is_of_uv() { self.action().map(drop) } else { faults::act(self).map(drop) }
    }

    /// What this does to `/dev/uv`.
    ///
    /// # Errors
    /// [`Error::Fault`] when no such thing can be ordered.
    pub fn action(&self) -> Result<Action, Error> {
        let wrong = |what: &str| Error::Fault(format!("'{}': {what}", self.act));
        if let Some(command) = &self.command {
            if !Command::ALL.iter().any(|known| known.name() == command) {
                let names: Vec<_> = Command::ALL.iter().map(|known| known.name()).collect();
                return Err(Error::Fault(format!("'{command}' is no command; these are: {}", names.join(", "))));
            }
        }
        let action = if let Some(codes) = self.act.strip_prefix("rc:") {
            let number = |text: &str| {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                u16::from_str_radix(digits, 16).map_err(|_| wrong("a return code is up to four hex digits"))
            };
            let (rc, rrc) = codes.split_once(',').unwrap_or((codes, "0"));
            Action::ReturnCode(number(rc)?, number(rrc)?)
        } else if let Some(time) = self.act.strip_prefix("delay:") {
            Action::Delay(time.parse().map_err(|_| wrong("a delay is a number of milliseconds"))?)
        } else {
            Action::Errno(errno(&self.act).ok_or_else(|| wrong("neither an errno nor rc:0xNNNN nor delay:MS"))?)
        };
        if self.op == "uv_open" && matches!(action, Action::ReturnCode(..)) {
            return Err(wrong("opening a device gives no return code"));
        }
        Ok(action)
    }
}

/// Finds the fault that strikes a call of `op` (with `command`), and counts the call for all that are about it.
/// Used-up faults are dropped.
pub(crate) fn take_matching_fault(
    faults: &mut Vec<Fault>,
    op: &str,
    command: Option<Command>,
) -> Result<Option<Action>, Error> {
    let about = |fault: &Fault| {
        let meant = |name: &str| command.is_some_and(|command| command.name() == name);
        fault.op == op && fault.command.as_deref().is_none_or(meant)
    };
    take_fault_if(faults, about).map(|fault| fault.action()).transpose()
}

/// As [`take_matching_fault`], for the faults that are `about` a call.
pub(crate) fn take_fault_if(faults: &mut Vec<Fault>, about: impl Fn(&Fault) -> bool) -> Option<Fault> {
    let mut struck = None;
    for fault in faults.iter_mut().filter(|fault| about(fault)) {
        if fault.skip > 0 {
            fault.skip -= 1;
        } else if struck.is_none() && fault.count > 0 {
            fault.count -= 1;
            struck = Some(fault.clone());
        }
    }
    faults.retain(|fault| fault.count > 0);
    struck
}

/// The errno with this name, of those that system calls on these files give.
pub(crate) fn errno(name: &str) -> Option<i32> {
    use nix::errno::Errno;
    // The names are those of the enum's variants; there is no list of them in the crate.
    (1..=133)
        .map(Errno::from_raw)
        .find(|errno| *errno != Errno::UnknownErrno && format!("{errno:?}") == name)
        .map(|errno| errno as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(op: &str, command: Option<&str>, act: &str, skip: u64, count: u64) -> Fault {
        Fault { op: op.into(), command: command.map(Into::into), queue: None, act: act.into(), skip, count }
    }

    #[test]
    fn reads_what_can_be_ordered() {
        let rows = [
            ("ENOMEM", Action::Errno(nix::libc::ENOMEM)),
            ("ENODEV", Action::Errno(nix::libc::ENODEV)),
            ("rc:0x010b", Action::ReturnCode(0x10b, 0)),
            ("rc:0x0030,0x0002", Action::ReturnCode(0x30, 2)),
            ("delay:250", Action::Delay(250)),
        ];
        for (act, expected) in rows {
            assert_eq!(fault("uv", None, act, 0, 1).action().unwrap(), expected, "{act}");
        }
        for wrong in ["ENOSUCH", "UnknownErrno", "rc:", "rc:0x12345", "rc:xyz", "delay:", "delay:-1", ""] {
            assert!(fault("uv", None, wrong, 0, 1).action().is_err(), "{wrong}");
        }
        assert!(fault("uv_open", None, "rc:0x0102", 0, 1).action().is_err());
        assert!(fault("uv", Some("add"), "EIO", 0, 1).action().is_err());
    }

    #[test]
    fn strikes_the_ordered_calls_and_no_others() {
        let mut faults = vec![fault("uv", Some("add-secret"), "EIO", 1, 2), fault("uv_open", None, "EACCES", 0, 1)];
        let mut take = |op, command| take_matching_fault(&mut faults, op, command).unwrap();
        assert_eq!(take("uv", Some(Command::LockSecrets)), None);
        assert_eq!(take("uv", Some(Command::AddSecret)), None);
        assert_eq!(take("uv", Some(Command::AddSecret)), Some(Action::Errno(nix::libc::EIO)));
        assert_eq!(take("uv_open", None), Some(Action::Errno(nix::libc::EACCES)));
        assert_eq!(take("uv", Some(Command::AddSecret)), Some(Action::Errno(nix::libc::EIO)));
        assert_eq!(take("uv", Some(Command::AddSecret)), None);
        assert_eq!(take("uv_open", None), None);
        assert_eq!(faults, []);
    }
}
