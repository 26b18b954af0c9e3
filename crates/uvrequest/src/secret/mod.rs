//! The add-secret request and what goes into it.

pub(crate) mod asrcb;
#[cfg(feature = "openssl")]
mod extension;
#[cfg(feature = "openssl")]
mod guest_secret;
#[cfg(feature = "openssl")]
mod seal;
#[cfg(feature = "openssl")]
mod signing;
pub(crate) mod user_data;
mod view;

#[cfg(feature = "openssl")]
pub use extension::{Cck, ExtensionSecret};
#[cfg(feature = "openssl")]
pub use guest_secret::{GuestSecret, RetrievableSecret};
#[cfg(feature = "openssl")]
pub use seal::AddSecretRequest;
#[cfg(feature = "openssl")]
pub use signing::{SigningKey, UserData};
pub use view::{AddSecretRequestView, VerifiedUserData};
