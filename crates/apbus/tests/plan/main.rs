//! The planner: rows of known cases, and comparison with an exhaustive search.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod brute_force;
mod cases;
mod large;
mod rules;
