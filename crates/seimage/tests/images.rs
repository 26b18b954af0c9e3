//! Images of all kinds: made, read, verified, taken apart; and changed in every way.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use hostkey::TrustedHostKey;
use pvsim::{HostKey, image::open_header};
use seimage::{
    Component, Created, Difference, Error, Image, ImageKeys, InputsDigest, Kind, Loader, LoaderFinding, MAX_HOST_KEYS,
    PAGE_SIZE, Recipe, contents, create, decrypt_header, extract, verify,
};
use std::io::{Cursor, Read};
use uvtypes::SecretBox;

fn bytes(size: usize, salt: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 13 + at + salt) as u8 | 1).collect()
}

fn loader() -> Loader {
    Loader::new(bytes(0x1234, 1), bytes(0x0777, 2)).unwrap()
}

struct Parts {
    kernel: Vec<u8>,
    ramdisk: Option<Vec<u8>>,
    command_line: Option<Vec<u8>>,
    flags: u64,
}

fn make(parts: &Parts, host_keys: &[TrustedHostKey], keys: ImageKeys) -> Result<(Vec<u8>, Created), Error> {
    let recipe = Recipe {
        loader: &loader(),
        host_keys,
        keys,
        plaintext_control_flags: parts.flags,
        secret_control_flags: 0,
        psw_address: None,
        kernel: Component::new(parts.kernel.as_slice()).of_size(parts.kernel.len() as u64),
        ramdisk: parts.ramdisk.as_deref().map(Component::new),
        command_line: parts.command_line.clone().map(Into::into),
    };
    let mut out = Cursor::new(Vec::new());
    let created = create(recipe, &mut out, &mut |_| ())?;
    Ok((out.into_inner(), created))
}

fn check(image: &[u8], header_key: Option<&SecretBox<[u8; 32]>>) -> Result<LoaderFinding, Error> {
    let mut file = Cursor::new(image);
    let image = Image::open(&mut file)?;
    Ok(verify(&image, &mut file, &[&loader()], header_key, &mut |_| ())?.loader)
}

#[test]
fn all_kinds_are_read_as_they_were_made() {
    let host = HostKey::generate().unwrap();
    let host_keys = [host.trusted().unwrap()];
    let chunk = 64 * PAGE_SIZE as usize;
    let ramdisks = [None, Some(0), Some(1), Some(4095), Some(4096), Some(4097), Some(chunk), Some(3 * chunk + 5)];
    for (number, ramdisk) in ramdisks.into_iter().enumerate() {
        for flags in [0xe0, 0x1000_00e0] {
            let command_line = [None, Some(&b""[..]), Some(b"quiet"), Some(b"root=/dev/vda1\0")][number % 4];
            let parts = Parts {
                kernel: bytes(0x10123 + number, 3),
                ramdisk: ramdisk.map(|size| bytes(size, 4)),
                command_line: command_line.map(<[u8]>::to_vec),
                flags,
            };
            let keys = ImageKeys::random().unwrap();
            let (header_key, image_key) = (keys.header_key.clone(), keys.image_key.clone());
            let (file, created) = make(&parts, &host_keys, keys).unwrap();
            assert_eq!(check(&file, Some(&header_key)).unwrap(), LoaderFinding::Known);
            assert_eq!(file.len() as u64, created.size);

            let mut file = Cursor::new(file);
            let image = Image::open(&mut file).unwrap();
            assert_eq!(*image.header.boot_tags(), created.boot_tags);
            // The simulator's own code opens it with the host key.
            let opened = open_header(&image.header_bytes, host.private_key()).unwrap();
            assert_eq!(opened.image_key, *image_key.expose());
            let stage3b = created.components.last().unwrap().address;
            assert_eq!(opened.psw, *[0x1_8000_0000_u64.to_be_bytes(), stage3b.to_be_bytes()].concat());
            assert_eq!(decrypt_header(&image, &header_key).unwrap().psw_address, stage3b);

            let contents = contents(&image, &mut file, &image_key).unwrap();
            let command_line = parts.command_line.map(|line| if line == b"quiet" { b"quiet\0".to_vec() } else { line });
            let expected = [(Kind::Kernel, Some(&parts.kernel)), (Kind::Ramdisk, parts.ramdisk.as_ref())];
            for (kind, expected) in expected.into_iter().chain([(Kind::CommandLine, command_line.as_ref())]) {
                let found = contents.find(kind).ok();
                assert_eq!(found.is_some(), expected.is_some(), "{kind} of {number}");
                if let Some(extent) = found {
                    let mut plain = Vec::new();
                    extract(&image, &mut file, extent, &image_key, &mut plain, &mut |_| ()).unwrap();
                    assert_eq!(Some(&plain), expected, "{kind} of {number}");
                }
            }
            if flags == 0xe0 {
                let wrong = SecretBox::new([9; 64]);
                let result = seimage::contents(&image, &mut file, &wrong);
                assert!(matches!(result, Err(Error::NoArguments | Error::OpenSsl(_))), "{result:?}");
            } else {
                let at = created.components[0].address as usize;
                assert_eq!(file.get_ref()[at..at + parts.kernel.len()], parts.kernel);
            }
        }
    }
}

