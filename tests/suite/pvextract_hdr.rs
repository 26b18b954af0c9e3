//! pvextract-hdr on images of every kind.

use crate::support::Scratch;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use pvsim::image::{HEADER_OFFSET, HeaderSecrets, header, image};
use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::LazyLock;

static HEADER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let group = EcGroup::from_curve_name(Nid::SECP521R1).unwrap();
    let host = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    header(&[host], &HeaderSecrets::random().unwrap(), 0, 2).unwrap()
});

pub(crate) fn with_image() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("img", image(&HEADER, 2, false).unwrap());
    scratch
}

fn at_page(page: usize) -> Vec<u8> {
    let mut bytes = vec![0; page * 4096];
    bytes.extend(HEADER.iter());
    bytes
}

#[test]
fn documented_call_prints_and_writes_what_is_documented() {
    let scratch = with_image();
    let run = scratch.run("pvextract-hdr", &["-o", "hdr.bin", "img"]).succeeds();
    assert_eq!(run.stdout(), "SE header found at offset 0x014000\nSE header written to 'hdr.bin' (640 bytes)\n");
    assert_eq!(run.stderr, "");
    assert_eq!((scratch.read("hdr.bin"), scratch.mode("hdr.bin")), (HEADER.clone(), 0o644));
}

#[test]
fn page_numbers_may_be_decimal_hexadecimal_or_octal() {
    let scratch = Scratch::new();
    scratch.write("img", at_page(0x1f));
    for (skip, count) in [("31", "1"), ("0x1f", "0x1"), ("037", "01"), ("0", "32"), ("0x1E", "2")] {
        let run = scratch.run("pvextract-hdr", &["-s", skip, "-l", count, "img"]).succeeds();
        assert!(run.stdout().starts_with("SE header found at offset 0x01f000\n"), "{skip} {count}: {run:?}");
        assert_eq!(scratch.read("sehdr.bin"), *HEADER);
        fs::remove_file(scratch.join("sehdr.bin")).unwrap();
    }
    for (skip, count) in [("32", "1"), ("0", "31"), ("0x1f", "0"), ("0xffffffffffffffff", "4")] {
        scratch
            .run("pvextract-hdr", &["-s", skip, "-l", count, "img"])
            .refuses(1, &["ERROR: img does not contain an SE header."]);
    }
    assert_eq!(scratch.names(), ["img"]);
}

#[test]
fn image_of_100_gigabytes_costs_no_more_than_a_small_one() {
    let scratch = Scratch::new();
    let mut file = File::create(scratch.join("img")).unwrap();
    file.seek(SeekFrom::Start(HEADER_OFFSET as u64)).unwrap();
    file.write_all(&HEADER).unwrap();
    file.set_len(100 << 30).unwrap();
    // An address space of 512 MiB: reading it all would not fit, let alone in time.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -v 524288; exec \"$0\" pvextract-hdr img", env!("CARGO_BIN_EXE_pvtools")]);
    crate::support::Run::of(command.current_dir(scratch.path()), b"").succeeds();
    assert_eq!(scratch.read("sehdr.bin"), *HEADER);
}

#[test]
fn reads_the_image_from_a_pipe_and_writes_the_header_to_one() {
    let scratch = with_image();
    let run = scratch.run_with("pvextract-hdr", &["-o", "-", "-"], &scratch.read("img")).succeeds();
    assert_eq!(run.stdout, *HEADER);
    assert_eq!(run.stderr, "SE header found at offset 0x014000\nSE header written to '-' (640 bytes)\n");
    assert_eq!(scratch.names(), ["img"]);
}

