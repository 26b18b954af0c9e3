//! Which paths and descriptors are simulated.

use crate::{KeepErrno, client};
use libc::{c_char, c_int};
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

/// What the simulator answers for, and what else it is called.
const SIMULATED_PREFIXES: [(&str, &str); 7] = [
    ("/dev/uv", "/dev/uv"),
    ("/sys/firmware/uv", "/sys/firmware/uv"),
    ("/sys/bus/ap", "/sys/bus/ap"),
    ("/sys/devices/ap", "/sys/devices/ap"),
    ("/run/lock", "/run/lock"),
    ("/run/pvtools", "/run/pvtools"),
    ("/var/lock", "/run/lock"),
];

/// How `pvsim` can be reached, and where the files are.
pub(crate) struct Simulation {
    pub(crate) socket: Vec<u8>,
    root: Vec<u8>,
}

impl Simulation {
    /// That of this process; none when it was not started by `pvsim`.
    pub(crate) fn of_process() -> Option<&'static Self> {
        static SIMULATION: OnceLock<Option<Simulation>> = OnceLock::new();
        let read = || {
            let [socket, root] = ["PVSIM_SOCKET", "PVSIM_ROOT"].map(std::env::var_os);
            Some(Simulation { socket: socket?.into_vec(), root: root?.into_vec() })
        };
        SIMULATION.get_or_init(read).as_ref()
    }

    /// `path` as the program should see it, if it is one below the root folder.
    pub(crate) fn shown<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        path.strip_prefix(self.root.as_slice()).filter(|rest| rest.first() == Some(&b'/'))
    }
}

/// A path that is led elsewhere.
pub(crate) struct Place {
    /// As the program means it: absolute, `/dev/uv` or below one of the folders.
    pub(crate) name: Vec<u8>,
    /// Where it is led.
    pub(crate) real: CString,
    /// Outside of the simulation: a way back out of it, such as `..` in `/sys/bus/ap`.
    outside: bool,
}

impl Place {
    /// Where `path`, looked up from `folder`, is led; `None` for all paths that are not simulated.
    ///
    /// # Safety
    /// `path` is null or a C string.
    pub(crate) unsafe fn of(folder: c_int, path: *const c_char) -> Option<Self> {
        let simulation = Simulation::of_process()?;
        if path.is_null() {
            return None;
        }
        // SAFETY: it is a C string, as the caller promises.
        let path = unsafe { CStr::from_ptr(path) }.to_bytes();
        if path.is_empty() {
            return None;
        }
        let _errno = KeepErrno::new();
        let mut whole = vec![];
        let mut inside = false;
        if path[0] != b'/' {
            let base = if folder == libc::AT_FDCWD { working_folder() } else { target(folder) }?;
            match simulation.shown(&base) {
                Some(shown) => {
                    inside = true;
                    whole.extend_from_slice(shown);
                }
                None => whole.extend_from_slice(&base),
            }
            whole.push(b'/');
        }
        whole.extend_from_slice(path);
        let name = plain(simulation.shown(&whole).unwrap_or(&whole));
        for (prefix, other) in SIMULATED_PREFIXES {
            let Some(rest) = name.strip_prefix(prefix.as_bytes()) else { continue };
            if !rest.is_empty() && rest[0] != b'/' {
                continue;
            }
            let name = [other.as_bytes(), rest].concat();
            let real = CString::new([simulation.root.as_slice(), &name].concat()).ok()?;
            return Some(Self { name, real, outside: false });
        }
        let host = CString::new(name.clone()).ok()?;
        // A folder around the simulated ones that this machine lacks, such as /sys/firmware.
        if is_around(&name) && !exists(&host) {
            let real = CString::new([simulation.root.as_slice(), &name].concat()).ok()?;
            return Some(Self { name, real, outside: true });
        }
        // The kernel cannot take the way through a folder that it does not have.
        let through = is_around(&name) && path.windows(2).any(|two| two == b"..");
        (inside || through).then_some(Self { name, real: host, outside: true })
    }

    /// Whether `pvsim` has to be asked. The files of `/run` are ordinary files.
    pub(crate) fn is_served(&self) -> bool {
        !self.outside && is_served(&self.name)
    }

    /// Lets `pvsim` bring the folder or the file up to date. What is wrong shows when the file is looked at.
    pub(crate) fn prepare(&self) {
        if self.is_served() {
            let _errno = KeepErrno::new();
            let _ = client::prepare(&self.name);
        }
    }
}

/// Whether `name` is a folder above a simulated one.
fn is_around(name: &[u8]) -> bool {
    let below =
        |(prefix, _): &(&str, _)| prefix.as_bytes().strip_prefix(name).is_some_and(|rest| rest.starts_with(b"/"));
    SIMULATED_PREFIXES.iter().any(below)
}

fn exists(path: &CStr) -> bool {
    let next = crate::next::next!(c"access", fn(*const c_char, c_int) -> c_int);
    // SAFETY: the path is a C string.
    unsafe { next(path.as_ptr(), libc::F_OK) == 0 }
}

fn is_served(name: &[u8]) -> bool {
    name == b"/dev/uv" || name.starts_with(b"/sys/")
}

/// What `file` is in the simulation, if it is a device or attribute of it.
pub(crate) fn simulated(file: c_int) -> Option<Vec<u8>> {
    let simulation = Simulation::of_process()?;
    let _errno = KeepErrno::new();
    // Most writes go to terminals and pipes: no need to look up their names.
    if kind(file)? != libc::S_IFREG {
        return None;
    }
    let target = target(file)?;
    // An attribute's file is replaced when its text changes, and its folder goes when the device does.
    let target = target.strip_suffix(b" (deleted)").unwrap_or(&target);
    simulation.shown(target).filter(|name| is_served(name)).map(<[u8]>::to_vec)
}

/// What `file` is in the simulation, if it is a folder of it.
pub(crate) fn simulated_folder(file: c_int) -> Option<Vec<u8>> {
    let simulation = Simulation::of_process()?;
    let target = target(file)?;
    simulation.shown(&target).filter(|name| is_served(name)).map(<[u8]>::to_vec)
}

/// The file type bits of a descriptor's `st_mode`.
fn kind(file: c_int) -> Option<libc::mode_t> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the buffer is alive and of the right size; a descriptor that is not open gives an error.
    if unsafe { libc::fstat(file, status.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: fstat succeeded, so it filled the buffer.
    let status = unsafe { status.assume_init() };
    Some(status.st_mode & libc::S_IFMT)
}

/// The path behind a descriptor.
fn target(file: c_int) -> Option<Vec<u8>> {
    link_text(&CString::new(format!("/proc/self/fd/{file}")).ok()?)
}

/// The folder that relative paths start from.
pub(crate) fn working_folder() -> Option<Vec<u8>> {
    link_text(c"/proc/self/cwd")
}

fn link_text(link: &CStr) -> Option<Vec<u8>> {
    let mut buffer = vec![0; libc::PATH_MAX as usize];
    let next = crate::next::next!(c"readlink", fn(*const c_char, *mut c_char, usize) -> isize);
    // SAFETY: the path is a C string; the buffer is alive and as long as said.
    let length = unsafe { next(link.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    buffer.truncate(usize::try_from(length).ok()?);
    Some(buffer)
}

/// An absolute path without `.`, `..` and double slashes.
fn plain(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = vec![];
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let mut plain = vec![];
    for part in parts {
        plain.push(b'/');
        plain.extend_from_slice(part);
    }
    if plain.is_empty() { b"/".to_vec() } else { plain }
}
