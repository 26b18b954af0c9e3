//! The tools: one folder or file each. A tool turns arguments into calls of the library crates and prints what they
//! answer; what two of them need is in [`crate::shared`]. Without the feature `workstation`, those that a guest needs.

pub(crate) mod chzcrypt;
#[cfg(feature = "workstation")]
pub(crate) mod doctor;
#[cfg(feature = "workstation")]
pub(crate) mod inspect;
pub(crate) mod lszcrypt;
pub(crate) mod pvapconfig;
pub(crate) mod pvattest;
pub(crate) mod pvebc;
#[cfg(feature = "workstation")]
pub(crate) mod pvextract_hdr;
#[cfg(feature = "workstation")]
pub(crate) mod pvimg;
pub(crate) mod pvinfo;
pub(crate) mod pvsecret;
#[cfg(feature = "workstation")]
pub(crate) mod pvverify;
#[cfg(feature = "workstation")]
pub(crate) mod trust_bundle;
#[cfg(feature = "workstation")]
pub(crate) mod trustee;
