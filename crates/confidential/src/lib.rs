#![forbid(unsafe_code)]
//! A wrapper for secrets: wiped on drop, redacted in `Debug`, compared in constant time.
//!
//! ```
//! use confidential::Confidential;
//! let key = Confidential::new([0x42_u8; 32]);
//! assert_eq!(format!("{key:?}"), "[redacted]");
//! assert!(key.ct_eq(&[0x42; 32]));
//! ```

use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Holds a secret. There is no `Display`, no derived `Debug` and no `PartialEq`; the value is
/// reached through [`Confidential::expose`] alone, so that each use can be found.
#[derive(Clone, Default)]
pub struct Confidential<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Confidential<T> {
    /// Takes over a secret. The caller must not keep a copy.
    pub fn new(secret: T) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The secret itself, to be filled or changed in place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Confidential<T> {
    /// Compares in a time that depends on the length alone.
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        let own = self.0.as_ref();
        own.len() == other.len() && openssl::memcmp::eq(own, other)
    }
}

impl<T: Zeroize> From<T> for Confidential<T> {
    fn from(secret: T) -> Self {
        Self::new(secret)
    }
}

impl<T: Zeroize> fmt::Debug for Confidential<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn debug_never_shows_the_secret() {
        assert_eq!(
            format!("{:?} {:#?}", Confidential::new(7_u8), Confidential::new(vec![1_u8])),
            "[redacted] [redacted]"
        );
    }

    #[test]
    fn compares_content_and_length() {
        let secret = Confidential::new(vec![1, 2, 3]);
        assert!(secret.ct_eq(&[1, 2, 3]));
        assert!(!secret.ct_eq(&[1, 2, 4]));
        assert!(!secret.ct_eq(&[1, 2]));
        assert!(!secret.ct_eq(&[]));
    }

    #[test]
    fn wipes_on_drop() {
        struct Probe(Rc<Cell<bool>>);
        impl Zeroize for Probe {
            fn zeroize(&mut self) {
                self.0.set(true);
            }
        }
        let wiped = Rc::new(Cell::new(false));
        drop(Confidential::new(Probe(wiped.clone())));
        assert!(wiped.get());
    }
}
