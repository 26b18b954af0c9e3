//! The little of DER encoding that CRLs and odd extensions need.

use openssl::asn1::Asn1Object;

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OCTET_STRING: u8 = 0x04;

/// A structure with this tag.
pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len();
    if length < 0x80 {
        der.push(length as u8);
    } else {
        let bytes: Vec<_> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        der.push(0x80 | bytes.len() as u8);
        der.extend(bytes);
    }
    der.extend(content);
    der
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    tagged(OCTET_STRING, bytes)
}

/// A non-negative integer.
pub(super) fn integer(number: u32) -> Vec<u8> {
    // A leading zero keeps the sign.
    let bytes: Vec<_> = [&[0][..], &number.to_be_bytes()].concat();
    let significant = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let start = if bytes[significant] & 0x80 != 0 { significant - 1 } else { significant };
    tagged(0x02, &bytes[start..])
}

/// An object identifier.
pub(super) fn oid(dotted: &str) -> Vec<u8> {
    let object = Asn1Object::from_str(dotted).map(|object| object.as_slice().to_vec());
    tagged(0x06, &object.unwrap_or_default())
}

/// `GeneralizedTime` of seconds since 1970, from 1970 to 9999.
pub(super) fn time(unix: i64) -> Vec<u8> {
    let (days, seconds) = (unix.div_euclid(86400), unix.rem_euclid(86400));
    // Days to date by Howard Hinnant's public-domain algorithm, eras of 400 years from March 0000.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // X.509 wants two-digit years up to 2049.
    if (1950..2050).contains(&year) {
        let text = format!("{:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z", year % 100);
        return tagged(0x17, text.as_bytes());
    }
    tagged(0x18, format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z").as_bytes())
}

/// An extension as it stands in a certificate or CRL.
pub(super) fn extension(dotted: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    sequence(&[&oid(dotted), flag, &octets(value)])
}

/// The value of the extension with CRL distribution points, each with its addresses.
pub(super) fn distribution_points(points: &[Vec<String>]) -> Vec<u8> {
    let points = points.iter().map(|addresses| {
        let addresses = addresses.iter().flat_map(|address| tagged(0x86, address.as_bytes())).collect::<Vec<_>>();
        sequence(&[&tagged(0xa0, &tagged(0xa0, &addresses))])
    });
    sequence(&[&points.collect::<Vec<_>>().concat()])
}
