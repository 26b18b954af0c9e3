//! Certificate revocation lists: which can be used, and what they say.

use crate::asn1::{self, CrlFacts};
use crate::error::NoUsableCrl;
use crate::file::Sourced;
use crate::name;
use crate::serials::Serials;
use openssl::asn1::Asn1TimeRef;
use openssl::error::ErrorStack;
use openssl::x509::{CrlStatus, X509, X509Crl, X509Name, X509Ref};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Status of a certificate, by the usable CRLs of its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationStatus {
    /// At least one usable CRL covers the certificate, and none lists it.
    Good,
    /// Revoked: since when, and where that is said.
    Revoked(String),
    /// There is no usable CRL.
    Unknown(NoUsableCrl),
}

/// Standing of a CRL: what it is worth to a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrlStanding {
    /// The CRL is of an issuer in the chain, and every check of it held.
    Usable,
    /// The CRL bears the name of an issuer in the chain, but cannot be used: why, as the rest of a sentence about it.
    Unusable(String),
    /// The CRL is of nobody in the chain.
    Unrelated,
}

/// A certificate of a chain, and the CRLs that its key issued.
#[derive(Clone)]
pub struct Link {
    certificate: Sourced<X509>,
    /// The names under which its key may have issued CRLs.
    names: Arc<[X509Name]>,
    usable: Vec<Sourced<Arc<X509Crl>>>,
    /// The serial numbers that each of these may list.
    serials: Vec<Arc<Serials>>,
    unusable: Vec<(String, String)>,
}

impl Link {
    pub(crate) fn new(certificate: Sourced<X509>, names: Vec<X509Name>) -> Self {
        Self { certificate, names: names.into(), usable: Vec::new(), serials: Vec::new(), unusable: Vec::new() }
    }

    /// The certificate, and where it came from.
    pub fn certificate(&self) -> &Sourced<X509> {
        &self.certificate
    }

    /// The CRLs of this key for which every check held: verified, within their time, complete.
    pub fn usable_crls(&self) -> &[Sourced<Arc<X509Crl>>] {
        &self.usable
    }

    /// CRLs that were given under this key's names and cannot be used: where each came from, and why not.
    pub fn unusable_crls(&self) -> &[(String, String)] {
        &self.unusable
    }

    pub(crate) fn names(&self) -> &[X509Name] {
        &self.names
    }

    /// Takes `crl` if it can be used at `now`.
    pub(crate) fn add(&mut self, crl: &Sourced<Arc<X509Crl>>, now: &Asn1TimeRef) -> Result<CrlStanding, ErrorStack> {
        if !self.names.iter().any(|name| name::same(name, crl.item.issuer_name())) {
            return Ok(CrlStanding::Unrelated);
        }
        let serials = match self.judge(&crl.item, now)? {
            Ok(serials) => serials,
            Err(reason) => return Ok(CrlStanding::Unusable(reason)),
        };
        self.usable.push(crl.clone());
        self.serials.push(Arc::new(serials));
        Ok(CrlStanding::Usable)
    }

    pub(crate) fn note_unusable(&mut self, origin: String, reason: String) {
        self.unusable.push((origin, reason));
    }

    /// Looks `certificate`, which this key issued, up in every usable CRL. One that lists it is enough, whatever newer
    /// or older ones say. `failures` says for addresses why no CRL could be had there.
    pub(crate) fn status(&self, certificate: &X509Ref, failures: &BTreeMap<String, String>) -> RevocationStatus {
        let serial = certificate.serial_number();
        for (crl, _) in self.usable.iter().zip(&self.serials).filter(|(_, serials)| serials.may_have(serial)) {
            // "Removed from CRL" is for delta CRLs, which are not accepted: here it is a contradiction, and
            // the careful reading is that the certificate is not to be used.
            if let CrlStatus::Revoked(entry) | CrlStatus::RemoveFromCrl(entry) = crl.item.get_by_serial(serial) {
                let since = entry.revocation_date();
                return RevocationStatus::Revoked(format!("since {since}, says the CRL in '{}'", crl.origin));
            }
        }
        if !self.usable.is_empty() {
            return RevocationStatus::Good;
        }
        RevocationStatus::Unknown(NoUsableCrl {
            issuer: name::show(self.certificate.item.subject_name()),
            unusable: self.unusable.clone(),
            distribution_points: distribution_points(certificate)
                .into_iter()
                .map(|address| (address.clone(), failures.get(&address).cloned()))
                .collect(),
        })
    }

    /// The serial numbers in a CRL under this key's name, or why it cannot be used.
    fn judge(&self, crl: &X509Crl, now: &Asn1TimeRef) -> Result<Result<Serials, String>, ErrorStack> {
        let Some(next_update) = crl.next_update() else {
            return Ok(Err("does not say until when it is valid".to_owned()));
        };
        if crl.last_update() > now {
            return Ok(Err(format!("is not valid before {}", crl.last_update())));
        }
        if next_update <= now {
            return Ok(Err(format!("expired on {next_update}")));
        }
        let der = crl.to_der()?;
        let Some(facts) = CrlFacts::read(&der) else {
            return Ok(Err("is not in DER, in which CRLs are signed".to_owned()));
        };
        if let Some(extension) = facts.unknown_critical {
            return Ok(Err(format!("has an unknown critical extension ({extension})")));
        }
        if let Some(hash) = asn1::weak_signature_hash(&der) {
            return Ok(Err(format!("is signed with {hash}, which is too weak")));
        }
        let own_id = self.certificate.item.subject_key_id();
        if let (Some(stated), Some(own)) = (facts.authority_key_id, own_id) {
            if stated != own.as_slice() {
                return Ok(Err("names another key as its issuer's".to_owned()));
            }
        }
        let key = self.certificate.item.public_key()?;
        if !crl.verify(&key).unwrap_or(false) {
            return Ok(Err("has a signature that does not hold".to_owned()));
        }
        Ok(Ok(facts.serials))
    }
}

/// Addresses at which a certificate says that CRLs of its issuer can be had, in its order.
pub fn distribution_points(certificate: &X509Ref) -> Vec<String> {
    let points = certificate.crl_distribution_points();
    let names = points.iter().flatten().filter_map(|point| point.distpoint()?.fullname());
    names.flat_map(|names| names.iter().filter_map(|name| name.uri().map(str::to_owned)).collect::<Vec<_>>()).collect()
}
