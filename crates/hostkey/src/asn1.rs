//! What OpenSSL's Rust interface does not tell of certificates and CRLs: their extensions, which of them are critical, and
//! the hash in their signature.
//!
//! Certificates and CRLs are alike on the outside (RFC 5280, 4.1 and 5.1): a sequence of what is signed, the algorithm and
//! the signature. DER that cannot be read is a finding like any other, never a pass.

use crate::serials::Serials;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};
use openssl::asn1::Asn1Object;
use openssl::nid::Nid;

pub(crate) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
pub(crate) const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const CRL_REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");
const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");

/// Extensions that a host-key document may have as critical ones: they change nothing about whom its key belongs to.
const IN_DOCUMENT: [ObjectIdentifier; 5] =
    [BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_ALT_NAME, CERTIFICATE_POLICIES, CRL_DISTRIBUTION_POINTS];

/// Extensions of a CRL that are understood. A CRL for a part of the certificates (issuing distribution point) or
/// with changes only (delta) is not.
const IN_CRL: [ObjectIdentifier; 2] = [AUTHORITY_KEY_ID, CRL_NUMBER];

/// Extensions of a CRL's entry that are understood: reason and date change nothing, revoked is revoked.
const IN_ENTRY: [ObjectIdentifier; 2] = [CRL_REASON, INVALIDITY_DATE];

/// An extension (RFC 5280, 4.1.2.9).
pub(crate) struct Extension<'a> {
    pub(crate) id: ObjectIdentifier,
    pub(crate) critical: bool,
    /// DER of what the extension holds.
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn decode(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        reader.sequence(|reader| {
            Ok(Self {
                id: reader.decode()?,
                // DER leaves out what is false.
                critical: Option::<bool>::decode(reader)?.unwrap_or(false),
                value: <&OctetStringRef>::decode(reader)?.as_bytes(),
            })
        })
    }

    /// Whether an extended key usage (RFC 5280, 4.2.1.12) has code signing, or any purpose, among its purposes.
    pub(crate) fn is_for_code_signing(&self) -> bool {
        Vec::<ObjectIdentifier>::from_der(self.value)
            .is_ok_and(|purposes| purposes.contains(&CODE_SIGNING) || purposes.contains(&ANY_EXTENDED_KEY_USAGE))
    }
}

/// What is signed, and the algorithm.
struct Signed<'a> {
    content: AnyRef<'a>,
    algorithm: AnyRef<'a>,
}

impl<'a> Signed<'a> {
    fn from_der(der: &'a [u8]) -> der::Result<Self> {
        AnyRef::from_der(der)?.sequence(|reader| {
            let (content, algorithm, _signature) = (reader.decode()?, reader.decode()?, AnyRef::decode(reader)?);
            Ok(Self { content, algorithm })
        })
    }
}

/// The extensions of a certificate. `None` when it cannot be read.
pub(crate) fn extensions_of_certificate(der: &[u8]) -> Option<Vec<Extension<'_>>> {
    const EXTENSIONS: Tag = context_specific(3);
    let read = || {
        Signed::from_der(der)?.content.sequence(|reader| {
            let mut extensions = Vec::new();
            while !reader.is_finished() {
                let field = AnyRef::decode(reader)?;
                if field.header().tag() == EXTENSIONS {
                    extensions = extensions_in(field.value())?;
                }
            }
            der::Result::Ok(extensions)
        })
    };
    read().ok()
}

/// Which critical extension of a host-key document is not understood, if one is.
pub(crate) fn unknown_critical_in_document(der: &[u8]) -> Option<String> {
    match extensions_of_certificate(der) {
        Some(extensions) => unknown_critical(&extensions, &IN_DOCUMENT),
        None => Some("unreadable".to_owned()),
    }
}

/// What is asked of a CRL beyond what OpenSSL's Rust interface answers.
pub(crate) struct CrlFacts {
    /// A critical extension of the CRL or of one of its entries that is not understood.
    pub(crate) unknown_critical: Option<String>,
    /// The key identifier of its issuer, if it names one.
    pub(crate) authority_key_id: Option<Vec<u8>>,
    /// The serial numbers in its entries.
    pub(crate) serials: Serials,
}

