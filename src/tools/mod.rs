//! The tools: one folder or file each. A tool turns arguments into calls of the library crates and prints what they
//! answer; what two of them need is in [`crate::shared`].

pub(crate) mod chzcrypt;
pub(crate) mod doctor;
pub(crate) mod inspect;
pub(crate) mod lszcrypt;
pub(crate) mod pvapconfig;
pub(crate) mod pvattest;
pub(crate) mod pvebc;
pub(crate) mod pvextract_hdr;
pub(crate) mod pvimg;
pub(crate) mod pvinfo;
pub(crate) mod pvsecret;
pub(crate) mod pvverify;
pub(crate) mod trust_bundle;
pub(crate) mod trustee;
