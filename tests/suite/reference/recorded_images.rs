//! The files that the recorded command lines of pvimg and genprotimg name: kernels, command lines, images with a known header
//! key. Certificates and keys are those of `recorded_inputs`.

use crate::recorded_inputs::Inputs;
use hostkey::HostKeyDocument;
use pvsim::HostKey;
use pvsim::image::{HeaderSecrets, header};
use seimage::{Component, ImageKeys, Loader, Recipe, create};
use std::io::Cursor;
use std::sync::LazyLock;
use uvtypes::SecretBox;

/// As they are.
const SHARED: [&str; 20] = [
    "ec256.crt",
    "empty",
    "garbage",
    "hkd.crt",
    "hkd2.crt",
    "host.crt",
    "host_rev.crt",
    "ibm.crl",
    "ibm.crt",
    "ibm2.crt",
    "inter.crl",
    "inter.crt",
    "root.crl",
    "root.crt",
    "s31",
    "s32",
    "s33",
    "s64",
    "sign_rsa2048.crt",
    "two.crt",
];
/// Where the entry of a kernel and the limit of its command line are.
const ENTRY: usize = 0x10008;
const LIMIT: usize = 0x10430;

static INPUTS: LazyLock<Inputs> = LazyLock::new(make);

pub(crate) fn inputs() -> &'static Inputs {
    &INPUTS
}

fn make() -> Inputs {
    let mut inputs = Inputs::default();
    for name in SHARED {
        inputs.add(name, Inputs::ours().find(name).unwrap());
    }
    inputs.add("zeros", [0; 4096]);
    inputs.add("hdr_wrong", [b'w'; 32]);
    components(&mut inputs);
    images(&mut inputs);
    headers_of_another(&mut inputs);
    hashes(&mut inputs);
    inputs
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 / 3) as u8 | 1).collect()
}

/// A kernel as the loader wants it, but for its code.
pub(crate) fn kernel(size: usize, limit: u64) -> Vec<u8> {
    let mut kernel = bytes(size);
    kernel[ENTRY..ENTRY + 6].copy_from_slice(b"S390EP");
    if let Some(place) = kernel.get_mut(LIMIT..LIMIT + 8) {
        place.copy_from_slice(&limit.to_be_bytes());
    }
    kernel
}

fn components(inputs: &mut Inputs) {
    let good = kernel(74_565, 4096);
    let with = |at: usize, part: &[u8]| {
        let mut kernel = good.clone();
        kernel[at..at + part.len()].copy_from_slice(part);
        kernel
    };
    inputs.add("kern_legacy", with(LIMIT, &[0; 8]));
    inputs.add("kern_elf", with(0, b"\x7fELF"));
    inputs.add("kern_noep", with(ENTRY + 4, b"XX"));
    inputs.add("kern_16", kernel(65_552, 4096));
    inputs.add("kern_odd", kernel(77_825, 4096));
    inputs.add("kern_tiny", bytes(100));
    inputs.add("kern", good);
    inputs.add("rd", bytes(5000));
    inputs.add("parm", "root=/dev/vda1 quiet");
    inputs.add("parm_nul", "root=/dev/vda1\0");
    for size in [895, 896, 4095, 4096, 8192] {
        inputs.add(&format!("parm_{size}"), vec![b'p'; size]);
    }
}

/// Images for `hkd.crt` and `hkd2.crt` whose header key is `s32`.
fn images(inputs: &mut Inputs) {
    let host_keys = ["hkd.crt", "hkd2.crt"]
        .map(|name| HostKeyDocument::parse(inputs.find(name).unwrap()).unwrap().trust_unverified());
    let loader = Loader::new(bytes(0x1800), bytes(0x500)).unwrap();
    let image = |flags| {
        let mut keys = ImageKeys::random().unwrap();
        keys.header_key = SecretBox::copy_of(inputs.find("s32").unwrap()).unwrap();
        let recipe = Recipe {
            loader: &loader,
            host_keys: &host_keys,
            keys,
            plaintext_control_flags: flags,
            secret_control_flags: 0,
            psw_address: None,
            kernel: Component::new(inputs.find("kern").unwrap()),
            ramdisk: None,
            command_line: None,
        };
        let mut out = Cursor::new(Vec::new());
        let header = create(recipe, &mut out, &mut |_| ()).unwrap().header as usize;
        (out.into_inner(), header)
    };
    let (good, at) = image(0xe0);
    let (plain, _) = image(0x3000_00e0);
    // Before there was metadata.
    let mut old = good.clone();
    old[0xc000..0xc01c].fill(0);
    let mut size = good.clone();
    size[at + 12..at + 16].copy_from_slice(&16_384_u32.to_be_bytes());
    let mut two = good.clone();
    two[at + 0x2000..at + 0x2000 + 720].copy_from_slice(&good[at..at + 720]);
    inputs.add("seimg_plain", plain);
    inputs.add("seimg_old", old);
    inputs.add("seimg_size", size);
    inputs.add("seimg_trunc", &good[..at + 300]);
    inputs.add("seimg_two", two);
    inputs.add("seimg", good);
}

/// Headers for a machine that no document here is of.
fn headers_of_another(inputs: &mut Inputs) {
    let host = [HostKey::generate().unwrap().private_key().clone()];
    let header = header(&host, &HeaderSecrets::random().unwrap(), 0, 0).unwrap();
    for page in [0x12, 0x17, 0x18] {
        let mut image = vec![0; (page + 3) * 0x1000];
        image[page * 0x1000..][..header.len()].copy_from_slice(&header);
        inputs.add(&format!("img{page:x}"), image);
    }
    inputs.add("se.hdr", header);
}

fn hashes(inputs: &mut Inputs) {
    let own = HostKeyDocument::parse(inputs.find("hkd.crt").unwrap()).unwrap().hash().to_string();
    let lines = |first: &str, count: usize, end: &str| {
        let others = (1..count).map(|_| "0".repeat(64));
        [first.to_owned()].into_iter().chain(others).map(|line| line + end).collect::<String>()
    };
    inputs.add("hashes", lines(&own, 15, "\n"));
    inputs.add("hashes_16", lines(&own, 16, "\n"));
    inputs.add("hashes_0x", lines(&format!("0x{own}"), 15, "\n"));
    inputs.add("hashes_upper", lines(&own.to_uppercase(), 15, "\n"));
    inputs.add("hashes_crlf", lines(&own, 15, "\r\n"));
}
