//! Until when a folder works.

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use serde::Serialize;

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// Path of the file below the verifier's folder.
    pub file: String,
    /// Sort of thing that ends: a certificate, a CRL.
    pub what: &'static str,
    /// Time at which it ends, in OpenSSL's form.
    pub date: String,
    /// Whole days that are left; negative once it is over.
    pub days: i32,
}

impl Expiry {
    pub(crate) fn new(file: &str, what: &'static str, end: &Asn1TimeRef, now: i64) -> Result<Self, ErrorStack> {
        Ok(Self { file: file.to_owned(), what, date: end.to_string(), days: days_left(end, now)? })
    }
}

/// Whole days from `now`, in seconds since 1970, to `end`.
///
/// # Errors
/// When OpenSSL cannot compare them.
pub fn days_left(end: &Asn1TimeRef, now: i64) -> Result<i32, ErrorStack> {
    let difference = Asn1Time::from_unix(now)?.diff(end)?;
    // A moment after its end, nothing is left.
    Ok(if difference.days <= 0 && difference.secs < 0 { difference.days - 1 } else { difference.days })
}