#[test]
fn no_changed_byte_goes_unseen() {
    let host_keys = [HostKey::generate().unwrap(), HostKey::generate().unwrap()].map(|key| key.trusted().unwrap());
    let parts = Parts {
        kernel: bytes(0x11001, 3),
        ramdisk: Some(bytes(5000, 4)),
        command_line: Some(b"a".into()),
        flags: 0xe0,
    };
    let keys = ImageKeys::random().unwrap();
    let key = keys.header_key.clone();
    let (good, created) = make(&parts, &host_keys, keys).unwrap();
    let stage3a = 0x10000..0x10000 + 0x1234 - 24;
    let (header, ipib) = (created.header as usize, created.ipib as usize);
    // Each byte of what is small, and one on each page of the rest.
    let small = [0..0x10, 0xbff8..0xc030, 0x111f0..0x11300, header..header + 0x300, ipib..good.len()];
    let pages = (0..good.len()).step_by(PAGE_SIZE as usize).map(|page| page + page / 7 % PAGE_SIZE as usize);
    for at in small.into_iter().flatten().chain(pages.filter(|at| *at < good.len())) {
        let mut changed = good.clone();
        changed[at] ^= 0x04;
        match check(&changed, Some(&key)) {
            // Code of a loader that is then no longer known.
            Ok(LoaderFinding::Unknown { .. }) if stage3a.contains(&at) => {}
            Err(error) if !matches!(error, Error::OpenSsl(_)) => {
                let text = error.to_string();
                let expected = match at {
                    0..8 => "PSW",
                    0xc000..0xc008 => "no image metadata",
                    at if (created.components[0].address as usize..ipib).contains(&at) => "page list",
                    _ => "",
                };
                assert!(text.contains(expected), "byte {at:#x}: {text}");
            }
            other => panic!("byte {at:#x}: {other:?}"),
        }
    }
    for size in [0, 0xc000, 0xc01b, 0x14000, header + 700, ipib, good.len() - 1] {
        assert!(check(&good[..size], Some(&key)).is_err(), "{size:#x} bytes");
    }
    let longer = [&good[..], &[0]].concat();
    assert!(check(&longer, None).unwrap_err().to_string().contains("the size in the IPIB"));
    assert!(matches!(check(&good, Some(&SecretBox::new([1; 32]))), Err(Error::Differs(Difference::HeaderTag))));
    // Without the key, what only it can prove is not proved: see the documentation of `verify`.
    assert_eq!(check(&good, None).unwrap(), LoaderFinding::Known);
}

#[test]
fn from_1_to_95_host_keys() {
    let key = HostKey::generate().unwrap();
    let keys: Vec<_> = (0..=MAX_HOST_KEYS).map(|_| key.trusted().unwrap()).collect();
    let parts = Parts { kernel: bytes(10, 3), ramdisk: None, command_line: None, flags: 0 };
    let make = |count: usize| make(&parts, &keys[..count], ImageKeys::random().unwrap());
    for count in [0, 96] {
        assert!(matches!(make(count), Err(Error::HostKeyCount(found)) if found == count));
    }
    let (file, created) = make(95).unwrap();
    assert_eq!((created.header_size, created.components[0].address), (8160, 0x16000));
    check(&file, None).unwrap();
}

