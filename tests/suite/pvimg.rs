//! pvimg and genprotimg beyond the recorded command lines: outputs, reproducible images, JSON against its schema, the way
//! from components into an image and back.

use crate::recorded_images::{self, kernel};
use crate::support::{Run, Scratch};
use pvsim::unpack::unpack;
use pvsim::{HostKey, Machine};
use seimage::{Image, Kind, Loader};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::thread;
use uvtypes::KeySlot;

/// A folder with what the recorded command lines name.
pub(crate) fn scratch() -> Scratch {
    let scratch = Scratch::new();
    for name in ["hkd.crt", "hkd2.crt", "kern", "kern_tiny", "rd", "parm", "s32", "s64", "seimg"] {
        scratch.write(name, recorded_images::inputs().find(name).unwrap());
    }
    scratch
}

const USUAL: [&str; 7] = ["create", "-k", "hkd.crt", "--no-verify", "-i", "kern", "-o"];

fn create(scratch: &Scratch, output: &str, more: &[&str]) -> Run {
    scratch.run("pvimg", &[&USUAL[..], &[output], more].concat())
}

#[test]
fn what_went_into_an_image_comes_out_of_it() {
    let scratch = scratch();
    create(&scratch, "image", &["-r", "rd", "-p", "parm", "--hdr-key", "s32", "--image-key", "s64"]).succeeds();
    for key in [["--hdr-key", "s32"], ["--image-key", "s64"]] {
        let outputs = ["-i", "kern.out", "-r", "rd.out", "-p", "parm.out", "--stage3b", "stage3b.out"];
        scratch.run("pvimg", &[&["extract", "image"][..], &key, &outputs].concat()).succeeds();
        for name in ["kern", "rd"] {
            assert_eq!(scratch.read(name), scratch.read(&format!("{name}.out")));
        }
        assert_eq!(scratch.read("parm.out"), b"root=/dev/vda1 quiet\0");
        assert_eq!((scratch.mode("kern.out"), scratch.mode("image")), (0o600, 0o600));
    }
    let run = scratch.run("pvimg", &["extract", "image", "-i", "x"]);
    run.refuses(1, &["encrypted", "--hdr-key"]);
    scratch.run("pvimg", &["extract", "image", "-i", "x", "--image-key", "image"]).refuses(1, &["'image'", "larger"]);
    let run = scratch.run("pvimg", &["extract", "image", "--hdr-key", "s32", "-i", "x", "-r", "x"]);
    run.refuses(1, &["both be written"]);
    let shown = scratch.run("pvimg", &["info", "image", "--components", "--hdr-key", "s32", "--format", "text"]);
    let shown = shown.succeeds().stdout().to_owned();
    assert!(shown.contains("command line at ") && shown.contains("  text: root=/dev/vda1 quiet\n"), "{shown}");
    assert!(!scratch.names().contains(&"x".to_owned()));
}

/// What a build pipeline has to show: which kernel and ramdisk are in this image.
#[test]
fn components_are_told_with_digests_and_version() {
    let scratch = scratch();
    let mut kernel = scratch.read("kern");
    const VERSION: &str = "6.12.95 (builder@host) #1 SMP";
    kernel[0x10428..0x10430].copy_from_slice(&0x11000_u64.to_be_bytes());
    kernel[0x11000..][..VERSION.len()].copy_from_slice(VERSION.as_bytes());
    kernel[0x11000 + VERSION.len()] = 0;
    scratch.write("versioned", kernel);
    let words = "create -k hkd.crt --no-verify -i versioned -r rd -p parm --hdr-key s32 --image-key s64 -o image";
    scratch.run("pvimg", &words.split(' ').collect::<Vec<_>>()).succeeds();
    let json = |words: &str| -> Value {
        let words: Vec<_> =
            format!("info image --components --format json {words}").split_whitespace().map(String::from).collect();
        let run = scratch.run("pvimg", &words).succeeds();
        serde_json::from_slice::<Value>(&run.stdout).unwrap()["data"].take()
    };
    let image = scratch.read("image");
    let sha256 = |bytes: &[u8]| hex::encode(openssl::sha::sha256(bytes));
    let command_line = [scratch.read("parm"), vec![0]].concat();
    let parts =
        [("kernel", scratch.read("versioned")), ("ramdisk", scratch.read("rd")), ("command line", command_line)];
    for key in ["", "--hdr-key s32", "--image-key s64"] {
        let data = json(key);
        assert_eq!(data["kind"], "se_components");
        let rows = data["components"].as_array().unwrap();
        assert_eq!(rows.len(), 4);
        for (number, row) in rows.iter().enumerate() {
            let [address, size] = ["address", "size"].map(|name| row[name].as_u64().unwrap() as usize);
            assert_eq!(row["stored_sha256_hex"], sha256(&image[address..address + size]), "{row}");
            assert_eq!(row.get("plain").is_some(), !key.is_empty(), "{row}");
            if let (false, Some((what, content))) = (key.is_empty(), parts.get(number)) {
                let plain = &row["plain"];
                assert_eq!((&plain["what"], &plain["size"]), (&(*what).into(), &content.len().into()));
                assert_eq!(plain["sha256_hex"], sha256(content), "{row}");
            }
        }
        if !key.is_empty() {
            assert_eq!(
                (&rows[0]["plain"]["version"], &rows[2]["plain"]["text"]),
                (&VERSION.into(), &"root=/dev/vda1 quiet".into())
            );
        }
    }
    scratch
        .run("pvimg", &["info", "image", "--components", "--hdr-key", "kern_tiny"])
        .refuses(1, &["'kern_tiny'", "32"]);
    scratch.write("other", [9; 32]);
    scratch.run("pvimg", &["info", "image", "--components", "--hdr-key", "other"]).refuses(1, &["does not open"]);
}

