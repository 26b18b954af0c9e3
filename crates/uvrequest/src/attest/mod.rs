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
mod measurement;

pub use additional::{AdditionalData, secret_store_hash};
pub use arcb::{Arpk, AttestationRequest, MeasurementSecrets, key_slots};
pub use exchange::{Exchange, MEASUREMENT_SIZE, Response};
pub use measurement::{Attested, Verdict, measurement, verify};
