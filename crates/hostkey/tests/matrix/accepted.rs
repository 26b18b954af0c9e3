//! What is accepted.

use crate::situation::*;
use openssl::nid::Nid;
use pvsim::pki::{AuthorityId, CertificateSpec, common_name, signing_key_name};

pub(crate) const ROWS: &[Row] = &[
    Row("ok-plain", SOUND, AS_IS, "-", OK),
    Row(
        "ok-order",
        SOUND,
        |_, _, f| {
            f.certs.reverse();
            f.crls.reverse();
        },
        "-",
        OK,
    ),
    Row(
        "ok-der",
        SOUND,
        |_, pki, f| {
            f.hkds[0].1 = pki.host_key_document.to_der().unwrap();
            f.certs[0].1 = pki.signing_key.certificate.to_der().unwrap();
            f.certs[1].1 = pki.intermediate.certificate.to_der().unwrap();
            f.root.as_mut().unwrap().1 = pki.root.certificate.to_der().unwrap();
            for (file, crl) in f.crls.iter_mut().zip(&pki.crls) {
                file.1 = crl.to_der().unwrap();
            }
        },
        "-",
        OK,
    ),
    Row(
        "ok-cert-bundle",
        SOUND,
        |_, _, f| {
            let both = [&f.certs[0].1[..], &f.certs[1].1].concat();
            f.certs = vec![("both", both)];
        },
        "-",
        OK,
    ),
    Row(
        "ok-crl-bundle",
        SOUND,
        |_, _, f| {
            let all = f.crls.iter().flat_map(|c| c.1.clone()).collect();
            f.crls = vec![("all", all)];
        },
        "-",
        OK,
    ),
    Row(
        "ok-crl-in-cert-files",
        SOUND,
        |_, _, f| {
            f.root.as_mut().unwrap().1.extend(&f.crls[0].1);
            f.certs[1].1.extend(&f.crls[1].1);
            f.certs[0].1.extend(&f.crls[2].1);
            f.crls.clear();
        },
        "-",
        OK,
    ),
    Row("ok-cert-in-crl-file", SOUND, |_, pki, f| f.crls[0].1.extend(pki.root.certificate.to_pem().unwrap()), "-", OK),
    Row("ok-two-certs-in-hkd", SOUND, |_, pki, f| f.hkds[0].1.extend(pki.root.certificate.to_pem().unwrap()), "-", OK),
    Row("ok-crl-before-hkd", SOUND, |_, _, f| f.hkds[0].1 = [&f.crls[0].1[..], &f.hkds[0].1].concat(), "-", OK),
    Row("ok-text-before-pem", SOUND, |_, _, f| f.hkds[0].1 = [b"some text\n", &f.hkds[0].1[..]].concat(), "-", OK),
    Row(
        "ok-crlf",
        SOUND,
        |_, _, f| {
            let text = String::from_utf8(f.hkds[0].1.clone()).unwrap();
            f.hkds[0].1 = text.replace('\n', "\r\n").into_bytes();
        },
        "-",
        OK,
    ),
    Row("ok-two-hkds", SOUND, |plan, pki, f| f.hkds.push(("second", another_hkd(plan, pki, 9))), "-", OK),
    Row("ok-same-hkd-twice", SOUND, |_, _, f| f.hkds.push(f.hkds[0].clone()), "-", OK),
    Row("ok-hkd-no-akid", |p| p.host_key.authority_id = AuthorityId::Absent, AS_IS, "-", OK),
    Row("ok-hkd-no-dp", SOUND, AS_IS, "-", OK),
    Row("ok-armonk", armonk, AS_IS, "-", OK),
    Row(
        "ok-armonk-pok-crl",
        |p| {
            armonk(p);
            p.signing_key_crl.issuer = signing_key_name("Poughkeepsie");
        },
        AS_IS,
        "-",
        OK,
    ),
    Row(
        "ok-armonk-pok-hkd",
        |p| {
            armonk(p);
            p.host_key.issuer = Some(signing_key_name("Poughkeepsie"));
        },
        AS_IS,
        "-",
        OK,
    ),
    Row("ok-reordered-crl", |p| p.signing_key_crl.issuer = reordered("Poughkeepsie"), AS_IS, "-", OK),
    Row(
        "ok-armonk-reordered-crl",
        |p| {
            armonk(p);
            p.signing_key_crl.issuer = reordered("Armonk");
        },
        AS_IS,
        "-",
        OK,
    ),
    Row(
        "ok-armonk-pok-reordered-crl",
        |p| {
            armonk(p);
            p.signing_key_crl.issuer = reordered("Poughkeepsie");
        },
        AS_IS,
        "-",
        OK,
    ),
    Row(
        "ok-crl-issuer-case",
        |p| {
            for (_, value) in &mut p.signing_key_crl.issuer {
                *value = value.to_uppercase().replace(' ', "  ");
            }
        },
        AS_IS,
        "-",
        OK,
    ),
    Row("ok-crl-no-akid", |p| p.signing_key_crl.authority_key_id = None, AS_IS, "-", OK),
    Row(
        "ok-one-of-two-crls-expired",
        SOUND,
        |p, pki, f| f.crls.push(("old.crl", signer_crl(pki, expired(&p.signing_key_crl)))),
        "-",
        OK,
    ),
    Row("ok-plain-unit", |p| unit(p, "Key Signing Service"), AS_IS, "-", OK),
    Row("ok-glued-unit", |p| unit(p, "TheKey Signing Service"), AS_IS, "-", OK),
    Row("ok-subject-order", |p| named(p, reordered("Poughkeepsie")), AS_IS, "-", OK),
    Row("ok-ec-signer", |p| p.signing_key.key = ec(Nid::SECP384R1), AS_IS, "-", OK),
    Row(
        "ok-no-intermediate",
        SOUND,
        |plan, pki, f| {
            let signer = plan.signing_key.issue(Some(&pki.root)).unwrap();
            let hkd = plan.host_key.issue(Some(&signer)).unwrap();
            f.hkds[0].1 = hkd.certificate.to_pem().unwrap();
            f.certs = vec![("ibm.crt", signer.certificate.to_pem().unwrap())];
            f.crls.remove(1);
            f.crls[1].1 = pem(&plan.signing_key_crl.sign(&signer).unwrap());
        },
        "-",
        OK,
    ),
    Row("ok-two-intermediates", SOUND, |plan, pki, f| intermediates(plan, pki, f, 2), "-", OK),
    Row(
        "ok-root-bundle",
        SOUND,
        |_, _, f| {
            let other = CertificateSpec::authority(common_name("other root"), POOL.other.clone(), 7, now())
                .issue(None)
                .unwrap();
            let root = f.root.as_mut().unwrap();
            root.1 = [&other.certificate.to_pem().unwrap()[..], &root.1].concat();
        },
        "-",
        OK,
    ),
    Row(
        "ok-unrelated-cert",
        SOUND,
        |_, _, f| {
            let other =
                CertificateSpec::authority(common_name("unrelated"), POOL.other.clone(), 7, now()).issue(None).unwrap();
            f.certs.push(("other.crt", other.certificate.to_pem().unwrap()));
        },
        "-",
        OK,
    ),
    Row(
        "ok-crl-as-cert",
        SOUND,
        |_, _, f| {
            let crl = f.crls.remove(1);
            f.certs.push(crl);
        },
        "-",
        OK,
    ),
    Row(
        "ok-der-crl-as-cert",
        SOUND,
        |_, pki, f| {
            f.crls.remove(1);
            f.certs.push(("inter.crl", pki.crls[1].to_der().unwrap()));
        },
        "-",
        OK,
    ),
    Row(
        "ok-inter-trusted",
        SOUND,
        |_, pki, f| f.root.as_mut().unwrap().1.extend(pki.intermediate.certificate.to_pem().unwrap()),
        "-",
        OK,
    ),
    Row(
        "ok-chain-crl-no-next",
        |p| p.intermediate_crl.next_update = None,
        AS_IS,
        "ChainNoCrl",
        "does not say until when it is valid",
    ),
    Row("ok-akid-full", |p| p.host_key.authority_id = AuthorityId::Full, AS_IS, "-", OK),
];
