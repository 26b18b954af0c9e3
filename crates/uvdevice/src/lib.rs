#![deny(unsafe_code)]
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
//! The kernel's `uvdevice`, `/dev/uv`: how a Secure Execution guest talks to the ultravisor.
//!
//! ```text
//! applet ── Ultravisor ── UvDevice ── Driver ── Kernel (ioctl) ── /dev/uv ── ultravisor
//!                       checks, fall-backs    └ a simulated one, in tests
//! ```
//!
//! [`UvDevice`] asks which commands there are before it uses one, falls back to what older kernels offer, and
//! turns return codes and errnos into words. It builds no request and understands none.
//!
//! ```no_run
//! use uvdevice::{Ultravisor, UvDevice};
//! # fn main() -> Result<(), uvdevice::Error> {
//! let uv = UvDevice::open("/dev/uv".as_ref())?;
//! for secret in &uv.list_secrets()?.secrets {
//!     println!("{} {}", secret.index, secret.kind);
//! }
//! # Ok(())
//! # }
//! ```

pub mod abi;
mod device;
mod driver;
mod error;
#[expect(unsafe_code, reason = "the only file that calls ioctl(2)")]
mod ioctl;
mod query;
mod return_code;

pub use device::{AttestInput, Attested, Info, Ultravisor, UvDevice};
pub use driver::{AttestCall, Driver};
pub use error::Error;
pub use ioctl::Kernel;
pub use query::{Bits, SeStatus, UvInfo};
pub use return_code::{REASONS, Reason, ReturnCode};
