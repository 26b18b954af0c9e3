//! The metadata of an image, in a file of any size up to 2^64 - 1, with a header and whatever else at any place. The input: size
//! of the file 8 bytes, metadata 28, IPIB up to its own end, header the rest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pvtools_fuzz::Sparse;
use seimage::{Image, Metadata, SHORT_PSW, STAGE3A, verify};

fn fuzz(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first_chunk::<8>() else { return };
    let Some((block, rest)) = bytes.split_at_checked(Metadata::SIZE) else { return };
    let parsed = Metadata::parse(block);
    if let Ok(Some(metadata)) = parsed {
        assert_eq!(metadata.to_bytes(), block, "what is read is what was written");
    }
    let size = u64::from_be_bytes(*size);
    let ipib_size = rest.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let (ipib, header) = rest.split_at(rest.len().min(ipib_size as usize));
    let mut parts = vec![(0, SHORT_PSW.to_be_bytes().to_vec()), (0xc000, block.to_vec())];
    if let Ok(Some(metadata)) = parsed {
        // The arguments of a loader, so that it is not what is missed.
        let at = STAGE3A + 0x1000;
        let header_size =
            header.get(12..16).map_or(0, |bytes| bytes.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)));
        let words = [metadata.header.wrapping_sub(at), header_size, metadata.ipib.wrapping_sub(at)];
        parts.push((at, words.map(u64::to_be_bytes).concat()));
        parts.push((metadata.header, header.to_vec()));
        parts.push((metadata.ipib, ipib.to_vec()));
    }
    let mut file = Sparse::new(size, parts);
    let opened = Image::open(&mut file);
    assert!(file.read < 80 << 10, "{} bytes were read to see where everything is", file.read);
    let Ok(image) = opened else { return };
    assert!(image.size == size && size <= seimage::MAX_IMAGE);
    assert!(image.metadata.header < image.metadata.ipib && image.metadata.ipib < size);
    // What takes time in a large file is the file.
    if size < 1 << 20 {
        file.read = 0;
        verify(&image, &mut file, &[], None, &mut |_| ()).expect_err("the digests of nothing");
        assert!(file.read < 2 * size + (80 << 10), "{} bytes of {size} were read", file.read);
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
