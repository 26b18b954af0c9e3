//! `pvimg create`, also called `genprotimg`.

use super::flags::{FlagArgs, number};
use super::parts::Parts;
use super::progress::Progress;
use super::{layout, loader, seed};
use crate::shared::error::Failure;
use crate::shared::host_keys::HostKeyArgs;
use crate::shared::input;
use crate::shared::output::{self, Outputs};
use crate::shared::system::{Level, System};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use hostkey::TrustedHostKey;
use seimage::{Created, ImageKeys, InputsDigest, Loader, MAX_HOST_KEYS, Recipe};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use uvtypes::SecretBox;

/// Create an IBM Secure Execution boot image
///
/// Kernel, ramdisk and command line are encrypted for the machines whose host-key documents are given, and start on no
/// others. Do this on a trusted machine, of any architecture.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    host_keys: HostKeyArgs,
    /// Linux kernel: the raw image of an s390x build, not an ELF file
    #[arg(short = 'i', long, visible_alias = "image", value_name = "FILE")]
    kernel: PathBuf,
    /// Initial ramdisk
    #[arg(short, long, value_name = "FILE")]
    ramdisk: Option<PathBuf>,
    /// File with the kernel's command line
    #[arg(short, long, value_name = "FILE")]
    parmfile: Option<PathBuf>,
    /// Write the image to FILE, which only its owner may read
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace FILE if it exists
    #[arg(long)]
    overwrite: bool,
    /// Only warn of a kernel or command line that will not start
    #[arg(long)]
    no_component_check: bool,
    #[command(flatten)]
    flags: FlagArgs,
    /// Encrypt the SE header with this key of 32 bytes, not with a random one
    ///
    /// Whoever has it can open the image.
    #[arg(long, alias = "x-header-key", value_name = "FILE")]
    hdr_key: Option<PathBuf>,
    /// Encrypt the components with this AES-256-XTS key of 64 bytes, not with a random one
    #[arg(long, alias = "x-comp-key", value_name = "FILE")]
    image_key: Option<PathBuf>,
    /// Derive everything that is random from FILE, 32 bytes, and from all inputs: the same inputs give the same image
    ///
    /// Any other input gives another image with other keys. Whoever has the seed and the inputs has all keys of the
    /// image, so keep it as you keep those. With '--seed', kernel and ramdisk must be regular files.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Show where everything would be, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Take the boot loader in DIR: stage3a.bin, and stage3b_reloc.bin or stage3b.bin
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    x_bootloader_directory: Option<PathBuf>,
    /// Start at this address: up to 16 hexadecimal digits
    #[arg(long, value_name = "ADDRESS", hide = true)]
    x_psw: Option<String>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let psw_address = args.x_psw.as_deref().map(|text| number(text, "--x-psw")).transpose()?;
    let words = args.flags.words()?;
    refuse_too_many(args.host_keys.documents().len())?;
    args.check_output()?;
    let loader = loader::load(args.x_bootloader_directory.as_deref())?;
    let mut parts =
        Parts::open(&args.kernel, args.ramdisk.as_deref(), args.parmfile.as_deref(), !args.no_component_check, system)?;
    let given = Given::load(args)?;
    let host_keys = args.host_keys.load("image", system)?;
    let mut keys = match &given.seed {
        Some(seed) => {
            system.warn("Whoever has the seed and the inputs has all keys of the image.");
            let mut digest = args.inputs_digest(&loader, &host_keys, words, psw_address, &given);
            seed::add_components(&mut parts, &mut digest)?;
            ImageKeys::derived(seed, &digest)?
        }
        None => ImageKeys::random()?,
    };
    given.put_into(&mut keys);
    let total = parts.size();
    let recipe = Recipe {
        loader: &loader,
        host_keys: &host_keys,
        keys,
        plaintext_control_flags: words.0,
        secret_control_flags: words.1,
        psw_address,
        kernel: parts.kernel.component(),
        ramdisk: parts.ramdisk.map(super::parts::Part::component),
        command_line: parts.command_line,
    };
    if args.dry_run {
        let created = write(recipe, &mut Nowhere::default(), total, system)?;
        system.print(&layout::describe(&created))?;
        return Ok(());
    }
    let mut outputs = Outputs::default();
    let mut file = outputs.create(&args.output, !args.overwrite, "the image")?;
    let created = write(recipe, &mut file, total, system)?;
    file.sync_all().with_context(|| format!("Cannot write the image at '{}'", args.output.display()))?;
    outputs.publish(system)?;
    for line in layout::describe(&created).lines() {
        system.say(Level::Info, line);
    }
    system.status(&format!("Successfully created the Secure Execution image '{}'", args.output.display()));
    Ok(())
}

