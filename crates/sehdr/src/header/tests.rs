use super::*;

/// A header with `slots` key slots that parses; its encrypted part is not really encrypted.
pub(crate) fn header(slots: u8) -> Vec<u8> {
    let size = FIXED_SIZE + KEY_SLOTS.size() * usize::from(slots) + 128 + TAG_SIZE;
    let fixed = FixedPart {
        magic: MAGIC,
        version: VERSION_1.into(),
        size: u32::try_from(size).unwrap().into(),
        iv: [1; 12],
        reserved: [0; 4],
        key_slots: u64::from(slots).into(),
        encrypted_size: 128.into(),
        encrypted_pages: 77.into(),
        plaintext_control_flags: 0x2000_0000.into(),
        customer_coordinates: [2; 160],
        page_list_digest: [3; 64],
        address_list_digest: [4; 64],
        tweak_list_digest: [5; 64],
    };
    let mut bytes = fixed.as_bytes().to_vec();
    for slot in 0..slots {
        bytes.extend([0x80 ^ slot; 32]);
        bytes.extend([0; KEY_SLOTS.size() - 32]);
    }
    bytes.extend([6; 128]);
    bytes.extend([7; TAG_SIZE]);
    bytes
}

#[test]
fn gives_every_field_of_a_header() {
    let header = SeHeader::parse(&header(3)).unwrap();
    assert_eq!(
        *header.boot_tags(),
        BootTags { page_list_digest: [3; 64], address_list_digest: [4; 64], tweak_list_digest: [5; 64], tag: [7; 16] }
    );
    assert!(header.host_key_hashes().eq([0x80, 0x81, 0x82].map(|byte| HostKeyHash::sha256([byte; 32]))));
    assert_eq!((header.size(), header.encrypted_size(), header.encrypted_pages()), (800, 128, 77));
    assert_eq!((header.plaintext_control_flags(), header.iv()), (0x2000_0000, [1; 12]));
    assert_eq!(header.customer_coordinates(), [2; 160]);
}

#[test]
fn draft_writes_what_is_read() {
    let whole = header(3);
    let parsed = SeHeader::parse(&whole).unwrap();
    let sealed = parsed.sealed(&whole).unwrap();
    assert_eq!((sealed.encrypted, sealed.tag), (&[6; 128][..], [7; TAG_SIZE]));
    let draft = HeaderDraft {
        iv: [1; 12],
        encrypted_pages: 77,
        plaintext_control_flags: 0x2000_0000,
        customer_coordinates: [2; 160],
        page_list_digest: [3; 64],
        address_list_digest: [4; 64],
        tweak_list_digest: [5; 64],
        key_slots: parsed.key_slots(),
    };
    assert_eq!(draft.authenticated().unwrap(), sealed.authenticated);
    let too_many = vec![parsed.key_slots()[0].clone(); 256];
    assert!(HeaderDraft { key_slots: &too_many, ..draft.clone() }.authenticated().is_err());
    assert!(HeaderDraft { key_slots: &[], ..draft }.authenticated().is_err());
    assert_eq!(HeaderDraft::size(3), whole.len());
}

#[test]
fn one_host_key_makes_640_bytes() {
    assert_eq!(SeHeader::parse(&header(1)).unwrap().size(), 640);
}

#[test]
fn refuses_every_prefix_of_a_header() {
    let whole = header(2);
    for length in 0..whole.len() {
        SeHeader::parse(&whole[..length]).expect_err(&format!("{length} bytes"));
    }
}

#[test]
fn ignores_what_follows_a_header() {
    let mut bytes = header(1);
    bytes.extend([0xff; 100]);
    assert_eq!(SeHeader::parse(&bytes).unwrap().size(), 640);
}

#[test]
fn refuses_sizes_and_counts_that_lie() {
    type Change = fn(&mut [u8]);
    let rows: [(&str, Change, &str); 8] = [
        ("magic", |h| h[7] = b'y', "begin with 'IBMSecEx'"),
        ("version", |h| h[10] = 2, "found 0x200"),
        ("absurd size", |h| h[0xc] = 0x7f, "no SE header is larger"),
        ("size of nothing", |h| h[0xc..0x10].fill(0), "no SE header is smaller"),
        ("one byte more", |h| h[0xf] += 1, "do not add up"),
        ("no slot", |h| h[0x27] = 0, "key slots in the SE header, found 0"),
        ("2^63 slots", |h| h[0x20] = 0x80, "expected 1 to 255 key slots"),
        ("encrypted part of 2^64 - 1 bytes", |h| h[0x28..0x30].fill(0xff), "do not add up"),
    ];
    for (name, change, expected) in rows {
        let mut bytes = header(1);
        change(&mut bytes);
        let error = SeHeader::parse(&bytes).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}
