//! Everything an applet needs from the machine, so that tests can give another one.

use crate::shared::error::Failure;
use anyhow::Context;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use uvdevice::{Ultravisor, UvDevice};
use uvtypes::text::{escaped, escaped_json, escaped_lines};

/// Keeps the secrets that this process will hold out of core dumps, and its memory from other processes
/// of the user. A kernel that refuses has nothing to do with the user's wish, so it is no error.
pub fn forbid_core_dumps() {
    use nix::sys::prctl::set_dumpable;
    use nix::sys::resource::{Resource, setrlimit};
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // The limit does not hold for a core that is piped to a program; this does.
    let _ = set_dumpable(false);
}

/// How much an applet says on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

/// The machine an applet runs on.
pub struct System {
    /// Where requested data is read from when a file is called `-`.
    pub stdin: Box<dyn Read>,
    /// Where requested data goes.
    pub stdout: Box<dyn Write>,
    /// Where all talk goes.
    pub stderr: Box<dyn Write>,
    /// What `/sys` and `/run` are looked up below: `/`.
    pub root: PathBuf,
    /// The clock.
    pub now: fn() -> SystemTime,
    /// Cache directory; `None` disables caching.
    pub cache: Option<PathBuf>,
    /// Whether a person reads stdout: it may then have colours.
    pub stdout_is_terminal: bool,
    /// Whether a person reads stderr: it may then show what is waited for.
    pub stderr_is_terminal: bool,
    /// Opens the ultravisor's device. Called only by what needs it.
    pub uv: Box<UvOpener>,
    /// Whether what goes to stdout goes nowhere, because it was closed.
    pub(crate) stdout_is_closed: bool,
    pub(crate) level: Level,
}

/// Opens the way to the ultravisor.
pub type UvOpener = dyn Fn() -> Result<Box<dyn Ultravisor>, uvdevice::Error>;

impl System {
    /// The real one.
    pub fn live() -> Self {
        let mut system = Self::new(Box::new(io::stdin()), Box::new(io::stdout()), Box::new(io::stderr()));
        let cache = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = cache("XDG_CACHE_HOME").or_else(|| Some(cache("HOME")?.join(".cache")));
        system.cache = cache.map(|folder| folder.join("pvtools"));
        system.stdout_is_terminal = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        system.stdout_is_closed = stands_for_a_closed_stream(&io::stdout());
        system.stderr_is_terminal = io::stderr().is_terminal();
        system
    }

    /// The real one but for its streams.
    pub fn new(stdin: Box<dyn Read>, stdout: Box<dyn Write>, stderr: Box<dyn Write>) -> Self {
        Self {
            stdin,
            stdout,
            stderr,
            root: PathBuf::from("/"),
            now: SystemTime::now,
            uv: Box::new(|| Ok(Box::new(UvDevice::open(Path::new("/dev/uv"))?))),
            cache: None,
            stdout_is_terminal: false,
            stdout_is_closed: false,
            stderr_is_terminal: false,
            level: Level::Warn,
        }
    }

    /// Whether this is a Secure Execution guest, as the kernel says.
    pub(crate) fn is_guest(&self) -> bool {
        is_guest(&self.root)
    }

    /// Requested text, to stdout: lines with all escaped that a terminal would act upon.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.print_bytes(escaped_lines(text).as_bytes())
    }

    /// Requested JSON, to stdout: the same strings, in characters that a terminal does not act upon.
    pub(crate) fn print_json(&mut self, json: &str) -> Result<(), Failure> {
        self.print_bytes(escaped_json(json).as_bytes())
    }

    /// Requested data, to stdout as it is.
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(stdout_failure)
    }

    /// What was made, to stdout. A reader that goes away has not got it, which for this is an error.
    pub(crate) fn deliver(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        const CANNOT: &str = "cannot write to standard output";
        if self.stdout_is_closed {
            anyhow::bail!("{CANNOT}: it is closed");
        }
        self.stdout.write_all(bytes).and_then(|()| self.stdout.flush()).context(CANNOT)
    }

    /// Stdout is complete only when it could be flushed.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(stdout_failure)
    }

    /// To stderr at every level: lines with all escaped that a terminal would act upon. Nothing can be done when stderr is
    /// gone.
    pub(crate) fn eprint(&mut self, text: &str) {
        let _ = self.stderr.write_all(escaped_lines(text).as_bytes());
    }

    /// A line of talk, and no more than one: a name in it starts none of its own.
    pub(crate) fn say(&mut self, level: Level, line: &str) {
        if level <= self.level {
            let prefix = if level == Level::Debug { "DEBUG: " } else { "" };
            self.eprint(&format!("{prefix}{}\n", escaped(line)));
        }
    }

    /// A warning.
    pub(crate) fn warn(&mut self, line: &str) {
        self.say(Level::Warn, line);
    }

    /// How it went: the reference gives the line that reports success the level of warnings.
    pub(crate) fn status(&mut self, line: &str) {
        self.say(Level::Warn, line);
    }

    /// Progress, from `-v` on.
    pub(crate) fn info(&mut self, line: &str) {
        self.say(Level::Info, line);
    }

    /// Detail, from `-vv` on.
    pub(crate) fn debug(&mut self, line: &str) {
        self.say(Level::Debug, line);
    }
}

/// Whether this is a Secure Execution guest, as the kernel says below `root`.
pub(crate) fn is_guest(root: &Path) -> bool {
    let path = root.join("sys/firmware/uv/prot_virt_guest");
    std::fs::read(path).is_ok_and(|text| text.first() == Some(&b'1'))
}

/// Whether this stream was closed when the program began. Rust's runtime opens `/dev/null` in its place, for reading
/// and writing; a shell's `> /dev/null` is for writing alone.
fn stands_for_a_closed_stream(stream: &impl AsFd) -> bool {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::stat::{fstat, major, minor};
    let is_null = fstat(stream).is_ok_and(|found| (major(found.st_rdev), minor(found.st_rdev)) == (1, 3));
    let flags = fcntl(stream, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
    is_null && flags.is_ok_and(|flags| flags & OFlag::O_ACCMODE == OFlag::O_RDWR)
}

/// Why stdout could not be written to.
pub(crate) fn stdout_failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
        _ => Failure::Failed(anyhow::Error::new(error).context("cannot write to standard output")),
    }
}
