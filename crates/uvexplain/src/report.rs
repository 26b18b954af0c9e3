//! What there is to say about a file.

use serde::{Serialize, Serializer};
use std::fmt;
use uvtypes::HostKeyHash;
use uvtypes::text::escaped;

/// A file, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Kind of file that was recognised.
    pub kind: FileKind,
    /// Bytes of the file.
    pub size: u64,
    /// Fields in the order of the file.
    pub fields: Vec<Field>,
    /// Warnings about what is unusual in the file.
    pub warnings: Vec<String>,
}

/// A field of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Byte in the file at which it begins; absent in text formats.
    pub offset: Option<usize>,
    /// Size of the field in bytes; absent in text formats.
    pub size: Option<usize>,
    /// Name of the field in the architecture's terms.
    pub name: String,
    /// Value of the field.
    pub value: Value,
    /// Meaning of the value; empty when it speaks for itself.
    pub meaning: String,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Bytes, shown as hexadecimal digits.
    Bytes(Vec<u8>),
    /// Zeros, as reserved fields have them.
    Zeros,
    /// A number, shown in decimal.
    Number(u64),
    /// A number, shown in hexadecimal.
    Hex(u64),
    /// Words; they may come from outside, and are displayed with all escaped that a terminal would act upon.
    Text(String),
    /// An encrypted field, which only the ultravisor can decrypt.
    Encrypted,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "0x{}", hex::encode(bytes)),
            Self::Zeros => f.write_str("0"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Hex(number) => write!(f, "{number:#x}"),
            // A reader of JSON escapes by itself; see `Serialize`.
            Self::Text(text) => f.write_str(&escaped(text)),
            Self::Encrypted => f.write_str("(encrypted)"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Zeros => serializer.serialize_u64(0),
            Self::Encrypted => serializer.serialize_none(),
            Self::Text(text) => serializer.serialize_str(text),
            shown => serializer.collect_str(shown),
        }
    }
}

/// The kinds of file that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileKind {
    /// A boot image with an SE header in it.
    SeImage,
    /// An SE header on its own.
    SeHeader,
    /// An add-secret request (ASRCB).
    AddSecretRequest,
    /// An attestation request (ARCB) on its own.
    AttestationRequest,
    /// The file that `pvattest` passes on: a request, or a request with its response.
    AttestationExchange,
    /// One or more X.509 certificates, such as a host-key document, or CRLs.
    Certificates,
    /// The list of secrets, as `pvsecret list --format bin` writes it.
    SecretList,
    /// The YAML file that names a secret.
    SecretIdentity,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SeImage => "Secure Execution boot image",
            Self::SeHeader => "Secure Execution header",
            Self::AddSecretRequest => "add-secret request",
            Self::AttestationRequest => "attestation request",
            Self::AttestationExchange => "attestation exchange file",
            Self::Certificates => "certificate file",
            Self::SecretList => "secret list",
            Self::SecretIdentity => "secret identity",
        })
    }
}

/// A host key that key slots are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHostKey {
    /// The hash by which key slots name the host key.
    pub hash: HostKeyHash,
    /// Name of the host key, such as that of its file.
    pub name: String,
}
