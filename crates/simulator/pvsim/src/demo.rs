//! The whole story of a secret, told by the real programs. Each step says what must come out of it, and the story
//! ends with an error where it does not.

use anyhow::{Context, bail, ensure};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The certificates and CRLs of the machine that `pvsim init` made, as options.
const TRUST: &str = "-k machine/host.crt -C machine/signing-key.crt -C machine/intermediate.crt \
                     --root-ca machine/root-ca.crt --offline --crl machine/signing-key.crl \
                     --crl machine/intermediate.crl --crl machine/root-ca.crl";

pub(crate) fn run() -> anyhow::Result<()> {
    let story = Story::begin()?;
    story.heading("A machine with a host key, and certificates that vouch for it")?;
    story.step("pvsim init machine", 0, "")?;
    story.step("ls machine", 0, "host.crt")?;

    the_image(&story)?;
    story.heading("On the workstation: the SE header out of the image, requests for this image and machine")?;
    story.step("pvextract-hdr -o se.hdr image", 0, "SE header found at offset 0x014000")?;
    let create = format!("pvsecret create {TRUST} --hdr se.hdr");
    story.step(
        &format!("{create} -o association.req association 'my secret' --output-secret my_random_secret"),
        0,
        "Successfully wrote secret info to 'my_secret.yaml'",
    )?;
    story.step("cat my_secret.yaml", 0, "!Association")?;
    story.step("printf 'the launch code is 0000' > code", 0, "")?;
    story.step(
        &format!("{create} -o retrievable.req retrievable code --secret code --type plain"),
        0,
        "Successfully generated the request",
    )?;
    story.step(&format!("{create} -o meta.req --flags disable-dump meta"), 0, "Successfully generated the request")?;
    story.step(
        "pvsecret create -k machine/root-ca.crt --no-verify --hdr se.hdr -o wrong.req meta",
        1,
        "expected an EC P-521",
    )?;

    story.heading("What the machine's firmware finds in the request, with the private host key")?;
    story.step(
        "pvsim decode association.req machine/host.key | grep -v user_data_area",
        0,
        "secret_kind_name: association",
    )?;
    let secret = story.read("my_random_secret")?.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let decoded = story.quiet("pvsim decode association.req machine/host.key")?;
    ensure!(decoded.contains(&secret), "the firmware did not find the secret that was sent");
    story.step("pvsim decode retrievable.req machine/host.key | grep '^secret'", 0, "secret_kind_name: plaintext")?;
    story.say("The secret that was sent is the secret that was found.")?;
    in_the_guest(&story)
}

/// What stands for kernel and ramdisk has no code: no processor runs here.
fn the_image(story: &Story) -> anyhow::Result<()> {
    story.heading("On the workstation: an image that starts on this machine, and on no other")?;
    story.step("(head -c 65544 /dev/zero; echo S390EP; head -c 3000000 /dev/urandom) > vmlinuz", 0, "")?;
    story.step("head -c 5000000 /dev/urandom > initrd && head -c 32 /dev/urandom > cck", 0, "")?;
    story.step("printf 'root=/dev/vda1 quiet' > parmfile", 0, "")?;
    let create = format!("genprotimg {TRUST} -i vmlinuz -r initrd -p parmfile --cck cck --enable-dump");
    story.step(&format!("{create} -o image"), 0, "Successfully created the Secure Execution image 'image'")?;
    story.step("pvimg verify image", 0, "image: complete and unchanged")?;
    story.step("pvimg test image -k machine/host.crt", 0, "The image has key slot")?;
    story.step("pvsim reboot machine --image image", 0, "")?;
    story.step("pvimg extract image -i kernel", 1, "encrypted")?;

    story.heading("A changed byte: seen by whoever verifies the image, and by the machine's firmware")?;
    story.step(
        "cp image changed && echo 'changed by the host' | dd of=changed bs=1 seek=4000000 conv=notrunc status=none",
        0,
        "",
    )?;
    story.step("pvimg verify changed", 2, "page list")?;
    story.step("pvsim reboot machine --image changed", 1, "rrc 0x001b")?;
    Ok(())
}