#[test]
fn inputs_that_change_while_they_are_read_are_refused() {
    let host_keys = [HostKey::generate().unwrap().trusted().unwrap()];
    let loader = loader();
    let with = |kernel: Component<'_>| {
        let recipe = Recipe {
            loader: &loader,
            host_keys: &host_keys,
            keys: ImageKeys::random().unwrap(),
            plaintext_control_flags: 0,
            secret_control_flags: 0,
            psw_address: None,
            kernel,
            ramdisk: None,
            command_line: None,
        };
        create(recipe, &mut Cursor::new(Vec::new()), &mut |_| ())
    };
    let kernel = bytes(500_000, 1);
    for expected in [0, 499_999, 500_001] {
        let error = with(Component::new(kernel.as_slice()).of_size(expected)).unwrap_err();
        assert!(error.to_string().starts_with("the kernel changed"), "{error}");
    }
    let of =
        |bytes: &[u8]| Component { digest: Some(openssl::sha::sha512(bytes)), ..Component::new(kernel.as_slice()) };
    with(of(&kernel)).unwrap();
    assert!(matches!(with(of(&kernel[1..])), Err(Error::ChangedContent(Kind::Kernel))));
    let mut endless = with(Component::new(std::io::repeat(0).take(1 << 20)).of_size(5000)).unwrap_err();
    assert!(matches!(&mut endless, Error::Changed { expected: 5000, .. }), "{endless}");
    let mut keys = ImageKeys::random().unwrap();
    keys.image_key = SecretBox::new([7; 64]);
    let parts = Parts { kernel, ramdisk: None, command_line: None, flags: 0 };
    assert!(matches!(make(&parts, &host_keys, keys), Err(Error::EqualHalves)));
}

/// The argument for `--seed`: the same inputs give the same bytes, and any other input changes each derived value.
#[test]
fn every_input_changes_every_derived_value() {
    let seed = SecretBox::new([1; 32]);
    let inputs: [(&str, &[u8]); 4] = [("PCF", b"1"), ("loader", b"2"), ("host key", b"3"), ("", b"")];
    let digest = |inputs: &[(&str, &[u8])], kernel: u8| {
        let mut digest = InputsDigest::default();
        inputs.iter().for_each(|(name, value)| digest.add(name, value));
        digest.add_component(Kind::Kernel, &[kernel; 64]);
        digest
    };
    let host_keys = [HostKey::generate().unwrap().trusted().unwrap()];
    // All derived values as an image has them: header key, CCK, image key, IV, customer key, four prefixes.
    let values = |seed: &SecretBox<[u8; 32]>, inputs: &InputsDigest| {
        let keys = ImageKeys::derived(seed, inputs).unwrap();
        let secrets = [&keys.header_key.expose()[..], keys.cck.expose(), keys.image_key.expose()].map(<[u8]>::to_vec);
        let parts =
            Parts { kernel: bytes(10, 3), ramdisk: Some(vec![1]), command_line: Some(b"a".into()), flags: 0xe0 };
        let (file, created) = make(&parts, &host_keys, keys).unwrap();
        let header = Image::open(&mut Cursor::new(&file)).unwrap().header;
        let mut values = secrets.to_vec();
        values.extend([header.iv().to_vec(), header.customer_coordinates().to_vec()]);
        values.extend(created.components.iter().map(|placed| placed.prefix.to_be_bytes()[2..].to_vec()));
        (values, file)
    };
    let (expected, file) = values(&seed, &digest(&inputs, 1));
    assert_eq!(expected.len(), 9);
    assert_eq!(values(&seed, &digest(&inputs, 1)).1, file, "the same inputs give the same bytes");
    let mut others = vec![digest(&inputs, 2), digest(&inputs[..3], 1), digest(&[inputs[1], inputs[0], inputs[2]], 1)];
    // The same letters, divided in another way.
    others.push(digest(&[("PC", b"F1"), inputs[1], inputs[2], inputs[3]], 1));
    for number in 0..inputs.len() {
        let mut changed = inputs;
        changed[number].1 = b"another";
        others.push(digest(&changed, 1));
    }
    let mut all: Vec<_> = others.iter().map(|inputs| values(&seed, inputs).0).collect();
    all.push(values(&SecretBox::new([2; 32]), &digest(&inputs, 1)).0);
    for (row, other) in all.iter().enumerate() {
        for (number, (value, expected)) in other.iter().zip(&expected).enumerate() {
            assert_ne!(value, expected, "value {number} of row {row}");
        }
    }
}
