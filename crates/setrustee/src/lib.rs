#![forbid(unsafe_code)]
// What others wrote is taken apart here: nothing that can panic or cut a number off, without a reason beside it.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]
//! Secure Execution in Confidential Containers: the formats of Trustee, the key broker, as far as they concern us.
//!
//! A guest proves to Trustee's Secure Execution verifier what it is, and gets resources for it, such as the add-secret
//! requests for its Crypto Express queues. An administrator has to prepare:
//!
//! | what | here |
//! |---|---|
//! | the folder of the verifier: header, host-key documents, certificates, CRLs, RSA pair | [`verifier`] |
//! | reference values, attestation and resource policy | [`ReferenceValues`], [`lint`] |
//! | resources: pairs of an add-secret request and its id for each master key | [`SecretPair`] |
//! | keys and tokens of administrators | [`AdminKey`], [`TokenClaims`] |
//!
//! [`Challenge`] and [`Evidence`] are what server and guest exchange; [`verify`] judges an evidence as the verifier does,
//! and further than it does: it compares the tags with the image.
//!
//! Nothing here does I/O or reads a clock. Facts: Trustee 78962cd (2026-08) and runs against it.

mod challenge;
mod encoding;
mod error;
mod evidence;
mod finding;
pub mod lint;
mod policy;
mod reference;
mod resource;
mod rsa_pair;
mod runtime_data;
mod token;
mod verdict;
pub mod verifier;

pub use challenge::{Challenge, MEASUREMENT_KEY_SIZE, NONCE_SIZE};
pub use error::Error;
pub use evidence::Evidence;
pub use finding::{Finding, Severity};
pub use policy::{
    Lists, TRUST_CLAIMS, attestation_policy, attestation_policy_upload, resource_policy, resource_policy_upload,
};
pub use reference::{ImageReference, MachineReference, ReferenceValues};
pub use resource::{
    MAX_RESOURCE, RequestContext, ResourcePath, SecretIdentity, SecretPair, mkvp, parse_secret_id, resource_name_fault,
};
pub use rsa_pair::{MeasurementKeyPair, PublicHalf, RSA_BITS};
pub use runtime_data::RuntimeData;
pub use token::{AdminKey, Token, TokenClaims};
pub use verdict::{Claims, Difference, Expectations, Part, Verdict, verify};
