/// Why a host-key document or what is needed to judge it cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file holds no certificate.
    #[error("contains no certificate")]
    NoCertificate,
    /// The key is not EC P-521.
    #[error("the key is {found}, but a host key is EC P-521 (secp521r1)")]
    NotP521 {
        /// What the key is.
        found: String,
    },
    /// OpenSSL refused an operation.
    #[error("OpenSSL")]
    OpenSsl(#[from] openssl::error::ErrorStack),
}
