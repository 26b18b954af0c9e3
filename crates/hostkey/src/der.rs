//! The little of DER that OpenSSL's Rust interface does not give: which extensions are critical, and what
//! hash a signature uses. Anything unexpected ends in `None`, which callers treat as a refusal.

use openssl::asn1::Asn1Object;
use openssl::nid::Nid;

const BOOLEAN: u8 = 0x01;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Explicit tags [0] and [3].
const TAG_0: u8 = 0xa0;
const TAG_3: u8 = 0xa3;

/// Extensions of a certificate that this crate or OpenSSL's chain check understands.
const CERTIFICATE_EXTENSIONS: [Nid; 6] = [
    Nid::BASIC_CONSTRAINTS,
    Nid::KEY_USAGE,
    Nid::EXT_KEY_USAGE,
    Nid::SUBJECT_ALT_NAME,
    Nid::CERTIFICATE_POLICIES,
    Nid::CRL_DISTRIBUTION_POINTS,
];

/// Extensions of a CRL that are understood. A CRL for a part of the certificates (issuing distribution point) or
/// with changes only (delta) is not.
const CRL_EXTENSIONS: [Nid; 2] = [Nid::AUTHORITY_KEY_IDENTIFIER, Nid::CRL_NUMBER];

/// Extensions of a CRL's entry that are understood: reason and date change nothing, revoked is revoked.
const ENTRY_EXTENSIONS: [Nid; 2] = [Nid::CRL_REASON, Nid::INVALIDITY_DATE];

/// A critical extension that is not understood, or that the structure could not be read.
pub(crate) fn unknown_critical_in_certificate(der: &[u8]) -> Option<String> {
    read(|| {
        let tbs = first_of(der)?;
        match parts(tbs)?.into_iter().find(|(tag, _)| *tag == TAG_3) {
            Some((_, extensions)) => unknown_critical(extensions, &CERTIFICATE_EXTENSIONS),
            None => Some(None),
        }
    })
}

/// The same in a CRL and in each of its entries.
pub(crate) fn unknown_critical_in_crl(der: &[u8]) -> Option<String> {
    read(|| {
        let tbs = first_of(der)?;
        let mut times = 0;
        for (tag, content) in parts(tbs)? {
            match tag {
                UTC_TIME | GENERALIZED_TIME => times += 1,
                // The list of entries is the sequence behind the times; algorithm and issuer stand before.
                SEQUENCE if times > 0 => {
                    for (_, entry) in parts(content)? {
                        for (tag, extensions) in parts(entry)? {
                            if tag == SEQUENCE {
                                if let Some(found) = unknown_critical_in_list(extensions, &ENTRY_EXTENSIONS)? {
                                    return Some(Some(found));
                                }
                            }
                        }
                    }
                }
                TAG_0 => {
                    if let Some(found) = unknown_critical(content, &CRL_EXTENSIONS)? {
                        return Some(Some(found));
                    }
                }
                _ => {}
            }
        }
        Some(None)
    })
}

/// The name of the hash in the signature of a certificate or CRL if it is weaker than 112 bits or unknown.
pub(crate) fn weak_signature_hash(der: &[u8]) -> Option<String> {
    read(|| {
        let outer = inside(der, SEQUENCE)?;
        let (_, algorithm) = parts(outer)?.into_iter().nth(1)?;
        let algorithm = parts(algorithm)?;
        let signature = oid(*algorithm.first()?)?.nid();
        let hash = match signature.signature_algorithms() {
            Some(algorithms) if signature != Nid::RSASSAPSS => algorithms.digest,
            _ if [Nid::from_raw(1087), Nid::from_raw(1088)].contains(&signature) => return Some(None),
            // In RSASSA-PSS the hash is a parameter; without it, it is SHA-1.
            _ if signature == Nid::RSASSAPSS => {
                let parameters = parts(algorithm.get(1)?.1)?;
                match parameters.into_iter().find(|(tag, _)| *tag == TAG_0) {
                    Some((_, hash)) => oid(*parts(inside(hash, SEQUENCE)?)?.first()?)?.nid(),
                    None => Nid::SHA1,
                }
            }
            _ => Nid::UNDEF,
        };
        let strong = [Nid::SHA224, Nid::SHA256, Nid::SHA384, Nid::SHA512].contains(&hash);
        Some((!strong).then(|| hash.long_name().unwrap_or("an unknown hash").to_owned()))
    })
}

/// `None` when all is well; what could not be read counts as found.
fn read(find: impl FnOnce() -> Option<Option<String>>) -> Option<String> {
    find().unwrap_or_else(|| Some("unreadable".to_owned()))
}

/// The first structure inside the outermost one: what is signed.
fn first_of(der: &[u8]) -> Option<&[u8]> {
    Some(parts(inside(der, SEQUENCE)?)?.first()?.1)
}

fn unknown_critical(wrapped: &[u8], known: &[Nid]) -> Option<Option<String>> {
    unknown_critical_in_list(inside(wrapped, SEQUENCE)?, known)
}

fn unknown_critical_in_list(list: &[u8], known: &[Nid]) -> Option<Option<String>> {
    for (_, extension) in parts(list)? {
        let fields = parts(extension)?;
        let id = oid(*fields.first()?)?;
        let critical = fields.get(1).is_some_and(|(tag, value)| *tag == BOOLEAN && *value != [0]);
        if critical && !known.contains(&id.nid()) {
            return Some(Some(id.to_string()));
        }
    }
    Some(None)
}

fn oid((tag, content): (u8, &[u8])) -> Option<Asn1Object> {
    if tag != OID {
        return None;
    }
    Asn1Object::from_str(&dotted(content)?).ok()
}

/// An object identifier in dotted form.
fn dotted(content: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in content {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = *numbers.first()?;
    let root = (first / 40).min(2);
    let mut text = format!("{root}.{}", first - 40 * root);
    numbers.iter().skip(1).for_each(|number| text.push_str(&format!(".{number}")));
    Some(text)
}

/// The content of the one structure that `der` is.
fn inside(der: &[u8], tag: u8) -> Option<&[u8]> {
    match parts(der)?[..] {
        [(found, content)] if found == tag => Some(content),
        _ => None,
    }
}

/// All structures of `content`, one behind the other.
fn parts(mut content: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut parts = Vec::new();
    while let [tag, length, rest @ ..] = content {
        let (length, rest) = match *length {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let count = usize::from(long & 0x7f);
                let bytes = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
                let length = bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                (length, rest.get(count..)?)
            }
        };
        parts.push((*tag, rest.get(..length)?));
        content = rest.get(length..)?;
    }
    content.is_empty().then_some(parts)
}

/// The key identifier in the authority key identifier of a CRL, if it has one.
pub(crate) fn authority_key_id_of_crl(der: &[u8]) -> Option<Vec<u8>> {
    const KEY_ID: u8 = 0x80;
    const OCTET_STRING: u8 = 0x04;
    let extensions = parts(first_of(der)?)?.into_iter().find(|(tag, _)| *tag == TAG_0)?.1;
    for (_, extension) in parts(inside(extensions, SEQUENCE)?)? {
        let fields = parts(extension)?;
        if oid(*fields.first()?)?.nid() == Nid::AUTHORITY_KEY_IDENTIFIER {
            let (_, value) = fields.into_iter().find(|(tag, _)| *tag == OCTET_STRING)?;
            let id = parts(inside(value, SEQUENCE)?)?.into_iter().find(|(tag, _)| *tag == KEY_ID)?;
            return Some(id.1.to_vec());
        }
    }
    None
}
