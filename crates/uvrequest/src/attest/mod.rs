//! The attestation request, the file that carries it and its response, and the measurement.
//!
//! ```text
//! workstation: AttestationRequest ── seal ── Exchange (request) ─┐        Arpk ─┐
//! guest:                            ultravisor ── Exchange (response) ─┐       │
//! workstation:                                                        verify ──┴── Attested
//! ```

mod additional;
mod arcb;
mod exchange;
mod measurement;

pub use additional::{AdditionalData, secret_store_hash};
pub use arcb::{Arpk, AttestationFlags, AttestationRequest, MeasurementSecrets, key_slots};
pub use exchange::{Exchange, MAX_ADDITIONAL, MAX_MEASUREMENT, MAX_REQUEST, MAX_USER_DATA, MEASUREMENT_SIZE, Response};
pub use measurement::{Attested, Verdict, measurement, verify};
