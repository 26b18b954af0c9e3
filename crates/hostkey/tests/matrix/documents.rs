//! What is wrong with documents.

use crate::situation::*;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use pvsim::pki::{AuthorityId, CertificateSpec, CrlSpec, DAY, Reason, common_name, signing_key_name};

pub(crate) const ROWS: &[Row] = &[
    Row(
        "lax-issuer-name",
        |p| {
            p.host_key.issuer = Some(common_name("Someone Else"));
            p.host_key.authority_id = AuthorityId::Absent;
        },
        AS_IS,
        "Issuer",
        "its issuer is 'CN=Someone Else'",
    ),
    Row(
        "lax-issuer-name-akid",
        |p| p.host_key.issuer = Some(common_name("Someone Else")),
        AS_IS,
        "Issuer",
        "its issuer is 'CN=Someone Else'",
    ),
    Row(
        "lax-rsa3072-host",
        |p| p.host_key.key = POOL.rsa3072.clone(),
        AS_IS,
        "NotP521",
        "expected an EC P-521 (secp521r1) key, found RSA (3072 bits)",
    ),
    Row(
        "lax-p256-host",
        |p| p.host_key.key = ec(Nid::X9_62_PRIME256V1),
        AS_IS,
        "NotP521",
        "key, found prime256v1 (256 bits)",
    ),
    Row("lax-p384-host", |p| p.host_key.key = ec(Nid::SECP384R1), AS_IS, "NotP521", "key, found secp384r1 (384 bits)"),
    Row(
        "lax-sha1-hkd",
        |p| p.host_key.digest = MessageDigest::sha1(),
        AS_IS,
        "WeakSignature",
        "signed with sha1, which is too weak",
    ),
    Row(
        "lax-critical-hkd",
        |p| p.host_key.unknown_critical = true,
        AS_IS,
        "CriticalExtension",
        "an extension that must be understood but is not known: 1.3.6.1.4.1.99999.1",
    ),
    Row("lax-usage-hkd", |p| p.host_key.key_usage = Some([false, false, false]), AS_IS, "-", OK),
    Row(
        "lax-der-trailing",
        SOUND,
        |_, pki, f| f.hkds[0].1 = [&pki.host_key_document.to_der().unwrap()[..], b"xyz"].concat(),
        "Trailing",
        "3 bytes follow the certificate",
    ),
    Row("lax-pem-trailing", SOUND, |_, _, f| f.hkds[0].1.extend(b"xyz"), "-", OK),
    Row("hkd-expired", |p| p.host_key.not_after = now() - 60, AS_IS, "Expired", "it expired on"),
    Row("hkd-early", |p| p.host_key.not_before = now() + DAY, AS_IS, "NotYetValid", "it is not valid before"),
    Row(
        "hkd-revoked",
        |p| p.signing_key_crl.revoked = vec![(4, Reason::Unspecified)],
        AS_IS,
        "Revoked",
        "it is revoked: since",
    ),
    Row(
        "hkd-removed-from-crl",
        |p| p.signing_key_crl.revoked = vec![(4, Reason::RemoveFromCrl)],
        AS_IS,
        "Revoked",
        "it is revoked: since",
    ),
    Row(
        "hkd-on-hold",
        |p| p.signing_key_crl.revoked = vec![(4, Reason::Hold)],
        AS_IS,
        "Revoked",
        "it is revoked: since",
    ),
    Row(
        "hkd-revoked-in-one-of-two",
        SOUND,
        |p, pki, f| {
            let revoking = CrlSpec { revoked: vec![(4, Reason::Unspecified)], ..p.signing_key_crl.clone() };
            f.crls.push(("new.crl", signer_crl(pki, revoking)));
        },
        "Revoked",
        "says the CRL in 'new.crl'",
    ),
    Row(
        "hkd-forged",
        SOUND,
        |plan, pki, f| forge(plan, pki, f, AuthorityId::KeyId, true),
        "Signature",
        "its signature was not made by the IBM Z signing key in 'ibm.crt'",
    ),
    Row(
        "hkd-forged-no-akid",
        SOUND,
        |plan, pki, f| forge(plan, pki, f, AuthorityId::Absent, true),
        "Signature",
        "its signature was not made by",
    ),
    Row(
        "hkd-wrong-akid",
        SOUND,
        |plan, pki, f| forge(plan, pki, f, AuthorityId::KeyId, false),
        "AuthorityKeyId",
        "its authority key identifier does not fit",
    ),
    // Key identifier absent, issuer absent, serial number 99.
    Row(
        "hkd-akid-serial",
        |p| p.host_key.authority_id = AuthorityId::Raw(vec![0x30, 3, 0x82, 1, 99]),
        AS_IS,
        "AuthorityKeyId",
        "serial number does not fit",
    ),
    Row(
        "hkd-akid-full-armonk",
        |p| p.host_key.authority_id = AuthorityId::Full,
        |plan, pki, f| {
            // The same key with a certificate of its own under the new name.
            let mut spec = plan.signing_key.clone();
            (spec.subject, spec.serial) = (signing_key_name("Armonk"), 33);
            f.certs[0].1 = spec.issue(Some(&pki.intermediate)).unwrap().certificate.to_pem().unwrap();
        },
        "AuthorityKeyId",
        "serial number does not fit",
    ),
    Row(
        "hkd-tampered",
        SOUND,
        |_, pki, f| {
            let mut der = pki.host_key_document.to_der().unwrap();
            let at = der.windows(8).position(|window| window == b"test hos").unwrap();
            der[at] ^= 1;
            f.hkds[0].1 = der;
        },
        "Signature",
        "its signature was not made by",
    ),
    Row("hkd-rsa1024", |p| p.host_key.key = POOL.rsa1024.clone(), AS_IS, "NotP521", "key, found RSA (1024 bits)"),
    Row(
        "hkd-p192",
        |p| p.host_key.key = ec(Nid::X9_62_PRIME192V1),
        AS_IS,
        "NotP521",
        "key, found prime192v1 (192 bits)",
    ),
    Row(
        "hkd-self-signed",
        SOUND,
        |plan, _, f| {
            let spec = CertificateSpec { issuer: Some(signing_key_name("Poughkeepsie")), ..plan.host_key.clone() };
            f.hkds[0].1 = spec.issue(None).unwrap().certificate.to_pem().unwrap();
        },
        "Signature",
        "its signature was not made by",
    ),
    Row("hkd-is-signer", SOUND, |_, _, f| f.hkds = vec![f.certs[0].clone()], "NotP521", "key, found RSA (2048 bits)"),
    Row(
        "hkd-second-bad",
        SOUND,
        |plan, pki, f| {
            f.hkds.push(("second", another_hkd(plan, pki, 5)));
            revoke(plan, pki, f, 5);
        },
        "Revoked",
        "it is revoked",
    ),
    Row(
        "hkd-first-bad",
        SOUND,
        |plan, pki, f| {
            f.hkds.push(("second", another_hkd(plan, pki, 5)));
            revoke(plan, pki, f, 4);
        },
        "Revoked",
        "it is revoked",
    ),
    Row("hkd-empty", SOUND, |_, _, f| f.hkds[0] = ("empty", Vec::new()), "NoCertificate", "it contains no certificate"),
    Row("hkd-text", SOUND, |_, _, f| f.hkds[0].1 = b"text".to_vec(), "NoCertificate", "it contains no certificate"),
    Row(
        "hkd-is-crl",
        SOUND,
        |_, _, f| f.hkds[0].1 = f.crls[0].1.clone(),
        "NoCertificate",
        "it contains no certificate",
    ),
    Row(
        "hkd-is-key",
        SOUND,
        |_, _, f| f.hkds[0].1 = POOL.other_host.private_key_to_pem_pkcs8().unwrap(),
        "NoCertificate",
        "it contains no certificate",
    ),
    Row("hkd-truncated-pem", SOUND, |_, _, f| f.hkds[0].1.truncate(400), "Damaged", "a certificate in it is damaged"),
    Row(
        "hkd-truncated-der",
        SOUND,
        |_, pki, f| f.hkds[0].1 = pki.host_key_document.to_der().unwrap()[..300].to_vec(),
        "Damaged",
        "the DER structure in it is damaged",
    ),
    Row("hkd-bad-base64", SOUND, |_, _, f| f.hkds[0].1[100] = b'!', "Damaged", "a certificate in it is damaged"),
];
