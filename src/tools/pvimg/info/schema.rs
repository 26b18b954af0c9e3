//! What the outputs of `pvimg info` look like.

pub(super) const JSON: &str = include_str!("schema.json");

pub(super) const TEXT: &str = "\
The text output is for people: a line 'name: value' for each field of the SE header, numbers in hexadecimal. 'text' shows \
digests and hashes in full and leaves out the wrapped keys; 'text:full' shows all bytes. Programs use JSON.
";
