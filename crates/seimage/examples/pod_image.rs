//! The image that a confidential pod's virtual machine boots from, such as that of Kata Containers: made and verified.
//!
//! Usage: `pod_image KERNEL RAMDISK CMDLINE HOST_KEY_DOCUMENT OUT`
//!
//! The host-key document is taken on trust here. A builder that others rely on verifies it with [`hostkey::Verifier`].

use hostkey::HostKeyDocument;
use seimage::{Component, Image, ImageKeys, Loader, Recipe, check_kernel, create, verify};
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [kernel, ramdisk, command_line, host_key, out] = arguments.as_slice() else {
        return Err("usage: pod_image KERNEL RAMDISK CMDLINE HOST_KEY_DOCUMENT OUT".into());
    };
    let mut head = Vec::new();
    File::open(kernel)?.take(seimage::KERNEL_HEAD as u64).read_to_end(&mut head)?;
    let command_line = fs::read(command_line)?;
    check_kernel(&head)?.check_command_line(command_line.len() as u64)?;

    let host_keys = [HostKeyDocument::parse(&fs::read(host_key)?)?.trust_unverified()];
    let loader = Loader::own();
    let recipe = Recipe {
        loader: &loader,
        host_keys: &host_keys,
        keys: ImageKeys::random()?,
        plaintext_control_flags: 0,
        secret_control_flags: 0,
        psw_address: None,
        kernel: Component::new(File::open(kernel)?),
        ramdisk: Some(Component::new(File::open(ramdisk)?)),
        command_line: Some(command_line.into()),
    };
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(out)?;
    let created = create(recipe, &mut file, &mut |_| {})?;

    let image = Image::open(&mut file)?;
    let findings = verify(&image, &mut file, &[&loader], None, &mut |_| {})?;
    let tag: String = created.boot_tags.tag.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(stdout(), "{} bytes, {} pages verified, se.tag {tag}", created.size, findings.pages)?;
    Ok(())
}