#[test]
fn verify_says_what_is_wrong_and_where() {
    let scratch = scratch();
    create(&scratch, "image", &["-r", "rd", "--hdr-key", "s32"]).succeeds();
    let run = scratch.run("pvimg", &["verify", "image", "--hdr-key", "s32"]).succeeds();
    assert!(run.stdout().contains("image: complete and unchanged, 22 pages, the SE header authenticated"), "{run:?}");
    let good = scratch.read("image");
    let rows: [(usize, &[&str]); 6] = [
        (0x7, &["PSW"]),
        (0x9000, &["byte 0x9000 of the image", "expected 0, found 0x01"]),
        (0xc000, &["no image metadata"]),
        (0x14064, &["header"]),
        (0x16000, &["page list", "a page is changed"]),
        (good.len() - 1, &["whole pages"]),
    ];
    for (at, parts) in rows {
        let mut bad = good.clone();
        bad[at] ^= 1;
        scratch.write("bad", bad);
        scratch
            .run("pvimg", &["verify", "bad", "--hdr-key", "s32"])
            .refuses(2, &[&["'bad' is not as it should be"], parts].concat());
    }
    scratch.run("pvimg", &["verify", "missing"]).refuses(1, &["'missing'", "No such file"]);
    scratch.run("pvimg", &["verify", "rd"]).refuses(2, &["no image metadata"]);
    // The image of a simulated machine, made with our own loader.
    Machine::init(&scratch.join("machine"), None).unwrap();
    scratch.run("pvimg", &["verify", "machine/se.img"]).succeeds();
    // Another loader is not known, but its arguments are.
    let other = scratch.run("pvimg", &["verify", "seimg"]).succeeds();
    assert!(other.stderr.contains("boot loader, 6144 bytes, is not known"), "{other:?}");
}

/// All values in an image that are random without a seed, but for those that were chosen.
fn random_values(image: &[u8], host: &HostKey) -> BTreeMap<&'static str, Vec<u8>> {
    let unpacked = unpack(image, host).unwrap();
    let place = Image::open(&mut Cursor::new(image)).unwrap();
    let slot = place.header.key_slots().first().map(|slot| match slot {
        KeySlot::P521 { wrapped, .. } => wrapped.to_vec(),
        other => panic!("{other:?}"),
    });
    let mut values = BTreeMap::from([
        ("IV", place.header.iv().to_vec()),
        ("customer key", place.header.customer_coordinates().to_vec()),
        ("wrapped header key", slot.unwrap()),
        ("CCK", unpacked.secrets.cck.to_vec()),
        ("image key", unpacked.secrets.image_key.to_vec()),
    ]);
    for component in &place.ipib.components {
        // Without the kind, which is no secret.
        let name = Kind::of_prefix(component.prefix).unwrap();
        let name =
            ["kernel", "ramdisk", "command line", "stage3b"].into_iter().find(|known| *known == name.to_string());
        values.insert(name.unwrap(), component.prefix.to_be_bytes()[2..].to_vec());
    }
    values
}

