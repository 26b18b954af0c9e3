//! A target calls one function that reads bytes from outside, and asserts what must hold of its answer.

mod additional;
mod answer;
mod ap_config;
mod arguments;
mod certificates;
mod component_list;
mod crl;
mod evidence;
mod exchange;
mod image;
mod image_metadata;
mod image_verify;
mod inspect;
mod ipib;
mod rego;
mod request;
mod resource;
mod se_header;
mod secret_list;
mod sysfs_text;
mod token;
mod verifier;

/// Every target by name.
pub(crate) const ALL: [(&str, fn(&[u8])); 22] = [
    ("additional", additional::fuzz),
    ("answer", answer::fuzz),
    ("ap_config", ap_config::fuzz),
    ("arguments", arguments::fuzz),
    ("certificates", certificates::fuzz),
    ("component_list", component_list::fuzz),
    ("crl", crl::fuzz),
    ("evidence", evidence::fuzz),
    ("exchange", exchange::fuzz),
    ("image", image::fuzz),
    ("image_metadata", image_metadata::fuzz),
    ("image_verify", image_verify::fuzz),
    ("inspect", inspect::fuzz),
    ("ipib", ipib::fuzz),
    ("rego", rego::fuzz),
    ("request", request::fuzz),
    ("resource", resource::fuzz),
    ("se_header", se_header::fuzz),
    ("secret_list", secret_list::fuzz),
    ("sysfs_text", sysfs_text::fuzz),
    ("token", token::fuzz),
    ("verifier", verifier::fuzz),
];
