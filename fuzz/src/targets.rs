//! A target calls one function that reads bytes from outside, and asserts what must hold of its answer.

mod additional;
mod ap_config;
mod arguments;
mod certificates;
mod crl;
mod exchange;
mod image;
mod inspect;
mod request;
mod se_header;
mod secret_list;
mod sysfs_text;

/// Every target by name.
pub(crate) const ALL: [(&str, fn(&[u8])); 12] = [
    ("additional", additional::fuzz),
    ("ap_config", ap_config::fuzz),
    ("arguments", arguments::fuzz),
    ("certificates", certificates::fuzz),
    ("crl", crl::fuzz),
    ("exchange", exchange::fuzz),
    ("image", image::fuzz),
    ("inspect", inspect::fuzz),
    ("request", request::fuzz),
    ("se_header", se_header::fuzz),
    ("secret_list", secret_list::fuzz),
    ("sysfs_text", sysfs_text::fuzz),
];