/// The argument for '--seed' in docs/security.md: the same inputs give the same bytes; any other input changes all values that
/// are derived, so that no two images share a key, an IV or a tweak.
#[test]
fn a_seed_makes_the_same_image_again() {
    let scratch = scratch();
    let machine = Machine::init(&scratch.join("machine"), None).unwrap();
    let host = &machine.platform().host_key;
    scratch.write("seed", [7; 32]);
    scratch.write("parm2", "root=/dev/vda1 quiex");
    for (name, at) in [("kern", 70_000), ("rd", 4999)] {
        let mut changed = scratch.read(name);
        changed[at] ^= 1;
        scratch.write(&format!("{name}2"), changed);
    }
    scratch.write("rd+", [scratch.read("rd"), vec![0]].concat());
    fs::create_dir(scratch.join("loader")).unwrap();
    let [stage3a, mut stage3b] = Loader::own().stages().map(<[u8]>::to_vec);
    stage3b[0] ^= 1;
    scratch.write("loader/stage3a.bin", stage3a);
    scratch.write("loader/stage3b.bin", stage3b);
    let usual = "create -k machine/host.crt --no-verify -i kern -r rd -p parm --seed seed -o";
    let seeded = |name: &str, words: &str| {
        let words = format!("{words} {name} --overwrite");
        scratch.run("pvimg", &words.split(' ').collect::<Vec<_>>()).succeeds();
        scratch.read(name)
    };
    let first = seeded("1", usual);
    let values = random_values(&first, host);
    assert_eq!(values.len(), 9);
    assert_eq!(first, seeded("another-name", usual));
    // Names of files are no inputs.
    fs::copy(scratch.join("kern"), scratch.join("kern-copy")).unwrap();
    assert_eq!(first, seeded("2", &usual.replace("-i kern", "-i kern-copy")));
    scratch.write("seed2", [8; 32]);
    let rows: [(&str, &str, &[&str]); 18] = [
        ("--seed seed", "--seed seed2", &[]),
        ("-i kern", "-i kern2", &[]),
        ("-r rd", "-r rd2", &[]),
        ("-r rd", "-r rd+", &[]),
        ("-p parm", "-p parm2", &[]),
        ("-r rd ", "", &["ramdisk"]),
        ("-p parm ", "", &["command line"]),
        ("-o", "-k hkd2.crt -o", &[]),
        ("-k machine", "-k hkd2.crt -k machine", &[]),
        ("-o", "--enable-backup-keys -o", &[]),
        ("-o", "--disable-pckmo -o", &[]),
        ("-o", "--enable-cck-update -o", &[]),
        ("-o", "--disable-image-encryption -o", &[]),
        ("-o", "--cck s32 -o", &["CCK"]),
        ("-o", "--hdr-key s32 -o", &[]),
        ("-o", "--image-key s64 -o", &["image key"]),
        ("-o", "--x-bootloader-directory loader -o", &[]),
        ("-o", "--x-psw 20000 -o", &[]),
    ];
    for (number, (from, to, chosen)) in rows.into_iter().enumerate() {
        let image = seeded(&format!("other-{number}"), &usual.replace(from, to));
        let other = random_values(&image, host);
        for (name, value) in &values {
            let same = other.get(name) == Some(value);
            assert!(!same, "'{to}' instead of '{from}' leaves the {name}");
            assert!(other.contains_key(name) || chosen.contains(name), "'{to}': {name} is missing");
        }
        // What is encrypted is another thing all along, not only where it differs.
        let pages = first.chunks(4096).zip(image.chunks(4096)).skip(0x15).filter(|(one, other)| one == other).count();
        assert_eq!(pages, 0, "'{to}' instead of '{from}': pages that are encrypted alike");
    }
    let fifo = "mkfifo pipe; (cat rd > pipe &) ; exec \"$0\" pvimg create -k hkd.crt --no-verify -i kern -r pipe --seed seed -o 7";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", fifo, env!("CARGO_BIN_EXE_pvtools")]).current_dir(scratch.path());
    let run = Run::of(&mut shell, b"");
    assert!(run.status == 1 && run.stderr.contains("the ramdisk must be a regular file"), "{run:?}");
}