/// Each command is the unmodified program: `pvsim run` answers its calls from outside.
fn in_the_guest(story: &Story) -> anyhow::Result<()> {
    const GUEST: &str = "pvsim run machine --";
    story.heading("In the guest: the requests are added, and the secrets are there")?;
    story.step(&format!("{GUEST} cat /sys/firmware/uv/prot_virt_guest"), 0, "1")?;
    story.step(&format!("{GUEST} pvsecret list"), 0, "Total number of secrets: 0")?;
    for request in ["association", "retrievable", "meta"] {
        story.step(&format!("{GUEST} pvsecret add {request}.req"), 0, "")?;
    }
    story.step(&format!("{GUEST} pvsecret list"), 0, "Total number of secrets: 2")?;
    story.step(&format!("{GUEST} pvsecret add association.req"), 1, "duplicated IDs")?;
    story.step("pvsim show machine | grep 'dump allowed'", 0, "no")?;

    story.heading(
        "The retrievable secret comes back as it was sent; the association secret never leaves the firmware",
    )?;
    let retrieve = format!("{GUEST} pvsecret retrieve --inform name");
    story.step(&format!("{retrieve} code --outform bin -o found"), 0, "")?;
    story.step("cmp code found && cat found", 0, "the launch code is 0000")?;
    story.step(&format!("{retrieve} 'my secret' -o nothing"), 1, "0x0111")?;

    story.heading(
        "The association secret ties a queue of a Crypto Express card to the guest, and its twin on another card",
    )?;
    story.step(&format!("{GUEST} lszcrypt -V --queueonly"), 0, "unbound")?;
    let entry = format!("{{mode: ep11, name: my secret, mkvp: {}}}", "a".repeat(32));
    story.step(&format!("printf -- '- {entry}\\n- {entry}\\n' > apconfig.yaml"), 0, "")?;
    story.step(
        &format!("{GUEST} pvapconfig --dry-run apconfig.yaml"),
        0,
        "Associate APQN 28.0014 with uv secrets index 0",
    )?;
    story.step(
        &format!("{GUEST} pvapconfig -v --strict apconfig.yaml"),
        0,
        "Successfully applied 2 out of 2 AP config entries.",
    )?;
    story.step(&format!("{GUEST} pvapconfig --status apconfig.yaml"), 0, "associated 0")?;

    story.heading("The store is locked: nothing can be added until the guest is started again")?;
    story.step(&format!("{GUEST} pvsecret lock"), 0, "")?;
    story.step(&format!("{GUEST} pvsecret add --force retrievable.req"), 1, "0x0102")?;
    story.step(&format!("{GUEST} pvsecret list"), 0, "Total number of secrets: 2")?;
    story.step("pvsim reboot machine", 0, "")?;
    story.step(&format!("{GUEST} pvsecret list"), 0, "Total number of secrets: 0")?;

    story.heading("Attestation: which guest is this? Then a secret for this one start of it")?;
    story.step(
        &format!("pvattest create {TRUST} -o attestation -a arpk --add-data secret-store-hash"),
        0,
        "Successfully generated the request",
    )?;
    story.step(&format!("{GUEST} pvattest perform -i attestation -o response"), 0, "Successfully performed")?;
    story.step(
        "pvattest verify -i response --hdr se.hdr -a arpk -o cuid.yaml",
        0,
        "Attestation measurement verified",
    )?;
    let create = format!("pvsecret create {TRUST} --hdr se.hdr");
    let bound = format!("{create} -o bound.req --cuid cuid.yaml association 'this boot'");
    story.step(&bound, 0, "Successfully generated the request")?;
    story.step(&format!("{GUEST} pvsecret add bound.req"), 0, "Successfully added the secret")?;
    story.step("pvsim reboot machine", 0, "")?;
    story.step(&format!("{GUEST} pvsecret add bound.req"), 1, "0x010c")?;
    story.step(&format!("{GUEST} pvattest perform -i attestation -o later"), 0, "Successfully performed")?;
    story.step("pvattest verify -q -i later --hdr se.hdr -a arpk -o later.yaml", 0, "")?;
    story.step("cmp cuid.yaml later.yaml", 1, "differ")?;
    story.step(&format!("{GUEST} pvsecret list"), 0, "Total number of secrets: 0")?;
    story.say("All steps gave what they should.")
}

/// A folder in which the programs run.
struct Story {
    folder: tempfile::TempDir,
    path: String,
}

impl Story {
    fn begin() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let programs = folder.path().join(".bin");
        std::fs::create_dir(&programs)?;
        let product = product()?;
        let applets = Command::new(&product).arg("--list").output().context("cannot list the applets")?;
        for applet in String::from_utf8_lossy(&applets.stdout).lines().chain(["pvtools"]) {
            symlink(&product, programs.join(applet))?;
        }
        symlink(std::env::current_exe()?, programs.join("pvsim"))?;
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        Ok(Self { folder, path })
    }

    fn heading(&self, text: &str) -> anyhow::Result<()> {
        self.say(&format!("\n## {text}\n"))
    }

    fn say(&self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(io::stdout(), "{text}")?)
    }

    /// Runs a line of shell, prints it with all that it prints, and checks how it ends.
    fn step(&self, line: &str, status: i32, expected: &str) -> anyhow::Result<()> {
        self.say(&format!("$ {line}"))?;
        let output = self.shell(line).output().context("cannot run sh")?;
        let text = [output.stdout, output.stderr].concat();
        io::stdout().write_all(&text)?;
        self.say("")?;
        ensure!(output.status.code() == Some(status), "this should have ended with {status}, not {}", output.status);
        ensure!(String::from_utf8_lossy(&text).contains(expected), "this should have printed '{expected}'");
        Ok(())
    }

    fn quiet(&self, line: &str) -> anyhow::Result<String> {
        let output = self.shell(line).output().context("cannot run sh")?;
        ensure!(output.status.success(), "'{line}' ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder.path()).env("PATH", &self.path);
        shell
    }

    fn read(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        std::fs::read(self.folder.path().join(name)).with_context(|| format!("cannot read '{name}'"))
    }
}

/// The product's binary beside this one. Started by cargo, it is built first: nothing that ships depends on the
/// simulator, so cargo does not know that the simulator's demo needs it.
fn product() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let product = own.with_file_name("pvtools");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "pvtools"]);
        if own.parent().and_then(Path::file_name).is_some_and(|profile| profile == "release") {
            build.arg("--release");
        }
        ensure!(build.status().context("cannot run cargo")?.success(), "cannot build pvtools");
    }
    if !product.exists() {
        bail!("'{}' is not there: build pvtools first", product.display());
    }
    Ok(product)
}