fn write(
    recipe: Recipe<'_>,
    out: &mut (impl Write + Seek),
    total: Option<u64>,
    system: &mut System,
) -> anyhow::Result<Created> {
    let mut progress = Progress::new("Creating the image:", total, system);
    seimage::create(recipe, out, &mut |bytes| progress.advance(bytes)).context("Cannot create the image")
}

fn refuse_too_many(host_keys: usize) -> anyhow::Result<()> {
    if host_keys > MAX_HOST_KEYS {
        bail!("Cannot create the image: {}", seimage::Error::HostKeyCount(host_keys));
    }
    Ok(())
}

/// Keys that somebody chose.
struct Given {
    cck: Option<SecretBox<[u8; 32]>>,
    header_key: Option<SecretBox<[u8; 32]>>,
    image_key: Option<SecretBox<[u8; 64]>>,
    seed: Option<SecretBox<[u8; 32]>>,
}

impl Given {
    fn load(args: &Arguments) -> anyhow::Result<Self> {
        Ok(Self {
            cck: args.flags.cck.as_deref().map(|path| key(path, "CCK")).transpose()?,
            header_key: args.hdr_key.as_deref().map(|path| key(path, "SE header key")).transpose()?,
            image_key: args.image_key.as_deref().map(|path| key(path, "image key")).transpose()?,
            seed: args.seed.as_deref().map(|path| key(path, "seed")).transpose()?,
        })
    }

    fn put_into(self, keys: &mut ImageKeys) {
        keys.cck = self.cck.unwrap_or_else(|| std::mem::take(&mut keys.cck));
        keys.header_key = self.header_key.unwrap_or_else(|| std::mem::take(&mut keys.header_key));
        if let Some(image_key) = self.image_key {
            keys.image_key = image_key;
        }
    }
}

/// Reads a key of exactly `N` bytes.
pub(super) fn key<const N: usize>(path: &Path, what: &'static str) -> anyhow::Result<SecretBox<[u8; N]>> {
    const LIMIT: usize = 1 << 16;
    let bytes = input::read(path, LIMIT, what)?;
    let wrong = || {
        let error = seimage::Error::KeySize { what, actual: bytes.len(), expected: N };
        anyhow!("Cannot use '{}': {error}", path.display())
    };
    SecretBox::copy_of(&bytes).ok_or_else(wrong)
}

impl Arguments {
    fn check_output(&self) -> anyhow::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let keys = [&self.flags.cck, &self.hdr_key, &self.image_key, &self.seed, &self.ramdisk, &self.parmfile];
        let mut inputs = self.host_keys.inputs();
        inputs.extend(keys.into_iter().flatten().map(PathBuf::as_path));
        inputs.push(&self.kernel);
        output::refuse_overwriting(&self.output, &inputs)?;
        if !self.overwrite && self.output.symlink_metadata().is_ok() {
            bail!("'{}' exists: give another name or '--overwrite'", self.output.display());
        }
        Ok(())
    }

    /// All inputs but the components.
    fn inputs_digest(
        &self,
        loader: &Loader,
        host_keys: &[TrustedHostKey],
        (plaintext, secret): (u64, u64),
        psw_address: Option<u64>,
        given: &Given,
    ) -> InputsDigest {
        let mut digest = InputsDigest::default();
        digest.add("PCF", &plaintext.to_be_bytes());
        digest.add("SCF", &secret.to_be_bytes());
        digest.add("PSW address", &psw_address.map(u64::to_be_bytes).unwrap_or_default());
        digest.add("PSW address given", &[u8::from(psw_address.is_some())]);
        for (name, stage) in ["stage3a", "stage3b"].into_iter().zip(loader.stages()) {
            digest.add(name, stage);
        }
        for host_key in host_keys {
            digest.add("host key", host_key.coordinates());
        }
        for (name, key) in [("CCK", &given.cck), ("header key", &given.header_key)] {
            digest.add(name, key.as_ref().map_or(&[], |key| &key.expose()[..]));
        }
        digest.add("image key", given.image_key.as_ref().map_or(&[], |key| &key.expose()[..]));
        digest
    }
}

/// Where the image of a dry run goes.
#[derive(Default)]
struct Nowhere(u64);

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Nowhere {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        match position {
            SeekFrom::Start(offset) => self.0 = offset,
            SeekFrom::Current(offset) | SeekFrom::End(offset) => self.0 = self.0.saturating_add_signed(offset),
        }
        Ok(self.0)
    }
}