#[test]
fn outputs_appear_whole_or_not_at_all() {
    let scratch = scratch();
    scratch.write("old", "of somebody");
    create(&scratch, "old", &[]).refuses_with(1, "'old' exists: give another name or '--overwrite'");
    symlink("nowhere", scratch.join("link")).unwrap();
    create(&scratch, "link", &[]).refuses_with(1, "exists");
    // Overwritten is the name, not what a link leads to.
    fs::remove_file(scratch.join("link")).unwrap();
    symlink("old", scratch.join("link")).unwrap();
    create(&scratch, "link", &["--overwrite"]).succeeds();
    assert_eq!((scratch.read("old"), scratch.join("link").is_symlink()), (b"of somebody".to_vec(), false));
    create(&scratch, "kern", &["--overwrite"]).refuses_with(1, "would overwrite the input 'kern'");
    for output in ["/dev/null", "/dev/stdout"] {
        create(&scratch, output, &["--overwrite"]).refuses_with(1, "expected a regular file");
    }
    let mut shell = std::process::Command::new("sh");
    let fifo = "mkfifo pipe; exec \"$0\" pvimg create -k hkd.crt --no-verify -i kern -o pipe --overwrite";
    shell.args(["-c", fifo, env!("CARGO_BIN_EXE_pvtools")]).current_dir(scratch.path());
    Run::of(&mut shell, b"").refuses_with(1, "expected a regular file, found a pipe or device");
    let dry = create(&scratch, "none", &["--dry-run", "-r", "rd"]).succeeds();
    assert!(dry.stdout().contains("ramdisk") && !scratch.join("none").exists(), "{dry:?}");
    // Room for everything but for the image.
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let limited = format!("ulimit -f 40; exec \"$0\" pvimg {} none", USUAL.join(" "));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &limited, env!("CARGO_BIN_EXE_pvtools")]).current_dir(scratch.path());
    assert_ne!(Run::of(&mut shell, b"").status, 0);
    assert!(!scratch.join("none").exists());
}

/// A part that is opened later is a pipe, for which `pvimg create` waits: then the one before it is changed.
#[test]
fn parts_that_change_while_they_are_read_are_refused() {
    let resized = |path: PathBuf, by: i64| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len().checked_add_signed(by).unwrap()).unwrap();
    };
    for (victim, words, pipe) in [("kern", "-r pipe", "rd"), ("rd", "-r rd -p pipe", "parm")] {
        for by in [0, -1, -3000, 1] {
            let scratch = scratch();
            let made = std::process::Command::new("mkfifo").arg(scratch.join("pipe")).status().unwrap();
            assert!(made.success());
            let mut command = scratch.command("pvimg");
            command.args(&USUAL[..]).arg("image").args(words.split(' '));
            let running = thread::spawn(move || Run::of(&mut command, b""));
            // Opens as soon as somebody reads, and then the part before it is open.
            let mut writer = fs::OpenOptions::new().write(true).open(scratch.join("pipe")).unwrap();
            resized(scratch.join(victim), by);
            // Refused before it is read to its end, the pipe is closed.
            let _ = writer.write_all(&scratch.read(pipe));
            drop(writer);
            let run = running.join().unwrap();
            if by == 0 {
                run.succeeds();
                continue;
            }
            run.refuses_with(1, "changed while it was read: expected ");
            assert_eq!(scratch.names().len(), self::scratch().names().len() + 1, "{:?}", scratch.names());
        }
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let scratch = scratch();
    fs::create_dir(scratch.join("disk")).unwrap();
    // Less than the pages of the kernel take.
    let script = format!(
        "mount -t tmpfs -o size=64k,mode=755 none disk && {{ \"$0\" pvimg {} disk/image; echo $?; ls -A disk; }}",
        USUAL.join(" ")
    );
    let mut unshared = std::process::Command::new("unshare");
    unshared.args(["-m", "sh", "-c", &script, env!("CARGO_BIN_EXE_pvtools")]).current_dir(scratch.path());
    let Ok(output) = unshared.output() else { return crate::support::left_out("there is no unshare") };
    let stderr = String::from_utf8(output.stderr).unwrap();
    if stderr.contains("unshare") || stderr.contains("mount:") {
        return crate::support::left_out(format!("nothing can be mounted: {stderr}"));
    }
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n", "{stderr}");
    assert!(stderr.lines().last().is_some_and(|line| line.contains("No space left on device")), "{stderr}");
}

#[test]
fn a_pipe_is_as_good_as_a_file() {
    let scratch = scratch();
    let run = scratch.run_with(
        "pvimg",
        &[&USUAL[..], &["image", "-r", "/dev/stdin", "--image-key", "s64"]].concat(),
        &kernel(300_000, 0),
    );
    run.succeeds();
    scratch.run("pvimg", &["extract", "image", "--image-key", "s64", "-r", "rd.out"]).succeeds();
    assert_eq!(scratch.read("rd.out"), kernel(300_000, 0));
}

