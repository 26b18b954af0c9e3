//! Lists of machines, what `pvapconfig` is asked to do in each, and what must come out of it.
//!
//! ```yaml
//! format: apconfig-scenarios/1
//! master_keys: {A: "aaaa... (64 digits)"}
//! scenarios:
//! - id: ONE
//!   title: one queue is bound and associated
//!   inventory: {queues: {"28.0014": {mk: A}}}
//!   secrets: [s1]
//!   config: |
//!     - {mode: EP11, name: s1, mkvp: aaaa... (32 digits)}
//!   ideal: {exit: 0, final: {"28.0014": associated 0}, writes: 2}
//! ```

mod check;
mod file;
mod in_kernel;
mod run;

pub use check::differences;
pub use file::{Exit, Expect, Expectation, List, NoStatus, Row, States};
pub use in_kernel::{InKernel, run_in_kernel};
pub use run::{Outcome, Program, run};
