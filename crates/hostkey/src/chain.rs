//! The chain from the IBM Z signing key to a trusted root.

use crate::crl::{Issuer, Judgement};
use crate::file::Source;
use crate::{Error, Roots, name};
use openssl::asn1::Asn1TimeRef;
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509Crl, X509KeyUsage, X509PurposeId, X509StoreContext};
use std::collections::BTreeMap;

/// Intermediate certificates between signing key and root, at most.
const MAX_INTERMEDIATES: i32 = 2;
/// 112 bits of security.
const SECURITY_LEVEL: i32 = 2;

/// What a chain is judged by.
pub(crate) struct Known<'a> {
    pub(crate) roots: &'a Roots,
    pub(crate) crls: &'a [Source<X509Crl>],
    pub(crate) failures: &'a BTreeMap<String, String>,
}

/// Builds and checks the chain of `signing_key`, and every certificate of it against the CRLs.
pub(crate) fn verify(
    signing_key: &Source<X509>,
    others: &[Source<X509>],
    evidence: &Known<'_>,
    unix_time: i64,
    now: &Asn1TimeRef,
) -> Result<(), Error> {
    let mut untrusted = Stack::new()?;
    for other in others {
        untrusted.push(other.item.clone())?;
    }
    let store = store(evidence.roots, unix_time)?;
    let mut context = X509StoreContext::new()?;
    let chain = context.init(&store, &signing_key.item, &untrusted, |context| {
        let accepted = context.verify_cert()?;
        let chain: Vec<_> = context.chain().iter().flat_map(|chain| chain.iter()).map(ToOwned::to_owned).collect();
        if accepted {
            return Ok(Ok(chain));
        }
        let subject = context.current_cert().map(|certificate| name::show(certificate.subject_name()));
        Ok(Err(Error::Chain {
            file: signing_key.file.clone(),
            subject: subject.unwrap_or_default(),
            depth: context.error_depth(),
            reason: context.error().error_string().to_owned(),
        }))
    })??;
    if chain.len() < 2 {
        return Err(Error::ChainTooShort { file: signing_key.file.clone() });
    }
    for (depth, certificate) in (0_u32..).zip(&chain) {
        // The root vouches for itself, and lists itself if it must be revoked.
        let issuer = chain.get(depth as usize + 1).unwrap_or(certificate);
        refuse_revoked(certificate, issuer, depth, evidence, now)?;
    }
    Ok(())
}

fn refuse_revoked(
    certificate: &X509,
    issuer: &X509,
    depth: u32,
    evidence: &Known<'_>,
    now: &Asn1TimeRef,
) -> Result<(), Error> {
    let subject = name::show(certificate.subject_name());
    if issuer.key_usage().is_some_and(|usage| !usage.contains(X509KeyUsage::CRL_SIGN)) {
        return Err(Error::ChainNoCrlSigner { subject, depth, issuer: name::show(issuer.subject_name()) });
    }
    let names = vec![issuer.subject_name().to_owned()?];
    let by = Issuer { certificate: issuer, names, failures: evidence.failures };
    match by.judge(certificate, evidence.crls, now)? {
        Judgement::Good => Ok(()),
        Judgement::Revoked(revocation) => Err(Error::ChainRevoked { subject, depth, revocation }),
        Judgement::Unknown(fault) => Err(Error::ChainNoCrl { subject, depth, fault }),
    }
}

fn store(roots: &Roots, unix_time: i64) -> Result<X509Store, ErrorStack> {
    let mut builder = X509StoreBuilder::new()?;
    match roots {
        Roots::Given(roots) => roots.iter().try_for_each(|root| builder.add_cert(root.item.clone()))?,
        Roots::System => builder.set_default_paths()?,
    }
    let mut param = X509VerifyParam::new()?;
    // CRLs are not checked by OpenSSL here but in `crl`, which says what is wrong with each.
    param.set_flags(
        X509VerifyFlags::X509_STRICT
            | X509VerifyFlags::TRUSTED_FIRST
            | X509VerifyFlags::CHECK_SS_SIGNATURE
            | X509VerifyFlags::POLICY_CHECK,
    )?;
    param.set_depth(MAX_INTERMEDIATES);
    param.set_auth_level(SECURITY_LEVEL);
    param.set_purpose(X509PurposeId::ANY)?;
    param.set_time(unix_time);
    builder.set_param(&param)?;
    Ok(builder.build())
}
