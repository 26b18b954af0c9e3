#[cfg(feature = "openssl")]
use openssl::error::ErrorStack;
use uvtypes::ReadError;

/// Reason why bytes are not a request, or not a file that carries one: their layout is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The input does not begin as an add-secret request does.
    #[error("not an add-secret request: it does not begin with 'asrcbM'")]
    NotAnAddSecretRequest,
    /// The input does not begin as an attestation request does.
    #[error("not an attestation request: it does not begin with 8 bytes of zeros")]
    NotAnAttestationRequest,
    /// The input does not begin as an exchange file does.
    #[error("not an attestation exchange file: it does not begin with 'pvattest'")]
    NotAnExchange,
    /// A part of an exchange file is not what it must be.
    #[error("{what} (entry at offset {offset:#x}) {problem}")]
    Exchange {
        /// Part of the exchange file.
        what: &'static str,
        /// Offset of the part's entry in the file, in bytes.
        offset: usize,
        /// Fault, as the end of a sentence.
        problem: String,
    },
    /// The measurement algorithm is not known.
    #[error("measurement algorithm at offset 0x38: expected 1 (HMAC-SHA-512), found {0}")]
    Algorithm(u32),
    /// The response lacks what the request asked for.
    #[error("the request asked for the {0}, but the response does not contain it")]
    AdditionalDataMissing(&'static str),
    /// The kind of user data is none of 0 to 4.
    #[error("unsupported kind of user data {0:#06x} at offset 0x6")]
    UserDataKind(u16),
    /// The version of the request is not known.
    #[error("request version at offset 0x8: expected 0x100, found {0:#x}")]
    Version(u32),
    /// A size in the request does not fit the others or the input.
    #[error("{what} at offset {offset:#x} says {stated} bytes, but {limit}")]
    Size {
        /// Name of the size field.
        what: &'static str,
        /// Offset of the field in the request, in bytes.
        offset: usize,
        /// Number of bytes that the field states.
        stated: u64,
        /// Fact that the field contradicts, in words.
        limit: String,
    },
    /// A request has at least one key slot.
    #[error("the request has no key slot (offset 0x27)")]
    NoKeySlot,
    /// The input ends inside a field, or goes on behind its end.
    #[error("malformed request")]
    Wire(#[from] ReadError),
}

/// Reason why a request cannot be built or verified: its layout, a rule, or OpenSSL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The layout is wrong.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A request is for 1 to 255 machines.
    #[error("expected 1 to 255 host keys, found {0}")]
    HostKeyCount(usize),
    /// The attestation request does not open.
    #[error("the attestation request does not open with this attestation request protection key")]
    WrongArpk,
    /// The measurement of the request does not depend on a nonce, so that an old answer would do.
    #[error("the attestation request has no nonce")]
    NoNonce,
    /// A secret has the wrong size for its kind.
    #[error("{kind}: expected {expected}, found {actual}")]
    SecretSize {
        /// Kind of secret.
        kind: &'static str,
        /// Size that was found, in bytes.
        actual: usize,
        /// The sizes that are possible.
        expected: String,
    },
    /// The private key is on a curve that the ultravisor does not store.
    #[error(
        "unsupported kind of EC private key: {found}; supported are secp256r1, secp384r1, secp521r1, Ed25519, Ed448"
    )]
    Curve {
        /// Algorithm and size of the key that was found.
        found: String,
    },
    /// The file holds no unencrypted private key.
    #[error("it holds no unencrypted private key in PEM or DER form")]
    NotAPrivateKey,
    /// The key cannot sign user data.
    #[error("unsupported key for signing user data: {found}; supported are EC secp521r1, RSA 2048, RSA 3072")]
    SigningKey {
        /// Algorithm and size of the key that was found.
        found: String,
    },
    /// More user data than there is room for.
    #[error("{actual} bytes of user data, but {kind} user data has room for {limit}")]
    UserDataSize {
        /// Kind of user data: unsigned, or signed with which key.
        kind: &'static str,
        /// Size of the user data that was given, in bytes.
        actual: usize,
        /// Size that fits, in bytes.
        limit: usize,
    },
    /// The request is signed, and there is no certificate to check it with.
    #[error("the user data is signed ({0}), but no certificate to check it was given")]
    SignatureWithoutCertificate(&'static str),
    /// The request is not signed, and there is a certificate to check it with.
    #[error("the user data is not signed, but a certificate to check it was given")]
    CertificateWithoutSignature,
    /// The certificate's key is not of the kind that signed.
    #[error("the certificate's key is {certificate}, but the user data is signed with {request}")]
    SignatureKind {
        /// The certificate's key.
        certificate: String,
        /// Algorithm that the request names.
        request: &'static str,
    },
    /// The signature does not hold.
    #[error("the signature does not fit the request and the certificate")]
    Signature,
    /// OpenSSL refused an operation.
    #[cfg(feature = "openssl")]
    #[error("OpenSSL failed")]
    OpenSsl(#[from] ErrorStack),
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Format(error.into())
    }
}
