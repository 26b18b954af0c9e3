//! The fields of requests and of the file that carries one, for explanations. Each table stands beside the structure
//! that the strict parser of the format reads, and is asserted to agree with it.

pub use crate::attest::arcb::{FIELDS as ARCB, HMAC_SHA_512};
pub use crate::attest::exchange::FIELDS as EXCHANGE;
pub use crate::request_frame::{FIELDS as FRAME, KEY_SLOTS};
pub use crate::secret::asrcb::{FIELDS as ASRCB, MAGIC_FIELDS as ASRCB_MAGIC, SECRET_FIELDS as ASRCB_SECRET};
pub use crate::secret::user_data::{LAYOUTS as USER_DATA, UserDataLayout};
