//! Host-key documents and the keys in them.

use crate::{CertificateFile, Error};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::EcKeyRef;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKey, Public};
use openssl::x509::X509;
use uvtypes::{COORDINATE_SIZE, HostKeyHash};

/// A host-key document that nobody has judged yet.
#[derive(Clone, Debug)]
pub struct HostKeyDocument {
    certificate: X509,
    key: HostKey,
    ignored: usize,
}

#[derive(Clone, Debug)]
struct HostKey {
    public: PKey<Public>,
    coordinates: [u8; 2 * COORDINATE_SIZE],
    hash: HostKeyHash,
}

impl HostKeyDocument {
    /// Reads the first certificate of a PEM or DER file.
    ///
    /// # Errors
    /// [`Error::NoCertificate`], [`Error::Damaged`], [`Error::Trailing`], [`Error::NotP521`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut certificates = CertificateFile::parse(bytes)?.certificates.into_iter();
        let mut document = Self::from_certificate(certificates.next().ok_or(Error::NoCertificate)?)?;
        document.ignored = certificates.count();
        Ok(document)
    }

    /// Number of further certificates in the file, which are not used.
    pub fn ignored_certificates(&self) -> usize {
        self.ignored
    }

    /// The document in `certificate`, whose key must be EC P-521.
    pub fn from_certificate(certificate: X509) -> Result<Self, Error> {
        let public = certificate.public_key()?;
        let ec = public.ec_key().map_err(|_| Error::NotP521 { found: key_name(&public) })?;
        if ec.group().curve_name() != Some(Nid::SECP521R1) {
            return Err(Error::NotP521 { found: key_name(&public) });
        }
        let coordinates = coordinates(&ec)?;
        let hash = HostKeyHash::sha256(openssl::sha::sha256(&coordinates));
        Ok(Self { certificate, key: HostKey { public, coordinates, hash }, ignored: 0 })
    }

    /// The certificate as it was read.
    pub fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// Hash by which requests and headers name this key.
    pub fn hash(&self) -> HostKeyHash {
        self.key.hash
    }

    /// Uses the key without any check of where it comes from. Whoever made the document can then read
    /// every request built for it: say so to the user.
    pub fn trust_unverified(self) -> TrustedHostKey {
        TrustedHostKey(self.key)
    }

    /// The verifier's way: only called after every rule held.
    pub(crate) fn trust_verified(&self) -> TrustedHostKey {
        TrustedHostKey(self.key.clone())
    }
}

/// A host key that may stand in a request: verified, or trusted by explicit wish.
#[derive(Clone, Debug)]
pub struct TrustedHostKey(HostKey);

impl TrustedHostKey {
    /// The EC P-521 public key.
    pub fn public_key(&self) -> &PKey<Public> {
        &self.0.public
    }

    /// X then Y, each big-endian and padded on the left with zeros to 80 bytes.
    pub fn coordinates(&self) -> &[u8; 2 * COORDINATE_SIZE] {
        &self.0.coordinates
    }

    /// SHA-256 over [`TrustedHostKey::coordinates`].
    pub fn hash(&self) -> HostKeyHash {
        self.0.hash
    }
}

/// The point of an EC P-521 key as requests have it: X then Y, each big-endian and padded on the left with zeros to 80
/// bytes.
///
/// # Errors
/// When OpenSSL refuses.
pub fn coordinates<T: HasPublic>(key: &EcKeyRef<T>) -> Result<[u8; 2 * COORDINATE_SIZE], ErrorStack> {
    /// [`COORDINATE_SIZE`] as OpenSSL takes it.
    const SIZE: i32 = 80;
    const _: () = assert!(SIZE.unsigned_abs() as usize == COORDINATE_SIZE);
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut *BigNumContext::new()?)?;
    let mut coordinates = [0; 2 * COORDINATE_SIZE];
    let (left, right) = coordinates.split_at_mut(COORDINATE_SIZE);
    left.copy_from_slice(&x.to_vec_padded(SIZE)?);
    right.copy_from_slice(&y.to_vec_padded(SIZE)?);
    Ok(coordinates)
}

fn key_name(key: &PKey<Public>) -> String {
    let name = match key.ec_key() {
        Ok(ec) => ec.group().curve_name().and_then(|nid| nid.short_name().ok()).unwrap_or("EC of an unnamed curve"),
        Err(_) => key.id_name(),
    };
    format!("{name} ({} bits)", key.bits())
}

/// Not in the openssl crate: the name of a key type.
trait IdName {
    fn id_name(&self) -> &'static str;
}

impl IdName for PKey<Public> {
    fn id_name(&self) -> &'static str {
        use openssl::pkey::Id;
        match self.id() {
            Id::RSA => "RSA",
            Id::ED25519 => "Ed25519",
            Id::ED448 => "Ed448",
            _ => "of another type",
        }
    }
}
