//! The simulator's firmware, which shares no code with the builder, starts what the builder makes; and refuses, with the right
//! reason, what was changed. So does `verify`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use pvsim::HostKey;
use pvsim::unpack::{Refused, unpack};
use seimage::{Component, Error, Image, ImageKeys, InputsDigest, Loader, LoaderFinding, Recipe, create, verify};
use std::io::Cursor;
use uvtypes::SecretBox;

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 5 + at) as u8 | 1).collect()
}

/// What an image is made of.
#[derive(Default)]
struct Kind {
    name: &'static str,
    kernel: usize,
    ramdisk: Option<usize>,
    command_line: Option<&'static [u8]>,
    plain: u64,
    secret: u64,
    hosts: usize,
    chosen_keys: bool,
    seed: bool,
}

fn keys(kind: &Kind) -> ImageKeys {
    let mut keys = match kind.seed {
        true => ImageKeys::derived(&SecretBox::new([5; 32]), &InputsDigest::default()).unwrap(),
        false => ImageKeys::random().unwrap(),
    };
    if kind.chosen_keys {
        keys.cck = SecretBox::new([1; 32]);
        keys.header_key = SecretBox::new([2; 32]);
        keys.image_key = SecretBox::new(std::array::from_fn(|at| at as u8));
    }
    keys
}

fn image(kind: &Kind, host_keys: &[hostkey::TrustedHostKey], keys: ImageKeys) -> Vec<u8> {
    let (kernel, ramdisk) = (bytes(kind.kernel), kind.ramdisk.map(bytes));
    let recipe = Recipe {
        loader: &Loader::own(),
        host_keys,
        keys,
        plaintext_control_flags: kind.plain,
        secret_control_flags: kind.secret,
        psw_address: None,
        kernel: Component::new(kernel.as_slice()),
        ramdisk: ramdisk.as_deref().map(Component::new),
        command_line: kind.command_line.map(|line| line.to_vec().into()),
    };
    let mut out = Cursor::new(Vec::new());
    create(recipe, &mut out, &mut |_| ()).unwrap();
    out.into_inner()
}

fn judge(image: &[u8], header_key: Option<&SecretBox<[u8; 32]>>) -> Result<LoaderFinding, Error> {
    let mut file = Cursor::new(image);
    let image = Image::open(&mut file)?;
    Ok(verify(&image, &mut file, &[&Loader::own()], header_key, &mut |_| ())?.loader)
}

#[test]
fn our_own_loader_is_one() {
    let [stage3a, stage3b] = Loader::own().stages().map(<[u8]>::to_vec);
    assert_eq!(Loader::new(stage3a, stage3b).unwrap(), Loader::own());
}

fn kinds() -> [Kind; 16] {
    const LONG: &[u8] = &[b'l'; 5000];
    let usual = || Kind { kernel: 0x10500, plain: 0xe0, hosts: 1, ..Kind::default() };
    [
        Kind { name: "kernel alone", ..usual() },
        Kind { name: "with ramdisk", ramdisk: Some(9999), ..usual() },
        Kind { name: "with command line", command_line: Some(b"quiet"), ..usual() },
        Kind { name: "with both", ramdisk: Some(4096), command_line: Some(b"quiet\0"), ..usual() },
        Kind { name: "not encrypted", ramdisk: Some(50_000), command_line: Some(b"x"), plain: 0x1000_00e0, ..usual() },
        Kind { name: "dump, CCK update", plain: 0x2000_00e0, secret: 1 << 61, ..usual() },
        Kind { name: "CCK extension secret", secret: 1 << 62, chosen_keys: true, ..usual() },
        Kind { name: "all plain flags", plain: 0x3000_00f2, ..usual() },
        Kind { name: "three machines", hosts: 3, ..usual() },
        Kind { name: "95 machines", hosts: 95, ..usual() },
        Kind { name: "empty ramdisk", ramdisk: Some(0), ..usual() },
        Kind { name: "empty command line", command_line: Some(b""), ..usual() },
        Kind { name: "everything empty", kernel: 0, ramdisk: Some(0), command_line: Some(b""), ..usual() },
        Kind { name: "long command line", command_line: Some(LONG), ..usual() },
        Kind { name: "large", kernel: 3_000_001, ramdisk: Some(5_000_003), ..usual() },
        Kind { name: "of a seed", ramdisk: Some(77), seed: true, ..usual() },
    ]
}

