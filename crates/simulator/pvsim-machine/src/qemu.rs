//! The emulator: started, watched, and ended in every case.

use crate::gdb::Gdb;
use crate::{Error, GuestMemory};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const QEMU: &str = "qemu-system-s390x";
/// Sets the signal that a process gets when its parent dies; part of util-linux.
const SETPRIV: &str = "setpriv";
/// How long the emulator may take to be there.
const START: Duration = Duration::from_secs(30);

/// What to start.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// The SE image.
    pub image: PathBuf,
    /// MiB of memory.
    pub memory: u32,
    /// Whether the guest has a line to programs outside: see [`crate::Agent`].
    pub agent: bool,
}

/// A running emulator. It ends when this is dropped, and when this process dies.
#[derive(Debug)]
pub(crate) struct Qemu {
    child: Child,
    console: Option<JoinHandle<()>>,
    pub(crate) memory: GuestMemory,
    pub(crate) gdb: Gdb,
    /// The line to the guest's agent.
    pub(crate) agent: Option<UnixStream>,
}

impl Qemu {
    /// Starts the emulator with the guest standing still. What comes from the console goes to `console`, from a thread
    /// of its own.
    ///
    /// The thread that calls this has to live as long as the emulator: with it, the emulator would be ended.
    pub(crate) fn start(hardware: &Hardware, mut console: impl Write + Send + 'static) -> Result<Self, Error> {
        let program = on_path(QEMU).ok_or(Error::NoQemu)?;
        let folder = tempfile::Builder::new().prefix("pvsim-boot-").tempdir();
        let folder = folder.map_err(Error::io("make a folder for the emulator's sockets"))?;
        let [memory, gdb, agent] = ["memory", "gdb", "agent"].map(|name| folder.path().join(name));
        let mut command = match on_path(SETPRIV) {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            // Then only a death by a signal that cannot be caught leaves it running.
            None => Command::new(program),
        };
        command.args(["-machine", "s390-ccw-virtio,memory-backend=memory", "-cpu", "max", "-smp", "1"]);
        command.args(["-accel", "tcg,tb-size=128", "-m", &format!("{}M", hardware.memory)]).arg("-object").arg(
            format!("memory-backend-file,id=memory,size={}M,mem-path={},share=on", hardware.memory, quoted(&memory)),
        );
        // S: stands still until the debugger lets it run.
        command.args(["-nographic", "-serial", "stdio", "-monitor", "none", "-nodefaults", "-no-reboot", "-S"]);
        command.arg("-gdb").arg(format!("unix:{},server=on,wait=off", gdb.display()));
        // A secure guest takes no device that would reach into memory that is not shared.
        command.args(["-device", "virtio-rng-ccw,iommu_platform=on"]);
        if hardware.agent {
            command.arg("-chardev").arg(format!("socket,id=agent,path={},server=on,wait=off", quoted(&agent)));
            command.args([
                "-device",
                "virtio-serial-ccw,iommu_platform=on",
                "-device",
                "virtserialport,chardev=agent,name=pvsim",
            ]);
        }
        command.arg("-kernel").arg(&hardware.image);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Ending(Some(command.spawn().map_err(Error::io("start qemu-system-s390x"))?));
        let (output, errors) = child.pipes();
        let connected = connect(&gdb, &mut child, errors).and_then(|stream| {
            let agent = if hardware.agent { Some(UnixStream::connect(&agent)) } else { None };
            let agent = agent.transpose().map_err(Error::io("reach the line to the guest"))?;
            let memory = File::options().read(true).write(true).open(&memory);
            let memory = GuestMemory::new(memory.map_err(Error::io("open the guest's memory"))?);
            Ok((Gdb::new(stream)?, agent, memory))
        });
        // Everything is open: what has a name goes already now.
        drop(folder);
        let (gdb, agent, memory) = connected?;
        let console = output.map(|mut output| {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                // Ends with the emulator.
                while let Ok(count @ 1..) = output.read(&mut buffer) {
                    let _ = console.write_all(&buffer[..count]).and_then(|()| console.flush());
                }
            })
        });
        let child = child.0.take().ok_or_else(|| Error::Qemu("it ended".into()))?;
        Ok(Self { child, console, memory, gdb, agent })
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        end(&mut self.child);
        if let Some(console) = self.console.take() {
            // A console whose writer panicked has no more to say.
            let _ = console.join();
        }
    }
}

/// A process that is ended unless it is taken out.
struct Ending(Option<Child>);

impl Ending {
    fn pipes(&mut self) -> (Option<std::process::ChildStdout>, Option<ChildStderr>) {
        self.0.as_mut().map_or((None, None), |child| (child.stdout.take(), child.stderr.take()))
    }

    fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

fn end(child: &mut Child) {
    // One that has ended cannot be killed.
    let _ = child.kill();
    let _ = child.wait();
}

/// Connects to the debugger interface as soon as it is there.
fn connect(path: &Path, child: &mut Ending, errors: Option<ChildStderr>) -> Result<UnixStream, Error> {
    let began = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => {
                drain(errors);
                return Ok(stream);
            }
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Err(Error::Io { what: "reach the debugger interface of qemu-system-s390x", source: error });
            }
            Err(_) if child.has_ended() => {
                let mut said = String::new();
                // What cannot be read is not told.
                let _ = errors.map(|mut errors| errors.read_to_string(&mut said));
                return Err(Error::Qemu(said.trim().into()));
            }
            Err(_) if began.elapsed() > START => return Err(Error::Qemu("its debugger interface is not there".into())),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Reads away what the emulator has to complain about: a full pipe would stop it.
fn drain(errors: Option<ChildStderr>) {
    if let Some(mut errors) = errors {
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(1..) = errors.read(&mut buffer) {}
        });
    }
}

/// A comma ends a value in the emulator's options, two do not.
fn quoted(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
