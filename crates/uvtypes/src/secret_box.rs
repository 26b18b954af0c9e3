//! A wrapper for secrets: wiped on drop, redacted in `Debug`, compared in constant time.
//!
//! ```
//! use uvtypes::SecretBox;
//! let key = SecretBox::new([0x42_u8; 32]);
//! assert_eq!(format!("{key:?}"), "[redacted]");
//! assert!(key.ct_eq(&[0x42; 32]));
//! ```

use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Holds a secret. There is no `Display`, no derived `Debug` and no `PartialEq`; the value is
/// reached through [`SecretBox::expose`] alone, so that each use can be found.
///
/// The secret has a place of its own on the heap: moving the wrapper copies no secret, and wiping that place wipes it.
#[derive(Clone, Default)]
pub struct SecretBox<T: Zeroize>(Box<T>);

impl<T: Zeroize> SecretBox<T> {
    /// Takes over a secret. The caller must not keep a copy: an array is better made with
    /// [`SecretBox::copy_of`], for passing one by value leaves a copy behind.
    pub fn new(secret: T) -> Self {
        Self(Box::new(secret))
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

impl<const N: usize> SecretBox<[u8; N]> {
    /// `N` zeros, to be filled in place.
    pub fn zeros() -> Self {
        Self(Box::new([0; N]))
    }

    /// A copy of exactly `N` bytes, made straight into its place; `None` if there are more or fewer.
    pub fn copy_of(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::zeros();
        (bytes.len() == N).then(|| secret.0.copy_from_slice(bytes))?;
        Some(secret)
    }
}

impl<T: Zeroize> Drop for SecretBox<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize + AsRef<[u8]>> SecretBox<T> {
    /// Compares in a time that depends on the length alone.
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        let own: &[u8] = (*self.0).as_ref();
        own.ct_eq(other).into()
    }
}

impl<T: Zeroize> From<T> for SecretBox<T> {
    fn from(secret: T) -> Self {
        Self::new(secret)
    }
}

impl<T: Zeroize> fmt::Debug for SecretBox<T> {
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
        assert_eq!(format!("{:?} {:#?}", SecretBox::new(7_u8), SecretBox::new(vec![1_u8])), "[redacted] [redacted]");
    }

    #[test]
    fn compares_content_and_length() {
        let secret = SecretBox::new(vec![1, 2, 3]);
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
        drop(SecretBox::new(Probe(wiped.clone())));
        assert!(wiped.get());
    }
}
