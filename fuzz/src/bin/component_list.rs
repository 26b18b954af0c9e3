//! The components of an image: the input is a list of them, 24 bytes each, in an IPIB around which all is right; its first byte
//! says how often the list is repeated.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seimage::{Ipib, IpibComponent, PAGE_SIZE};

fn fuzz(bytes: &[u8]) {
    let [times, bytes @ ..] = bytes else { return };
    let word = |bytes: &[u8], at: usize| bytes[at..at + 8].try_into().map(u64::from_be_bytes).expect("8 bytes");
    let list: Vec<_> = bytes
        .chunks_exact(24)
        .map(|row| IpibComponent { prefix: word(row, 0), address: word(row, 8), size: word(row, 16) })
        .collect();
    let components = list.repeat(usize::from(*times));
    let count = components.len();
    let ipib = Ipib { header: 0x14000, header_size: 640, components };
    // As the rules say it, in other words.
    let page = |word: u64| word % PAGE_SIZE == 0;
    let ends = ipib.components.iter().map(|component| component.address.checked_add(component.size));
    let follows = |number: usize| number == 0 || ipib.components[number].address >= ipib.components[number - 1].end();
    let sound =
        ipib.components.iter().all(|component| component.size != 0 && page(component.address) && page(component.size))
            && ends.clone().all(|end| end.is_some())
            && (0..count).all(follows);
    assert_eq!(Ipib::parse(&ipib.to_bytes()).is_ok(), sound, "{:?}", ipib.components);
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