#[test]
fn what_will_not_start_is_said_before_anything_is_written() {
    let scratch = scratch();
    scratch.write("line", "quiet\n");
    let run = create(&scratch, "1", &["-p", "line"]).succeeds();
    assert!(run.stderr.contains("line break at the end of 'line'"), "{run:?}");
    let run = create(&scratch, "2", &["-i", "kern_tiny"]);
    assert_eq!(run.status, 2, "an option twice: {run:?}");
    // Of a kernel of just 64 KiB nothing is left when the loader has dropped them: it says so, and so it is said here.
    scratch.write("kern_64k", [0x55; 0x10000]);
    for kernel in ["kern_tiny", "kern_64k"] {
        let tiny = ["create", "-k", "hkd.crt", "--no-verify", "-i", kernel, "-o", "3", "--overwrite"];
        scratch.run("pvimg", &tiny).refuses_with(1, "has 64 KiB or less");
        let run = scratch.run("pvimg", &[&tiny[..], &["--no-component-check"]].concat()).succeeds();
        assert!(run.stderr.contains("WARNING: the kernel has 64 KiB or less"), "{run:?}");
    }
    // No machine, and one too many.
    let none = ["create", "--no-verify", "-i", "kern", "-o", "4"];
    let run = scratch.run("pvimg", &none);
    assert!(run.status == 2 && run.stderr.contains("--host-key-document"), "{run:?}");
    let many = ["hkd.crt"; 96].join(",");
    create(&scratch, "4", &["-k", &many]).refuses_with(1, "expected 1 to 95 host keys, found 97");
    scratch.write("halves", [3; 64]);
    create(&scratch, "5", &["--image-key", "halves"]).refuses_with(1, "two halves of the image key are the same");
    assert!(!scratch.join("4").exists() && !scratch.join("5").exists());
}

#[test]
fn json_is_as_its_schema_says() {
    let scratch = scratch();
    let schema = scratch.run("pvimg", &["info", "--print-schema", "json"]).succeeds();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let rows: [(&[&str], &str, bool); 3] = [
        (&[], "se_hdr", false),
        (&["--hdr-key", "s32"], "se_hdr", true),
        (&["--hdr-key", "s32", "--show-secrets"], "decrypted_se_hdr", true),
    ];
    for (more, kind, verified) in rows {
        let run = scratch.run("pvimg", &[&["info", "seimg"], more].concat()).succeeds();
        let json: Value = serde_json::from_slice(&run.stdout).unwrap();
        fits(&json, &schema).unwrap_or_else(|problem| panic!("{more:?}: {problem}"));
        assert_eq!((json["data"]["kind"].as_str(), json["data"]["verified"].as_bool()), (Some(kind), Some(verified)));
        assert_eq!(
            (json["data"]["nks"].as_u64(), json["data"]["pcf_hex"].as_str()),
            (Some(2), Some("00000000000000e0"))
        );
        let mut more = json.clone();
        more["data"]["new"] = Value::from(1);
        assert!(fits(&more, &schema).is_err(), "the schema takes anything");
    }
}

/// As much of a JSON schema as ours uses; another word in it is an error.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    let kinds = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("the type {other}"),
    };
    for (word, rule) in schema.as_object().unwrap() {
        let good = match word.as_str() {
            "$schema" | "title" | "properties" => true,
            "type" => kinds(rule.as_str().unwrap()),
            "const" => value == rule,
            "minimum" => value.as_i64().is_some_and(|value| value >= rule.as_i64().unwrap()),
            "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "additionalProperties" => {
                assert_eq!(rule, &Value::from(false));
                value.as_object().unwrap().keys().all(|name| schema["properties"].get(name).is_some())
            }
            "items" => value.as_array().unwrap().iter().all(|item| fits(item, rule).is_ok()),
            "oneOf" => rule.as_array().unwrap().iter().filter(|rule| fits(value, rule).is_ok()).count() == 1,
            "pattern" => {
                let digits = rule.as_str().unwrap().strip_prefix("^[0-9a-f]{").unwrap().strip_suffix("}$").unwrap();
                let text = value.as_str().unwrap();
                text.len() == digits.parse::<usize>().unwrap()
                    && text.bytes().all(|digit| b"0123456789abcdef".contains(&digit))
            }
            other => panic!("the word {other}"),
        };
        if !good {
            return Err(format!("'{word}: {rule}' does not hold for {value}"));
        }
    }
    for (name, rule) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(member) = value.get(name) {
            fits(member, rule)?;
        }
    }
    Ok(())
}

impl Run {
    /// Fails, and the last line on stderr has `part` in it: warnings may stand before it.
    #[track_caller]
    fn refuses_with(self, status: i32, part: &str) {
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(self.status == status && last.starts_with("error: ") && last.contains(part), "'{part}': {self:#?}");
    }
}
