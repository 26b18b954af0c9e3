//! Is a serial number surely not in a CRL?
//!
//! OpenSSL sorts all entries of a CRL for the first look-up, which for one of 100,000 entries takes a sixth as long as parsing
//! it. Nearly every look-up is of a certificate that is not listed, and most programs do one. So while the entries are
//! walked over anyway, two bits of a set are set for each (a Bloom filter, Bloom 1970): if one of the two bits of a number
//! is not set, the number is not listed; if both are, OpenSSL looks it up.

use openssl::asn1::Asn1IntegerRef;

/// Bits for each entry: one look-up in 70 of a number that is not listed goes to OpenSSL.
const BITS_PER_ENTRY: usize = 16;
/// An entry is no shorter: its header, a number, a time.
const MIN_ENTRY: usize = 18;

/// Serial numbers that a CRL may list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Serials {
    /// A power of two of them, or none.
    words: Vec<u64>,
}

impl Serials {
    /// For the entries that are in so many bytes.
    pub(crate) fn with_room_for(bytes: usize) -> Self {
        let bits = (bytes / MIN_ENTRY + 1) * BITS_PER_ENTRY;
        Self { words: vec![0; (bits / 64).next_power_of_two()] }
    }

    /// Takes the number with this content of a DER INTEGER.
    pub(crate) fn insert(&mut self, content: &[u8]) {
        let [first, second] = self.places(content);
        for (word, bit) in [first, second] {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether `serial` may be one of the numbers. "No" is certain.
    pub(crate) fn may_have(&self, serial: &Asn1IntegerRef) -> bool {
        // What is not a number to OpenSSL is for OpenSSL to look up, and so is a negative one, of which a magnitude is no
        // DER.
        let Some(number) = serial.to_bn().ok().filter(|number| !number.is_negative()) else { return true };
        let places = self.places(&number.to_vec());
        places.into_iter().all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Word and bit, twice. Zeros in front do not count: DER has one where the first bit would be taken for a sign.
    fn places(&self, content: &[u8]) -> [(usize, u64); 2] {
        let number = content.iter().skip_while(|byte| **byte == 0);
        // FNV-1a. Who chooses numbers that share places only makes OpenSSL look them up.
        let hash = number
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let mask = self.words.len().wrapping_sub(1);
        [hash >> 32, hash & 0xffff_ffff].map(|half| ((half >> 6) as usize & mask, 1 << (half & 63)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::asn1::Asn1Integer;
    use openssl::bn::BigNum;

    fn integer(bytes: &[u8]) -> Asn1Integer {
        Asn1Integer::from_bn(&BigNum::from_slice(bytes).unwrap()).unwrap()
    }

    #[test]
    fn never_denies_what_was_taken_and_denies_most_of_the_rest() {
        let mut serials = Serials::with_room_for(10_000 * MIN_ENTRY);
        let taken = |number: u32| (number * 2).to_be_bytes();
        (0..10_000).for_each(|number| serials.insert(&taken(number)));
        assert!((0..10_000).all(|number| serials.may_have(&integer(&taken(number)))));
        let wrong = (0..10_000_u32).filter(|number| serials.may_have(&integer(&(number * 2 + 1).to_be_bytes())));
        assert!(wrong.count() < 500);
    }

    #[test]
    fn takes_numbers_as_der_has_them() {
        for (content, magnitude) in [
            (&[0][..], &[][..]),
            (&[0x7f], &[0x7f]),
            (&[0, 0x80], &[0x80]),
            (&[0, 0xff, 0xff], &[0xff, 0xff]),
            (&[0x11; 20], &[0x11; 20]),
        ] {
            let mut serials = Serials::with_room_for(100);
            serials.insert(content);
            assert!(serials.may_have(&integer(magnitude)), "{content:x?}");
            assert!(!serials.may_have(&integer(&[0x55; 3])), "{content:x?}");
        }
        let mut negative = BigNum::from_u32(1).unwrap();
        negative.set_negative(true);
        let serials = Serials::with_room_for(100);
        assert!(serials.may_have(&Asn1Integer::from_bn(&negative).unwrap()), "for OpenSSL to say");
        assert!(!Serials::default().may_have(&integer(&[1])), "a CRL without entries");
    }
}
