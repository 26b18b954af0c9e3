use openssl::error::ErrorStack;

/// Reason why something for or of Trustee cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A JSON text is none, or not of this form.
    #[error("not {what}")]
    Json {
        /// Kind of text that was expected.
        what: &'static str,
        /// The parser's message, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A field has the wrong size.
    #[error("the field '{field}': expected {expected} bytes, found {found}")]
    FieldSize {
        /// Name of the field.
        field: &'static str,
        /// Sizes that the field may have, in bytes.
        expected: String,
        /// What is there.
        found: usize,
    },
    /// A number in a challenge is not what Trustee puts there.
    #[error("the field '{field}': expected {expected}, found {found}")]
    FieldValue {
        /// Name of the field.
        field: &'static str,
        /// Value that Trustee puts there.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// A text is not a base64 text.
    #[error("the field '{0}' is not base64 (RFC 4648, with padding)")]
    Base64(&'static str),
    /// An attestation request is malformed or cannot be made.
    #[error("the attestation request cannot be used")]
    Request(#[source] uvrequest::Error),
    /// An add-secret request is malformed.
    #[error("not an add-secret request that a guest would take")]
    AddSecretRequest(#[source] uvrequest::FormatError),
    /// A file is not an RSA key that the verifier can use.
    #[error("not an RSA key in PEM form without a passphrase")]
    NotAnRsaKey,
    /// The halves belong to two pairs.
    #[error("the private and the public RSA key belong to two different pairs")]
    RsaHalves,
    /// A file is not an Ed25519 key.
    #[error("not an Ed25519 private key in PEM form without a passphrase")]
    NotAnEd25519Key,
    /// A text is no token.
    #[error("not a token: expected three parts of base64url text with dots between them (JWT)")]
    NotAToken,
    /// The claims of a token are not those of an administrator.
    #[error("the token {0}")]
    TokenClaims(String),
    /// A token is past its time.
    #[error("the token expired {0} seconds ago: make another one")]
    TokenExpired(i64),
    /// A token with a lifetime that nobody should have.
    #[error("expected a lifetime of 1 to {max} seconds, found {0}", max = crate::token::MAX_LIFETIME)]
    Lifetime(i64),
    /// A resource name that the server refuses.
    #[error("'{name}' is not the name of a resource: {reason}")]
    ResourceName {
        /// The text, escaped for a terminal.
        name: String,
        /// Reason why a server would refuse the name.
        reason: String,
    },
    /// A resource is too large for the server.
    #[error("the resource has {0} bytes; a server takes 2 MiB (2097152 bytes) at most")]
    ResourceSize(usize),
    /// A text has no pattern of a valid master key.
    #[error("{0}")]
    Mkvp(String),
    /// A text is no id of a secret.
    #[error("{0}")]
    SecretId(String),
    /// The text is not the name and id of an association secret, as `pvsecret create` writes them beside a request.
    #[error("not the name and id of an association secret: {0}")]
    Identity(String),
    /// Reference values need images.
    #[error("no image was given: a policy that tests no tag lets every image pass")]
    NoImages,
    /// OpenSSL refused an operation.
    #[error("OpenSSL failed")]
    OpenSsl(#[from] ErrorStack),
}
