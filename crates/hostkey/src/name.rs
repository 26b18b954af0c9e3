//! Names of IBM Z signing keys.
//!
//! IBM moved the signing service from Poughkeepsie to Armonk. CRLs and host-key documents of an Armonk key
//! may still name Poughkeepsie, and may have the entries in another order: the same issuer under an old name.

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::x509::{X509Name, X509NameBuilder, X509NameRef};
use std::cmp::Ordering;
use uvtypes::text::shown;

const COMPANY: &[u8] = b"International Business Machines Corporation";
const UNIT_SUFFIX: &[u8] = b"Key Signing Service";
const OLD_TOWN: &[u8] = b"Poughkeepsie";
const NEW_TOWN: &[u8] = b"Armonk";

/// The order in which some issuers write the entries.
const OTHER_ORDER: [Nid; 6] = [
    Nid::COUNTRYNAME,
    Nid::ORGANIZATIONNAME,
    Nid::ORGANIZATIONALUNITNAME,
    Nid::LOCALITYNAME,
    Nid::STATEORPROVINCENAME,
    Nid::COMMONNAME,
];

/// Whether `subject` is that of an IBM Z signing key: exactly these six entries, in any order.
pub(crate) fn is_signing_key(subject: &X509NameRef) -> bool {
    let is = |nid, accepted: &dyn Fn(&[u8]) -> bool| {
        let mut entries = subject.entries_by_nid(nid);
        entries.next().is_some_and(|entry| accepted(entry.data().as_slice())) && entries.next().is_none()
    };
    subject.entries().count() == 6
        && is(Nid::COUNTRYNAME, &|value| value == b"US")
        && is(Nid::STATEORPROVINCENAME, &|value| value == b"New York")
        && is(Nid::LOCALITYNAME, &|value| value == OLD_TOWN || value == NEW_TOWN)
        && is(Nid::ORGANIZATIONNAME, &|value| value == COMPANY)
        && is(Nid::COMMONNAME, &|value| value == COMPANY)
        && is(Nid::ORGANIZATIONALUNITNAME, &|value| value.ends_with(UNIT_SUFFIX))
}

/// The names under which the key with this subject may appear as an issuer.
pub(crate) fn issuer_names(subject: &X509NameRef) -> Result<Vec<X509Name>, ErrorStack> {
    let own: Vec<_> = subject.entries().map(|entry| (entry.object().nid(), entry.data().as_slice())).collect();
    let mut old = own.clone();
    for (nid, value) in &mut old {
        if *nid == Nid::LOCALITYNAME && *value == NEW_TOWN {
            *value = OLD_TOWN;
        }
    }
    let mut names = vec![subject.to_owned()?];
    for entries in [&old, &reordered(&old), &reordered(&own)] {
        let mut name = X509NameBuilder::new()?;
        for (nid, value) in entries {
            // Signing-key subjects are plain ASCII.
            name.append_entry_by_nid(*nid, &String::from_utf8_lossy(value))?;
        }
        names.push(name.build());
    }
    Ok(names)
}

fn reordered<'a>(entries: &[(Nid, &'a [u8])]) -> Vec<(Nid, &'a [u8])> {
    OTHER_ORDER.iter().filter_map(|nid| entries.iter().find(|entry| entry.0 == *nid).copied()).collect()
}

/// Compares as X.500 does: letter case and blanks do not matter.
pub(crate) fn same(one: &X509NameRef, other: &X509NameRef) -> bool {
    one.try_cmp(other).is_ok_and(|ordering| ordering == Ordering::Equal)
}

/// A name in words, fit for a terminal whoever made the certificate.
pub(crate) fn show(name: &X509NameRef) -> String {
    let entries = name.entries().map(|entry| {
        let value = shown(&String::from_utf8_lossy(entry.data().as_slice()));
        format!("{}={value}", entry.object().nid().short_name().unwrap_or("?"))
    });
    entries.collect::<Vec<_>>().join(", ")
}
