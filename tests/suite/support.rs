//! A fresh folder, and the product's commands in it.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A path in `fixtures/`.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// Says what a test leaves out on this machine, and why, and counts: on the real standard error, as the test runner shows
/// what a test prints only when it fails. `.ci/count-tests.sh` adds up these lines.
pub(crate) fn left_out(why: impl Display) {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::io::stderr().write_all(format!("left out ({count}): {test}: {why}\n").as_bytes()).unwrap();
}

/// Whether this is not root, who alone can give files to others.
pub(crate) fn own_user_only() -> bool {
    !nix::unistd::Uid::effective().is_root()
}

/// A folder of its own for each test, removed at its end.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.join(name)).unwrap().permissions().mode() & 0o7777
    }

    /// Names of all that is in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A link called `tool` to the product's binary, as it is installed.
    pub(crate) fn link_tool(&self, tool: &OsStr) -> PathBuf {
        let folder = self.join(".bin");
        let link = folder.join(tool);
        if !link.exists() {
            fs::create_dir_all(&folder).unwrap();
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pvtools"), &link).unwrap();
        }
        link
    }

    /// Runs `tool` here with the umask 022.
    pub(crate) fn run(&self, tool: &str, args: &[impl AsRef<OsStr>]) -> Run {
        self.run_with(tool, args, b"")
    }

    pub(crate) fn run_with(&self, tool: &str, args: &[impl AsRef<OsStr>], stdin: &[u8]) -> Run {
        let mut command = Command::new(program_for(tool, args.first().map(AsRef::as_ref)));
        command.arg0(tool).args(args).current_dir(self.path());
        clean(&mut command);
        Run::of(&mut command, stdin)
    }

    /// The product's binary called as `tool`, in this folder, without the environment's influence.
    pub(crate) fn command(&self, tool: &str) -> Command {
        let mut command = product(tool);
        command.current_dir(self.path());
        command
    }
}

/// The program for a command: the one that `PVTOOLS_GUEST_PROGRAM` names, if it does, for what a guest does; else the
/// product's binary.
pub(crate) fn program_for(tool: &str, subcommand: Option<&OsStr>) -> PathBuf {
    let subcommand = subcommand.and_then(OsStr::to_str).unwrap_or_default();
    let is_of_a_guest = match tool {
        "pvapconfig" | "pvebc" | "pvinfo" | "lszcrypt" | "chzcrypt" => true,
        "pvsecret" => ["add", "list", "lock", "retrieve"].contains(&subcommand),
        "pvattest" => subcommand == "perform",
        _ => false,
    };
    let named = std::env::var_os("PVTOOLS_GUEST_PROGRAM").filter(|_| is_of_a_guest);
    named.map_or_else(|| env!("CARGO_BIN_EXE_pvtools").into(), PathBuf::from)
}

/// The product's binary called as `tool`.
pub(crate) fn product(tool: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pvtools"));
    command.arg0(tool);
    clean(&mut command);
    command
}

/// Keeps the environment from deciding a test.
pub(crate) fn clean(command: &mut Command) {
    command.env_remove("COLUMNS").env_remove("RUST_BACKTRACE").env("NO_COLOR", "1");
    // Nor may a certificate of the machine.
    command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    // Nor anything that an earlier run kept, nor a proxy.
    command.env("XDG_CACHE_HOME", "/dev/null/no-cache");
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command, stdin: &[u8]) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that does not read its input closes the pipe, as it may.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        let status = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
        Self { status, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// Fails with `status` and exactly one line on stderr, which holds every one of `parts`.
    #[track_caller]
    pub(crate) fn refuses(self, status: i32, parts: &[&str]) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        let lines: Vec<_> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one clear line: {self:#?}");
        assert!(lines[0].to_lowercase().starts_with("error: "), "{self:#?}");
        for part in parts {
            assert!(lines[0].contains(part), "'{part}' is not in: {}", lines[0]);
        }
        self
    }
}