#[test]
fn sixteen_kinds_of_images_start() {
    let kinds = kinds();
    let hosts: Vec<_> = (0..3).map(|_| HostKey::generate().unwrap()).collect();
    let documents: Vec<_> = hosts.iter().map(|host| host.trusted().unwrap()).collect();
    for kind in &kinds {
        let host_keys: Vec<_> = (0..kind.hosts).map(|number| documents[number % 3].clone()).collect();
        let keys = keys(kind);
        let (cck, image_key, header_key) = (keys.cck.clone(), keys.image_key.clone(), keys.header_key.clone());
        let image = image(kind, &host_keys, keys);
        assert_eq!(judge(&image, Some(&header_key)).unwrap(), LoaderFinding::Known, "{}", kind.name);
        for host in &hosts[..kind.hosts.min(3)] {
            let unpacked = unpack(&image, host).unwrap_or_else(|refused| panic!("{}: {refused}", kind.name));
            let [kernel, ramdisk, command_line] = unpacked.started().unwrap();
            assert_eq!(kernel, bytes(kind.kernel), "{}", kind.name);
            assert_eq!(ramdisk, bytes(kind.ramdisk.unwrap_or(0)), "{}", kind.name);
            let mut expected = kind.command_line.unwrap_or_default().to_vec();
            if !expected.is_empty() && !expected.ends_with(b"\0") {
                expected.push(0);
            }
            assert_eq!(command_line, expected, "{}", kind.name);
            assert_eq!((unpacked.secrets.cck, unpacked.secrets.image_key), (*cck.expose(), *image_key.expose()));
            let flags = (unpacked.plaintext_control_flags, unpacked.secrets.secret_control_flags);
            assert_eq!(flags, (kind.plain, kind.secret), "{}", kind.name);
        }
        let stranger = unpack(&image, &HostKey::generate().unwrap()).err().unwrap();
        assert_eq!((stranger.command, stranger.rc, stranger.rrc), (2, 0x0108, 5), "{}", kind.name);
    }
}

