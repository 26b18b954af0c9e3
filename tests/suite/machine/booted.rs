//! A real kernel under the tests: `.ci/machine.sh` says which, by environment variables.

use pvsim::{Booted, ImageParts, Machine};
use pvsim_machine::{Agent, End, Hardware, Ramdisk};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

/// Longer than anything that has an end in the guest.
pub(crate) const PATIENCE_MS: u64 = 100_000;
/// And than all of one boot.
const LIMIT: Duration = Duration::from_secs(900);
/// As `pvsim run --in-kernel` has it.
pub(crate) const COMMAND_LINE: &str = "quiet loglevel=3 panic=-1 swiotlb=512";

/// What is booted.
pub(crate) struct Kernel {
    image: Vec<u8>,
    /// The guest's first file system.
    pub(crate) ramdisk: Vec<u8>,
    command_line: String,
}

impl Kernel {
    /// The kernel in the file `PVTOOLS_KERNEL`, with these modules, and the s390x programs `pvtools` and `pvsim-init` of the
    /// folder `PVTOOLS_KERNEL_TOOLS`.
    pub(crate) fn with(modules: Vec<PathBuf>) -> Self {
        let tools = PathBuf::from(named("PVTOOLS_KERNEL_TOOLS"));
        let program = |name: &str| (Path::new("/bin").join(name), tools.join("pvtools"));
        let programs = ["pvsecret", "pvattest", "pvapconfig", "lszcrypt", "chzcrypt"].map(program).to_vec();
        Self::of(Ramdisk { programs, modules, ..Ramdisk::default() }, "")
    }

    /// The same kernel with this ramdisk, in which `pvsim-init` is the first program, and with `words` on its command line.
    pub(crate) fn of(ramdisk: Ramdisk, words: &str) -> Self {
        let ramdisk = Ramdisk { init: Path::new(&named("PVTOOLS_KERNEL_TOOLS")).join("pvsim-init"), ..ramdisk };
        Self {
            image: fs::read(named("PVTOOLS_KERNEL")).unwrap(),
            ramdisk: ramdisk.build().unwrap(),
            command_line: format!("{COMMAND_LINE} {words}"),
        }
    }

    /// Boots it on a machine. `work` gets the line to the guest and the kernel's version, and gives the line back.
    pub(crate) fn boot<R: Send>(
        &self,
        machine: &Machine,
        work: impl FnOnce(Agent, (u32, u32)) -> (Agent, R) + Send,
    ) -> R {
        // Where a machine has the image that its guest was started from.
        let image = machine.folder().join("se.img");
        // A guest that starts again has the same image: requests are bound to its header.
        if fs::File::create_new(machine.folder().join("is-of-a-kernel")).is_ok() {
            let command_line = self.command_line.trim_end().as_bytes();
            let parts = ImageParts { kernel: &self.image, ramdisk: Some(&self.ramdisk), command_line };
            machine.build_image(parts, &mut fs::File::create(&image).unwrap()).unwrap();
        }
        let hardware = Hardware { image, memory: 1024, agent: true };
        let console = Console::default();
        let said = console.clone();
        let Booted { end, result, .. } = pvsim::boot(machine.clone(), &hardware, console, LIMIT, |agent| {
            let mut agent = agent.unwrap();
            let Ok(release) = agent.ready() else { panic!("the guest did not start:\n{}", said.text()) };
            let mut numbers = release.split('.').map_while(|number| number.parse().ok());
            let version = (numbers.next().unwrap(), numbers.next().unwrap());
            let (mut agent, result) = work(agent, version);
            agent.power_off(0).unwrap();
            result
        })
        .unwrap();
        assert_eq!(end, End::Off);
        result
    }
}

/// The modules in the files `PVTOOLS_KERNEL_MODULES`, which colons separate.
pub(crate) fn modules() -> Vec<PathBuf> {
    named("PVTOOLS_KERNEL_MODULES").split(':').map(PathBuf::from).collect()
}

/// What an environment variable says.
pub(crate) fn named(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: see .ci/machine.sh"))
}

#[derive(Clone, Default)]
struct Console(Arc<Mutex<Vec<u8>>>);

impl Console {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
