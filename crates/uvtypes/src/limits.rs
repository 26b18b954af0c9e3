//! How large everything may be, in bytes unless it says otherwise.
//!
//! Source: Linux `arch/s390/include/uapi/asm/uvdevice.h` and `drivers/s390/char/uvdevice.c`; requests and headers.

/// Most bytes of an attestation request (ARCB).
pub const ARCB_MAX: usize = 0x10_0000;
/// Most bytes of a measurement.
pub const MEASUREMENT_MAX: usize = 0x8000;
/// Most bytes of additional data of an attestation.
pub const ADDITIONAL_MAX: usize = 0x8000;
/// Most bytes of user data of an attestation.
pub const USER_DATA_MAX: usize = 0x100;
/// Most bytes of an add-secret request (ASRCB).
pub const ADD_SECRET_MAX: usize = 0x10_0000;
/// Most bytes of a retrieved secret.
pub const RETRIEVE_MAX: usize = 0x2000;
/// Bytes of a plaintext secret: what can be retrieved, without the two bytes of its length.
pub const PLAINTEXT_MAX: usize = RETRIEVE_MAX - 2;
/// Most host keys, and so key slots, of a request or a header: their number has one byte.
pub const HOST_KEYS_MAX: usize = 255;
