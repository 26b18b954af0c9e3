//! The add-secret request and what goes into it.

mod asrcb;
mod extension;
mod guest_secret;
mod id;
mod kind;
mod user_data;
mod view;

pub use asrcb::{AddSecretRequest, FLAG_DISABLE_DUMP};
pub use extension::{Cck, ExtensionSecret};
pub use guest_secret::{GuestSecret, MAX_PLAINTEXT, RetrievableSecret};
pub use id::{Cuid, SecretId};
pub use kind::SecretKind;
pub use user_data::{SigningKey, UserData};
pub use view::{AddSecretRequestView, VerifiedUserData};
