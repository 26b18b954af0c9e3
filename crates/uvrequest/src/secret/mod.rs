//! The add-secret request and what goes into it.

pub(crate) mod asrcb;
mod extension;
mod guest_secret;
pub(crate) mod user_data;
mod view;

pub use asrcb::AddSecretRequest;
pub use extension::{Cck, ExtensionSecret};
pub use guest_secret::{GuestSecret, RetrievableSecret};
pub use user_data::{SigningKey, UserData};
pub use view::{AddSecretRequestView, VerifiedUserData};
