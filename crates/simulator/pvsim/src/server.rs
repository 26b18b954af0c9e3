//! Programs in the simulated guest: started with the preload library, which asks here what their calls on
//! `/dev/uv` and in `/sys` do.
//!
//! Each [`GuestServer`] serves the programs that it started, by threads of its own process. What lasts is in the machine's
//! folder, so several of them may serve one machine at the same time.

mod connection;
mod firmware;
mod order;
mod sysfs;
mod tree;

pub use sysfs::{Node, Sysfs};

use crate::{Error, Machine};
use connection::Connection;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use tree::Tree;

/// The folder of the machine below which the files stand that programs are led to.
const ROOT: &str = "root";
const LIBRARY: &str = "libpvsim_preload.so";
const PRELOAD: &str = "LD_PRELOAD";

/// The way of programs into a machine's guest. Stays open until it is dropped.
pub struct GuestServer {
    library: PathBuf,
    root: PathBuf,
    /// Holds the socket, for this user alone.
    folder: tempfile::TempDir,
    stopped: Arc<AtomicBool>,
    listener: Arc<Listener>,
}

/// Parts of `/sys`, and where each stands.
pub type Parts = Vec<(&'static str, Box<dyn Sysfs>)>;

/// What all connections share.
struct Guest {
    machine: Machine,
    tree: Tree,
    on_error: fn(&Error),
}

impl GuestServer {
    /// Begins to serve `machine`, and of `/sys/bus/ap` and `/sys/devices/ap` the `parts` that it has. A program whose call meets an error of the simulator itself gets `EIO`, and
    /// `on_error` is told why.
    ///
    /// # Errors
    /// [`Error::NoLibrary`], [`Error::Server`].
    pub fn start(machine: Machine, parts: Parts, on_error: fn(&Error)) -> Result<Self, Error> {
        let library = library()?;
        let wrong = |what| move |source| Error::Server { what, source };
        let root = machine.folder().join(ROOT);
        for folder in ["dev", "run/lock", "sys"] {
            fs::create_dir_all(root.join(folder)).map_err(wrong("a folder for the guest's files"))?;
        }
        let root = root.canonicalize().map_err(wrong("the folder for the guest's files"))?;
        // Only a guest has the device.
        if machine.platform().settings.secure_execution {
            let device = fs::OpenOptions::new().append(true).create(true).open(root.join("dev/uv"));
            device.map_err(wrong("the guest's /dev/uv"))?;
        }
        let mut parts = parts;
        parts.push(("/sys/firmware/uv", Box::new(firmware::Firmware::of(&machine))));
        let tree = Tree::new(&root, parts);
        let folder = tempfile::Builder::new().prefix("pvsim-").tempdir().map_err(wrong("a folder for the socket"))?;
        let listener = UnixListener::bind(folder.path().join("socket")).map_err(wrong("the socket"))?;
        let stopped = Arc::new(AtomicBool::new(false));
        let listener = Arc::new(Listener {
            socket: listener,
            guest: Guest { machine, tree, on_error },
            stopped: Arc::clone(&stopped),
            idle: AtomicUsize::new(0),
        });
        listener.begin();
        Ok(Self { library, root, folder, stopped, listener })
    }

    /// A program in the guest, to be started as long as this is open.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut preload = self.library.clone().into_os_string();
        if let Some(others) = std::env::var_os(PRELOAD).filter(|others| !others.is_empty()) {
            preload = [preload, others].join(OsStr::new(":"));
        }
        let mut command = Command::new(program);
        command.env(PRELOAD, preload).env("PVSIM_SOCKET", self.socket()).env("PVSIM_ROOT", &self.root);
        command
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl fmt::Debug for GuestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestServer").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Drop for GuestServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listeners up, each with a connection of its own. One that cannot be reached ends with the process.
        for _ in 0..self.listener.idle.load(Ordering::SeqCst) {
            let _ = UnixStream::connect(self.socket());
        }
    }
}

/// Where questions come in. A thread that has taken one answers it; another listens meanwhile, and those that are done
/// listen again: a question that waits for nothing costs no new thread.
struct Listener {
    socket: UnixListener,
    guest: Guest,
    stopped: Arc<AtomicBool>,
    /// How many threads listen.
    idle: AtomicUsize,
}

impl Listener {
    /// Has one more thread listen.
    fn begin(self: &Arc<Self>) {
        self.idle.fetch_add(1, Ordering::SeqCst);
        let listener = Arc::clone(self);
        thread::spawn(move || listener.listen());
    }

    fn listen(self: &Arc<Self>) {
        while !self.stopped.load(Ordering::SeqCst) {
            let accepted = self.socket.accept();
            let was_last = self.idle.fetch_sub(1, Ordering::SeqCst) == 1;
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            if was_last {
                self.begin();
            }
            if let Ok((stream, _)) = accepted {
                // A program that dies in the middle of a call leaves a broken connection, which is nobody's trouble.
                drop(Connection::new(stream, &self.guest).answer());
            }
            self.idle.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The preload library, beside this program: cargo puts it among the dependencies, a package where it likes.
fn library() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(|source| Error::Server { what: "this program's path", source })?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let places = [folder.join("deps").join(LIBRARY), folder.join(LIBRARY), folder.join("../lib/pvsim").join(LIBRARY)];
    let found = places.into_iter().find(|place| place.is_file());
    let library = found.ok_or_else(|| Error::NoLibrary(folder.join(LIBRARY)))?;
    // The loader takes these as the end of the name.
    if library.as_os_str().as_bytes().iter().any(|byte| b" :".contains(byte)) {
        return Err(Error::LibraryName(library));
    }
    Ok(library)
}
