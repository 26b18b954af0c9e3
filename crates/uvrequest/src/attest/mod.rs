//! The attestation request, the file that carries it and its response, and the measurement.
//!
//! ```text
//! workstation: AttestationRequest ── seal ── Exchange (request) ─┐        Arpk ─┐
//! guest:                            ultravisor ── Exchange (response) ─┐       │
//! workstation:                                                        verify ──┴── Attested
//! ```

mod additional;
pub(crate) mod arcb;
pub(crate) mod exchange;
#[cfg(feature = "openssl")]
mod measurement;
#[cfg(feature = "openssl")]
mod seal;

pub use additional::AdditionalData;
#[cfg(feature = "openssl")]
pub use additional::secret_store_hash;
pub use arcb::key_slots;
pub use exchange::{Exchange, MEASUREMENT_SIZE, Response};
#[cfg(feature = "openssl")]
pub use measurement::{Attested, Claims, Unverified, Verdict, measurement, verify};
#[cfg(feature = "openssl")]
pub use seal::{Arpk, AttestationRequest, MeasurementSecrets};