#[test]
fn one_flipped_byte_is_refused_for_the_right_reason() {
    let host = HostKey::generate().unwrap();
    let kind =
        Kind { kernel: 0x10500, ramdisk: Some(900_000), command_line: Some(b"x"), plain: 0xe0, ..Kind::default() };
    let keys = keys(&kind);
    let header_key = keys.header_key.clone();
    let mut image = image(&kind, &[host.trusted().unwrap()], keys);
    let place = Image::open(&mut Cursor::new(&image)).unwrap();
    let (header, ipib) = (place.metadata.header as usize, place.metadata.ipib as usize);
    let first = place.ipib.components[0].address as usize;

    let mut refused = |at: usize, bit: u8| flipped(&mut image, at, bit, &header_key, &host);
    let tag = (2, 0x0108, 0);
    for at in 0..place.header_bytes.len() {
        let refused = refused(header + at, 0x04);
        assert_eq!(codes(&refused), of_header(at, 1), "byte {at:#x} of the header: {refused}");
    }
    assert_eq!(codes(&refused(header + 0x27, 0x01)), (2, 0x010a, 0x40), "no key slot");
    assert_eq!(codes(&refused(header + 0x3f, 0x20)), tag, "a known flag");
    for at in 0..place.size as usize - ipib {
        let refused = refused(ipib + at, 0x04);
        assert!(is_of_ipib(at, &refused), "byte {at:#x} of the IPIB: {refused}");
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..200 {
        let at = first + random.below(ipib - first);
        assert_eq!(codes(&refused(at, 1 << random.below(8))), OF_PAGE, "byte {at:#x}");
    }
}

/// A sample of what the test before does with every byte, for images of all kinds.
#[test]
fn a_flipped_byte_is_refused_in_images_of_every_kind() {
    let hosts: Vec<_> = (0..3).map(|_| HostKey::generate().unwrap()).collect();
    let documents: Vec<_> = hosts.iter().map(|host| host.trusted().unwrap()).collect();
    let mut random = Random(0x1234_5678_9abc_def0);
    for kind in &kinds() {
        let host_keys: Vec<_> = (0..kind.hosts).map(|number| documents[number % 3].clone()).collect();
        let keys = keys(kind);
        let header_key = keys.header_key.clone();
        let mut image = image(kind, &host_keys, keys);
        let place = Image::open(&mut Cursor::new(&image)).unwrap();
        let (header, ipib) = (place.metadata.header as usize, place.metadata.ipib as usize);
        let first = place.ipib.components[0].address as usize;
        // A large image takes as long for each byte as all others together.
        let places = if image.len() < 1 << 20 { 200 } else { 8 };
        let mut refused = |at: usize, bit: u8| flipped(&mut image, at, bit, &header_key, &hosts[0]);
        for _ in 0..places / 4 {
            let at = random.below(place.header_bytes.len());
            let refused = refused(header + at, 0x04);
            assert_eq!(
                codes(&refused),
                of_header(at, kind.hosts),
                "{}: byte {at:#x} of the header: {refused}",
                kind.name
            );
        }
        for _ in 0..places / 4 {
            let at = random.below(place.size as usize - ipib);
            let refused = refused(ipib + at, 0x04);
            assert!(is_of_ipib(at, &refused), "{}: byte {at:#x} of the IPIB: {refused}", kind.name);
        }
        for _ in 0..places {
            let at = first + random.below(ipib - first);
            assert_eq!(codes(&refused(at, 1 << random.below(8))), OF_PAGE, "{}: byte {at:#x}", kind.name);
        }
    }
}

/// Flips bits of one byte: both the builder's own check and the firmware see it. Gives the firmware's reason.
fn flipped(image: &mut [u8], at: usize, bits: u8, header_key: &SecretBox<[u8; 32]>, host: &HostKey) -> Refused {
    image[at] ^= bits;
    let judged = judge(image, Some(header_key));
    assert!(judged.is_err(), "pvimg verify sees nothing at {at:#x}: {judged:?}");
    let refused = unpack(image, host).err().unwrap_or_else(|| panic!("the firmware sees nothing at {at:#x}"));
    image[at] ^= bits;
    refused
}

/// Command, rc, rrc.
type Codes = (u16, u16, u16);

fn codes(refused: &Refused) -> Codes {
    (refused.command, refused.rc, refused.rrc)
}

const OF_PAGE: Codes = (4, 0x0102, 0x1b);

/// What bit 0x04 of byte `at` of a header with `slots` key slots, the first of which is that of the machine, is refused for.
fn of_header(at: usize, slots: usize) -> Codes {
    match at {
        0x000..0x008 => (2, 0x010a, 0),
        0x008..0x00c => (2, 0x0104, 1),
        0x00c..0x010 => (2, 0x010a, 0x31),
        0x020..0x030 => (2, 0x010a, 0x39),
        0x038..0x040 => (2, 0x0106, 0x30),
        0x040..0x0e0 => (2, 0x0108, 0x0b),
        // With more than three, the machine has another slot.
        0x1a0..0x1c0 if slots <= 3 => (2, 0x0108, 5),
        // IV, number of pages, digests, wrapped key, encrypted part, tag: the header's tag does not fit.
        _ => (2, 0x0108, 0),
    }
}

/// Whether bit 0x04 of byte `at` of an IPIB is refused for the right reason.
fn is_of_ipib(at: usize, refused: &Refused) -> bool {
    let (command, rc, rrc) = codes(refused);
    match at.checked_sub(0x88).map(|at| at % 24) {
        None => command == 0,
        Some(0..8) => (command, rc, rrc) == (4, 0x0102, 0x1c),
        Some(8..16) => (rc, rrc) == (0x0102, 0x1a),
        Some(_) => rc == 0x0102 && [0x1a, 0x1d].contains(&rrc),
    }
}

/// The same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % limit
    }
}
