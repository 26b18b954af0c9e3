//! Certificate revocation lists: which can be used, and what they say.

use crate::error::CrlFault;
use crate::file::Source;
use crate::{der, name};
use openssl::asn1::Asn1TimeRef;
use openssl::error::ErrorStack;
use openssl::x509::{CrlStatus, X509, X509Crl, X509Name, X509Ref};
use std::collections::BTreeMap;

/// What the usable CRLs of an issuer say of a certificate.
pub(crate) enum Judgement {
    /// Not revoked, says at least one.
    Good,
    /// Revoked: since when, and where that is said.
    Revoked(String),
    /// There is no usable CRL.
    Unknown(CrlFault),
}

/// Whoever issues CRLs, and the names under which it may have done so.
pub(crate) struct Issuer<'a> {
    pub(crate) certificate: &'a X509Ref,
    pub(crate) names: Vec<X509Name>,
    /// Addresses from which no CRL could be had, and why.
    pub(crate) failures: &'a BTreeMap<String, String>,
}

impl Issuer<'_> {
    /// Looks `certificate` up in every CRL of this issuer that can be used at `now`. One that lists it is
    /// enough, whatever newer or older ones say.
    pub(crate) fn judge(
        &self,
        certificate: &X509,
        crls: &[Source<X509Crl>],
        now: &Asn1TimeRef,
    ) -> Result<Judgement, ErrorStack> {
        let mut usable = false;
        let mut unusable = Vec::new();
        for crl in crls.iter().filter(|crl| self.names.iter().any(|name| name::same(name, crl.item.issuer_name()))) {
            if let Some(fault) = self.fault(&crl.item, now)? {
                unusable.push((crl.file.clone(), fault));
                continue;
            }
            usable = true;
            // "Removed from CRL" is for delta CRLs, which are not accepted: here it is a contradiction, and
            // the careful reading is that the certificate is not to be used.
            if let CrlStatus::Revoked(entry) | CrlStatus::RemoveFromCrl(entry) =
                crl.item.get_by_serial(certificate.serial_number())
            {
                let since = entry.revocation_date();
                return Ok(Judgement::Revoked(format!("since {since}, says the CRL in '{}'", crl.file)));
            }
        }
        if usable {
            return Ok(Judgement::Good);
        }
        Ok(Judgement::Unknown(CrlFault {
            issuer: name::show(self.certificate.subject_name()),
            unusable,
            distribution_points: distribution_points(certificate)
                .into_iter()
                .map(|address| (address.clone(), self.failures.get(&address).cloned()))
                .collect(),
        }))
    }

    /// Why a CRL under this issuer's name cannot be used.
    fn fault(&self, crl: &X509Crl, now: &Asn1TimeRef) -> Result<Option<String>, ErrorStack> {
        let der = crl.to_der()?;
        let Some(next_update) = crl.next_update() else {
            return Ok(Some("does not say until when it is valid".to_owned()));
        };
        if crl.last_update() > now {
            return Ok(Some(format!("is not valid before {}", crl.last_update())));
        }
        if next_update <= now {
            return Ok(Some(format!("expired on {next_update}")));
        }
        if let Some(extension) = der::unknown_critical_in_crl(&der) {
            return Ok(Some(format!("has an unknown critical extension ({extension})")));
        }
        if let Some(hash) = der::weak_signature_hash(&der) {
            return Ok(Some(format!("is signed with {hash}, which is too weak")));
        }
        if !self.authority_key_id_fits(crl)? {
            return Ok(Some("names another key as its issuer's".to_owned()));
        }
        let key = self.certificate.public_key()?;
        if !crl.verify(&key).unwrap_or(false) {
            return Ok(Some("has a signature that does not hold".to_owned()));
        }
        Ok(None)
    }

    fn authority_key_id_fits(&self, crl: &X509Crl) -> Result<bool, ErrorStack> {
        let Some(own) = self.certificate.subject_key_id() else { return Ok(true) };
        Ok(der::authority_key_id_of_crl(&crl.to_der()?).is_none_or(|id| id == own.as_slice()))
    }
}

/// Where a certificate says that CRLs of its issuer can be had.
pub(crate) fn distribution_points(certificate: &X509Ref) -> Vec<String> {
    let points = certificate.crl_distribution_points();
    let names = points.iter().flatten().filter_map(|point| point.distpoint()?.fullname());
    names.flat_map(|names| names.iter().filter_map(|name| name.uri().map(str::to_owned)).collect::<Vec<_>>()).collect()
}