impl CrlFacts {
    /// Reads a CRL in one pass over its entries. `None` when it cannot be read.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        Self::decode(der).ok()
    }

    fn decode(der: &[u8]) -> der::Result<Self> {
        const EXTENSIONS: Tag = context_specific(0);
        Signed::from_der(der)?.content.sequence(|reader| {
            let mut facts = Self { unknown_critical: None, authority_key_id: None, serials: Serials::default() };
            if Tag::peek(reader)? == Tag::Integer {
                AnyRef::decode(reader)?;
            }
            let (_algorithm, _issuer, _last_update) =
                (AnyRef::decode(reader)?, AnyRef::decode(reader)?, AnyRef::decode(reader)?);
            while !reader.is_finished() {
                let field = AnyRef::decode(reader)?;
                match field.header().tag() {
                    Tag::Sequence => facts.read_entries(field)?,
                    EXTENSIONS => facts.read_extensions(field)?,
                    _ => {}
                }
            }
            Ok(facts)
        })
    }

    fn read_entries(&mut self, entries: AnyRef<'_>) -> der::Result<()> {
        self.serials = Serials::with_room_for(entries.value().len());
        let mut reader = SliceReader::new(entries.value())?;
        while !reader.is_finished() {
            let entry = AnyRef::decode(&mut reader)?;
            entry.header().tag().assert_eq(Tag::Sequence)?;
            let mut entry = SliceReader::new(entry.value())?;
            let (serial, _since) = (AnyRef::decode(&mut entry)?, AnyRef::decode(&mut entry)?);
            serial.header().tag().assert_eq(Tag::Integer)?;
            self.serials.insert(serial.value());
            if !entry.is_finished() {
                let extensions = AnyRef::decode(&mut entry)?;
                entry.finish()?;
                self.note_critical(&extension_list(extensions.value())?, &IN_ENTRY);
            }
        }
        Ok(())
    }

    fn read_extensions(&mut self, wrapped: AnyRef<'_>) -> der::Result<()> {
        const KEY_ID: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
        let extensions = extensions_in(wrapped.value())?;
        for id in extensions.iter().filter(|extension| extension.id == AUTHORITY_KEY_ID) {
            AnyRef::from_der(id.value)?.sequence(|reader| {
                while !reader.is_finished() {
                    let part = AnyRef::decode(reader)?;
                    if part.header().tag() == KEY_ID {
                        self.authority_key_id = Some(part.value().to_vec());
                    }
                }
                der::Result::Ok(())
            })?;
        }
        self.note_critical(&extensions, &IN_CRL);
        Ok(())
    }

    fn note_critical(&mut self, extensions: &[Extension<'_>], known: &[ObjectIdentifier]) {
        if self.unknown_critical.is_none() {
            self.unknown_critical = unknown_critical(extensions, known);
        }
    }
}

/// Bytes of the structure that `bytes` begins with; `None` when its header is not DER.
pub(crate) fn length_of_first(bytes: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    usize::try_from((reader.position() + header.length()).ok()?).ok()
}

/// The hash in the signature of a certificate or CRL, in words, if it has less than 112 bits of security or is unknown.
pub(crate) fn weak_signature_hash(der: &[u8]) -> Option<String> {
    match signature_hash(der) {
        Ok(Nid::SHA224 | Nid::SHA256 | Nid::SHA384 | Nid::SHA512) => None,
        Ok(hash) if hash == Nid::UNDEF => Some("an unknown hash".to_owned()),
        Ok(hash) => Some(hash.long_name().unwrap_or("an unknown hash").to_owned()),
        Err(_) => Some("something unreadable".to_owned()),
    }
}

fn signature_hash(der: &[u8]) -> der::Result<Nid> {
    /// The hash of RSASSA-PSS if its parameters name none (RFC 4055, 3.1).
    const PSS_DEFAULT: Nid = Nid::SHA1;
    Signed::from_der(der)?.algorithm.sequence(|reader| {
        let algorithm = ObjectIdentifier::decode(reader)?;
        let parameters = Option::<AnyRef<'_>>::decode(reader)?;
        if algorithm == ED25519 || algorithm == ED448 {
            // They hash with 256 bits of security and more; there is no choice.
            return Ok(Nid::SHA512);
        }
        if algorithm != RSASSA_PSS {
            return Ok(nid(&algorithm).signature_algorithms().map_or(Nid::UNDEF, |algorithms| algorithms.digest));
        }
        let Some(parameters) = parameters else { return Ok(PSS_DEFAULT) };
        parameters.sequence(|reader| {
            let mut hash = PSS_DEFAULT;
            while !reader.is_finished() {
                let part = AnyRef::decode(reader)?;
                if part.header().tag() == context_specific(0) {
                    hash = AnyRef::from_der(part.value())?.sequence(|reader| {
                        let hash = ObjectIdentifier::decode(reader)?;
                        let _parameters = Option::<AnyRef<'_>>::decode(reader)?;
                        der::Result::Ok(nid(&hash))
                    })?;
                }
            }
            Ok(hash)
        })
    })
}

/// Constructed, as an explicit tag is.
const fn context_specific(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn nid(id: &ObjectIdentifier) -> Nid {
    Asn1Object::from_str(&id.to_string()).map_or(Nid::UNDEF, |object| object.nid())
}

/// The list of extensions that is the whole of `der`.
fn extensions_in(der: &[u8]) -> der::Result<Vec<Extension<'_>>> {
    let list = AnyRef::from_der(der)?;
    list.header().tag().assert_eq(Tag::Sequence)?;
    extension_list(list.value())
}

fn extension_list(content: &[u8]) -> der::Result<Vec<Extension<'_>>> {
    let mut reader = SliceReader::new(content)?;
    let mut extensions = Vec::new();
    while !reader.is_finished() {
        extensions.push(Extension::decode(&mut reader)?);
    }
    Ok(extensions)
}

fn unknown_critical(extensions: &[Extension<'_>], known: &[ObjectIdentifier]) -> Option<String> {
    let unknown = extensions.iter().find(|extension| extension.critical && !known.contains(&extension.id))?;
    Some(unknown.id.to_string())
}
