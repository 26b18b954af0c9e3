//! A target calls one function that reads bytes from outside, and asserts what must hold of its answer.

mod arguments;
mod image;
mod inspect;
mod se_header;
mod secret_list;

/// Every target by name.
pub(crate) const ALL: [(&str, fn(&[u8])); 5] = [
    ("arguments", arguments::fuzz),
    ("image", image::fuzz),
    ("inspect", inspect::fuzz),
    ("se_header", se_header::fuzz),
    ("secret_list", secret_list::fuzz),
];
