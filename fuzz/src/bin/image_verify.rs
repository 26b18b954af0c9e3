//! `pvimg verify`, extraction and the explaining walker on images that somebody changed. The input is a list of changes to a good
//! image: what 1 byte, where 4 bytes, how many bytes 1, and so many bytes. Whatever is changed must be seen, but for the code of
//! the loader, which is then not known.
#![no_main]

use hostkey::HostKeyDocument;
use libfuzzer_sys::fuzz_target;
use openssl::hash::MessageDigest;
use openssl::x509::X509;
use pvsim::HostKey;
use seimage::{
    Component, Error, Image, ImageKeys, InputsDigest, Loader, LoaderFinding, Recipe, STAGE3A, contents, create,
    decrypt_header, extract, kernel_version, verify,
};
use std::io::Cursor;
use std::ops::Range;
use std::sync::LazyLock;
use uvtypes::SecretBox;

struct Good {
    image: Vec<u8>,
    place: Image,
    header_key: SecretBox<[u8; 32]>,
    host: HostKey,
}

static GOOD: LazyLock<Good> = LazyLock::new(|| {
    // The same each time, so that what is found can be repeated.
    let host = HostKey::from_pem(include_bytes!("../../../fixtures/requests/TEST-host.key")).expect("a key");
    let mut certificate = X509::builder().expect("a certificate");
    certificate.set_pubkey(host.private_key()).expect("a key in it");
    certificate.sign(host.private_key(), MessageDigest::sha512()).expect("a signature");
    let document = HostKeyDocument::from_certificate(certificate.build()).expect("a document");
    let keys = ImageKeys::derived(&SecretBox::new([3; 32]), &InputsDigest::default()).expect("keys");
    let header_key = keys.header_key.clone();
    let recipe = Recipe {
        loader: &Loader::own(),
        host_keys: &[document.trust_unverified()],
        keys,
        plaintext_control_flags: 0xe0,
        secret_control_flags: 0,
        psw_address: None,
        kernel: Component::new(&[7; 5000][..]),
        ramdisk: Some(Component::new(&[8; 3][..])),
        command_line: Some(b"quiet".to_vec().into()),
    };
    let mut out = Cursor::new(Vec::new());
    create(recipe, &mut out, &mut |_| ()).expect("an image");
    let place = Image::open(&mut out).expect("a good image");
    Good { image: out.into_inner(), place, header_key, host }
});

fn changed(mut changes: &[u8]) -> Vec<u8> {
    let (mut image, place) = (GOOD.image.clone(), &GOOD.place);
    while let [what, a, b, c, d, count, rest @ ..] = changes {
        let at = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (bytes, rest) = rest.split_at(rest.len().min((*count).into()));
        changes = rest;
        let (header, ipib) = (place.metadata.header as usize, place.metadata.ipib as usize);
        let at = match what % 8 {
            0 => {
                image.truncate(at % image.len().max(1));
                continue;
            }
            1 => {
                image.extend(bytes);
                continue;
            }
            2 => 0xc000 + at % 28,
            3 => header + at % place.header_bytes.len(),
            4 => ipib + at % (place.size as usize - ipib),
            5 => header - 0x40 + at % 0x40,
            _ => at % image.len().max(1),
        };
        if let Some(target) = image.get_mut(at..) {
            target.iter_mut().zip(bytes).for_each(|(target, byte)| *target = *byte);
        }
    }
    image
}

fn judge(bytes: &[u8]) -> Result<LoaderFinding, Error> {
    let mut file = Cursor::new(bytes);
    let image = Image::open(&mut file)?;
    let key = decrypt_header(&image, &GOOD.header_key).map_or_else(|_| SecretBox::zeros(), |secrets| secrets.image_key);
    // Whatever the components are said to be, they come out or are refused.
    if let Ok(contents) = contents(&image, &mut file, &key) {
        for extent in &contents.extents {
            let mut plain = Vec::new();
            if extract(&image, &mut file, extent, &key, &mut plain, &mut |_| ()).is_ok() {
                assert_eq!(plain.len() as u64, extent.size);
                let _ = kernel_version(&mut Cursor::new(&plain));
            }
        }
    }
    let found = verify(&image, &mut file, &[&Loader::own()], Some(&GOOD.header_key), &mut |_| ())?;
    Ok(found.loader)
}

fn fuzz(bytes: &[u8]) {
    let image = changed(bytes);
    if let Ok(report) = uvexplain::explain(&mut Cursor::new(&image), &[]) {
        for field in &report.fields {
            let end = field.offset.zip(field.size).map(|(offset, size)| offset + size);
            assert!(end.is_none_or(|end| end <= image.len()), "{} is beyond the file", field.name);
        }
    }
    let Ok(loader) = judge(&image) else { return };
    let code = STAGE3A as usize..GOOD.place.metadata.header as usize;
    // Address and size of the header, which the loader writes into the IPIB: a file may leave both out.
    let at = GOOD.place.metadata.ipib as usize + 0x78;
    let mut expected = GOOD.image.clone();
    let left_out = image.get(at..at + 16) == Some(&[0; 16]);
    if left_out {
        expected[at..at + 16].fill(0);
    }
    let same = |range: Range<usize>| image.get(range.clone()) == expected.get(range);
    assert!(image.len() == expected.len() && same(0..code.start) && same(code.end..image.len()));
    assert_eq!(loader == LoaderFinding::Known, same(code), "a loader that is not ours");
    // The machine does not look at the loader, either.
    if !left_out {
        pvsim::unpack::unpack(&image, &GOOD.host).expect("what is verified starts");
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