#[test]
fn bad_images_are_refused_with_the_reason_and_the_place() {
    let mut absurd = at_page(0x14);
    absurd[0x1400c] = 0x7f;
    let mut small = at_page(0x14);
    small[0x1400c..0x14010].fill(0);
    let mut lost = image(&HEADER, 1, true).unwrap();
    lost[0xc008..0xc010].copy_from_slice(&0x1000_u64.to_be_bytes());
    let cut = at_page(0x14)[..0x14000 + 100].to_vec();
    let rows: [(&str, Vec<u8>, &[&str]); 8] = [
        ("empty", Vec::new(), &["empty does not contain an SE header."]),
        ("zeros", vec![0; 1 << 20], &["zeros does not contain an SE header."]),
        ("off-page", [&[0][..], &at_page(0x14)].concat(), &["does not contain an SE header."]),
        ("cut", cut, &["'cut'", "offset 0x14000", "640 bytes", "ends 540 bytes earlier"]),
        ("cut-magic", at_page(0x14)[..0x14008].to_vec(), &["'cut-magic'", "truncated at offset 0x8", "version"]),
        ("absurd", absurd, &["'absurd'", "size of 2130707072 bytes", "no SE header is larger than 65536"]),
        ("small", small, &["'small'", "size of 0 bytes"]),
        ("lost", lost, &["'lost'", "metadata at 0xc000", "offset 0x1000"]),
    ];
    let scratch = Scratch::new();
    for (name, bytes, parts) in rows {
        scratch.write(name, bytes);
        let before = scratch.names();
        let run = scratch.run("pvextract-hdr", &[name]).refuses(1, parts);
        assert_eq!(run.stdout.len(), 0, "{name}");
        assert_eq!(scratch.names(), before, "{name}");
    }
}

#[test]
fn header_of_an_unknown_version_is_written_with_a_warning() {
    let scratch = Scratch::new();
    let mut newer = at_page(0x14);
    newer[0x1400a] = 2;
    scratch.write("img", &newer);
    let run = scratch.run("pvextract-hdr", &["img"]).succeeds();
    assert_eq!(run.stderr, "WARNING: unknown hdr version 0x200: written as it is\n");
    assert_eq!(scratch.read("sehdr.bin"), newer[0x14000..]);
}

#[test]
fn bad_outputs_leave_everything_as_it_was() {
    let scratch = with_image();
    fs::create_dir(scratch.join("folder")).unwrap();
    symlink("img", scratch.join("link")).unwrap();
    let before = (scratch.names(), scratch.read("img"));
    let rows = [
        ("no-folder/out", "'no-folder/out': No such file"),
        ("folder", "'folder': it is a directory"),
        ("img/out", "'img/out': Not a directory"),
        ("", "'': "),
        ("/dev/full", "'/dev/full': No space left"),
        ("img", "'img' would overwrite the input 'img'"),
        ("./img", "'./img' would overwrite the input 'img'"),
        ("link", "'link' would overwrite the input 'img'"),
    ];
    for (output, part) in rows {
        let run = scratch.run("pvextract-hdr", &[format!("-o{output}").as_str(), "img"]);
        assert_eq!(run.status, 1, "{output}: {run:?}");
        assert!(output.is_empty() || run.stderr.contains(part), "{output}: {run:?}");
        assert_eq!((scratch.names(), scratch.read("img")), before, "{output}");
    }
}

#[test]
fn existing_output_is_replaced_as_a_whole_and_keeps_its_mode() {
    let scratch = with_image();
    scratch.write("old", vec![b'x'; 5000]);
    fs::set_permissions(scratch.join("old"), Permissions::from_mode(0o640)).unwrap();
    symlink("old", scratch.join("link")).unwrap();
    scratch.run("pvextract-hdr", &["-o", "link", "img"]).succeeds();
    assert_eq!((scratch.read("old"), scratch.mode("old")), (HEADER.clone(), 0o640));
    assert!(scratch.join("link").is_symlink());
    assert_eq!(scratch.names(), ["img", "link", "old"]);
}

#[test]
fn unreadable_inputs_are_named() {
    let scratch = with_image();
    let rows = [("missing", "No such file"), (".", "it is a directory"), ("img/x", "Not a directory")];
    for (input, part) in rows {
        scratch.run("pvextract-hdr", &[input]).refuses(1, &[input, part]);
    }
    assert_eq!(scratch.names(), ["img"]);
}
