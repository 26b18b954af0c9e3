//! What is wrong with the chain.

use crate::situation::*;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use pvsim::pki::{AuthorityId, CertificateSpec, DAY, Reason, common_name};

pub(crate) const ROWS: &[Row] = &[
    Row(
        "signer-missing",
        SOUND,
        |_, _, f| drop(f.certs.remove(0)),
        "NoSigningKey",
        "none of the certificates is an IBM Z signing key",
    ),
    Row(
        "signer-unit",
        |p| unit(p, "Key Signing Services"),
        AS_IS,
        "NoSigningKey",
        "none of the certificates is an IBM Z signing key",
    ),
    Row(
        "signer-unit-case",
        |p| unit(p, "IBM Z Host key signing service"),
        AS_IS,
        "NoSigningKey",
        "none of the certificates is",
    ),
    Row(
        "signer-town",
        |p| entry(p, Nid::LOCALITYNAME, "Endicott"),
        AS_IS,
        "NoSigningKey",
        "none of the certificates is",
    ),
    Row(
        "signer-state",
        |p| entry(p, Nid::STATEORPROVINCENAME, "NY"),
        AS_IS,
        "NoSigningKey",
        "none of the certificates is",
    ),
    Row("signer-org", |p| entry(p, Nid::ORGANIZATIONNAME, "IBM"), AS_IS, "NoSigningKey", "none of the certificates is"),
    Row("signer-cn", |p| entry(p, Nid::COMMONNAME, "IBM"), AS_IS, "NoSigningKey", "none of the certificates is"),
    Row("signer-country", |p| entry(p, Nid::COUNTRYNAME, "DE"), AS_IS, "NoSigningKey", "none of the certificates is"),
    Row(
        "signer-five",
        |p| {
            let mut name = p.signing_key.subject.clone();
            name.remove(2);
            named(p, name);
        },
        AS_IS,
        "NoSigningKey",
        "none of the certificates is",
    ),
    Row(
        "signer-seven",
        |p| {
            let mut name = p.signing_key.subject.clone();
            name.push((Nid::SERIALNUMBER, "7".to_owned()));
            named(p, name);
        },
        AS_IS,
        "NoSigningKey",
        "none of the certificates is",
    ),
    Row(
        "signer-two",
        SOUND,
        |plan, pki, f| {
            let mut spec = plan.signing_key.clone();
            (spec.key, spec.serial) = (POOL.other.clone(), 77);
            f.certs.push(("second.crt", spec.issue(Some(&pki.intermediate)).unwrap().certificate.to_pem().unwrap()));
        },
        "SeveralSigningKeys",
        "more than one of the certificates is an IBM Z signing key",
    ),
    Row("signer-twice", SOUND, |_, _, f| f.certs.push(f.certs[0].clone()), "-", OK),
    Row(
        "chain-signer-expired",
        |p| p.signing_key.not_after = now() - 60,
        AS_IS,
        "Chain",
        "(level 0 of the chain): certificate has expired",
    ),
    Row(
        "chain-signer-early",
        |p| p.signing_key.not_before = now() + DAY,
        AS_IS,
        "Chain",
        "(level 0 of the chain): certificate is not yet valid",
    ),
    Row(
        "chain-signer-revoked",
        |p| p.intermediate_crl.revoked = vec![(3, Reason::Unspecified)],
        AS_IS,
        "ChainRevoked",
        "(level 0 of the chain) is revoked: since",
    ),
    Row(
        "chain-no-intermediate",
        SOUND,
        |_, _, f| drop(f.certs.remove(1)),
        "Chain",
        "(level 0 of the chain): unable to get local issuer certificate",
    ),
    Row(
        "chain-inter-expired",
        |p| p.intermediate.not_after = now() - 60,
        AS_IS,
        "Chain",
        "(level 1 of the chain): certificate has expired",
    ),
    Row(
        "chain-inter-early",
        |p| p.intermediate.not_before = now() + DAY,
        AS_IS,
        "Chain",
        "(level 1 of the chain): certificate is not yet valid",
    ),
    Row(
        "chain-inter-revoked",
        |p| p.root_crl.revoked = vec![(2, Reason::Unspecified)],
        AS_IS,
        "ChainRevoked",
        "(level 1 of the chain) is revoked: since",
    ),
    Row(
        "chain-root-expired",
        |p| p.root.not_after = now() - 60,
        AS_IS,
        "Chain",
        "(level 2 of the chain): certificate has expired",
    ),
    Row(
        "chain-other-root",
        SOUND,
        |_, _, f| {
            let other = CertificateSpec::authority(common_name("other root"), POOL.other.clone(), 7, now())
                .issue(None)
                .unwrap();
            f.root.as_mut().unwrap().1 = other.certificate.to_pem().unwrap();
        },
        "Chain",
        "(level 1 of the chain): unable to get local issuer certificate",
    ),
    Row(
        "chain-no-root",
        SOUND,
        |_, _, f| f.root = None,
        "Chain",
        "(level 1 of the chain): unable to get local issuer certificate",
    ),
    Row(
        "chain-root-untrusted",
        SOUND,
        |_, pki, f| {
            f.root = None;
            f.certs.push(("root.crt", pki.root.certificate.to_pem().unwrap()));
        },
        "Chain",
        "(level 2 of the chain): self-signed certificate in certificate chain",
    ),
    Row(
        "chain-same-name-root",
        SOUND,
        |plan, _, f| {
            let spec = CertificateSpec { key: POOL.other.clone(), ..plan.root.clone() };
            f.root.as_mut().unwrap().1 = spec.issue(None).unwrap().certificate.to_pem().unwrap();
        },
        "Chain",
        "(level 1 of the chain): unable to get local issuer certificate",
    ),
    Row(
        "chain-inter-forged",
        SOUND,
        |plan, pki, f| {
            let mut fake = pki.root.clone();
            fake.key = POOL.other.clone();
            f.certs[1].1 = plan.intermediate.issue(Some(&fake)).unwrap().certificate.to_pem().unwrap();
        },
        "Chain",
        "(level 1 of the chain): certificate signature failure",
    ),
    Row(
        "chain-inter-other-key",
        SOUND,
        |plan, pki, f| {
            let spec = CertificateSpec { key: POOL.other.clone(), ..plan.intermediate.clone() };
            f.certs[1].1 = spec.issue(Some(&pki.root)).unwrap().certificate.to_pem().unwrap();
        },
        "Chain",
        "(level 0 of the chain): unable to get local issuer certificate",
    ),
    Row(
        "chain-too-long",
        SOUND,
        |plan, pki, f| intermediates(plan, pki, f, 3),
        "Chain",
        "(level 3 of the chain): certificate chain too long",
    ),
    Row(
        "chain-inter-rsa1024",
        |p| p.intermediate.key = POOL.rsa1024.clone(),
        AS_IS,
        "Chain",
        "(level 1 of the chain): CA certificate key too weak",
    ),
    Row(
        "chain-signer-rsa1024",
        |p| p.signing_key.key = POOL.rsa1024.clone(),
        AS_IS,
        "Chain",
        "(level 0 of the chain): EE certificate key too weak",
    ),
    Row(
        "chain-inter-sha1",
        |p| p.intermediate.digest = MessageDigest::sha1(),
        AS_IS,
        "Chain",
        "(level 1 of the chain): CA signature digest algorithm too weak",
    ),
    Row(
        "chain-signer-sha1",
        |p| p.signing_key.digest = MessageDigest::sha1(),
        AS_IS,
        "Chain",
        "(level 0 of the chain): CA signature digest algorithm too weak",
    ),
    Row(
        "chain-inter-not-ca",
        |p| p.intermediate.basic_constraints = Some((true, false, None)),
        AS_IS,
        "Chain",
        "(level 1 of the chain): invalid CA certificate",
    ),
    Row(
        "chain-inter-no-cert-sign",
        |p| p.intermediate.key_usage = Some([false, true, false]),
        AS_IS,
        "Chain",
        "(level 1 of the chain): invalid CA certificate",
    ),
    Row(
        "chain-signer-no-akid",
        |p| p.signing_key.authority_id = AuthorityId::Absent,
        AS_IS,
        "Chain",
        "(level 0 of the chain): Missing Authority Key Identifier",
    ),
    Row(
        "chain-inter-no-skid",
        |p| {
            p.intermediate.subject_key_id = false;
            // Some identifier, which cannot be compared with one that is not there.
            p.signing_key.authority_id = AuthorityId::Raw([&[0x30, 22, 0x80, 20][..], &[1; 20]].concat());
        },
        AS_IS,
        "Chain",
        "(level 1 of the chain): Missing Subject Key Identifier",
    ),
    Row(
        "chain-inter-bc-not-critical",
        |p| p.intermediate.basic_constraints = Some((false, true, None)),
        AS_IS,
        "Chain",
        "(level 1 of the chain): Basic Constraints of CA cert not marked critical",
    ),
    Row(
        "chain-signer-critical",
        |p| p.signing_key.unknown_critical = true,
        AS_IS,
        "Chain",
        "(level 0 of the chain): unhandled critical extension",
    ),
    Row(
        "chain-pathlen",
        |p| p.root.basic_constraints = Some((true, true, Some(0))),
        AS_IS,
        "Chain",
        "path length constraint exceeded",
    ),
    Row(
        "chain-signer-is-root",
        SOUND,
        |plan, _, f| self_signed_signer(plan, f, false),
        "ChainTooShort",
        "is itself a trusted root",
    ),
    Row(
        "chain-signer-is-ca-root",
        SOUND,
        |plan, _, f| self_signed_signer(plan, f, true),
        "ChainTooShort",
        "is itself a trusted root",
    ),
    Row(
        "chain-root-is-inter",
        SOUND,
        |_, pki, f| f.root.as_mut().unwrap().1 = pki.intermediate.certificate.to_pem().unwrap(),
        "Chain",
        "(level 1 of the chain): unable to get issuer certificate",
    ),
];
