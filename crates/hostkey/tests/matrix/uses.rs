//! What certificates say of their use: decided by RFC 5280 and by what IBM's signing key has (an end entity, key usage
//! "digital signature", extended key usage "code signing", not critical).

use crate::situation::*;
use pvsim::pki::{CertificateSpec, Plan, common_name};

/// OID and DER of extensions.
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
/// Key usage: digital signature; certificate sign; CRL sign; key encipherment; digital signature and certificate sign.
const DIGITAL_SIGNATURE: [u8; 4] = [0x03, 2, 7, 0x80];
const CERTIFICATE_SIGN: [u8; 4] = [0x03, 2, 2, 0x04];
const CRL_SIGN: [u8; 4] = [0x03, 2, 1, 0x02];
const BOTH_SIGN: [u8; 4] = [0x03, 2, 1, 0x06];
const KEY_ENCIPHERMENT: [u8; 4] = [0x03, 2, 5, 0x20];
/// A sequence of one purpose: code signing, TLS server.
const CODE_SIGNING: [u8; 12] = [0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3];
const SERVER: [u8; 12] = [0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
/// Any purpose.
const ANY: [u8; 8] = [0x30, 6, 6, 4, 0x55, 0x1d, 0x25, 0];
/// The DNS name "x" alone is permitted.
const NAMES: [u8; 9] = [0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, b'x'];

fn usage(spec: &mut CertificateSpec, bits: [u8; 4]) {
    spec.extensions.push(("2.5.29.15", true, bits.to_vec()));
}

fn signer(plan: &mut Plan, id: &'static str, critical: bool, der: &[u8]) {
    plan.signing_key.extensions.push((id, critical, der.to_vec()));
}

pub(crate) const ROWS: &[Row] = &[
    Row(
        "use-as-ibm",
        |p| {
            p.signing_key.basic_constraints = Some((true, false, None));
            usage(&mut p.signing_key, DIGITAL_SIGNATURE);
            signer(p, EXTENDED_KEY_USAGE, false, &CODE_SIGNING);
        },
        AS_IS,
        "-",
        OK,
    ),
    Row(
        "use-usage-signs-both",
        |p| {
            p.signing_key.basic_constraints = Some((true, true, None));
            usage(&mut p.signing_key, BOTH_SIGN);
        },
        AS_IS,
        "-",
        OK,
    ),
    Row(
        "use-usage-certificates-without-ca",
        |p| usage(&mut p.signing_key, BOTH_SIGN),
        AS_IS,
        "Chain",
        "(level 0 of the chain): invalid CA certificate",
    ),
    Row(
        "use-usage-certificates-alone",
        |p| {
            p.signing_key.basic_constraints = Some((true, true, None));
            usage(&mut p.signing_key, CERTIFICATE_SIGN);
        },
        AS_IS,
        "SigningKeyUse",
        "key usage does not allow to sign CRLs",
    ),
    Row(
        "use-usage-crls-alone",
        |p| usage(&mut p.signing_key, CRL_SIGN),
        AS_IS,
        "SigningKeyUse",
        "key usage does not allow to sign certificates",
    ),
    Row(
        "use-usage-encipherment",
        |p| usage(&mut p.signing_key, KEY_ENCIPHERMENT),
        AS_IS,
        "SigningKeyUse",
        "key usage does not allow to sign certificates",
    ),
    Row("use-extended-any", |p| signer(p, EXTENDED_KEY_USAGE, true, &ANY), AS_IS, "-", OK),
    Row("use-extended-code-critical", |p| signer(p, EXTENDED_KEY_USAGE, true, &CODE_SIGNING), AS_IS, "-", OK),
    Row("use-extended-server", |p| signer(p, EXTENDED_KEY_USAGE, false, &SERVER), AS_IS, "-", OK),
    Row(
        "use-extended-server-critical",
        |p| signer(p, EXTENDED_KEY_USAGE, true, &SERVER),
        AS_IS,
        "SigningKeyUse",
        "its extended key usage, which is critical, is not for signing code",
    ),
    Row(
        "use-document-extended-critical",
        |p| p.host_key.extensions.push((EXTENDED_KEY_USAGE, true, SERVER.to_vec())),
        AS_IS,
        "CriticalExtension",
        "2.5.29.37",
    ),
    Row(
        "use-document-extended",
        |p| p.host_key.extensions.push((EXTENDED_KEY_USAGE, false, SERVER.to_vec())),
        AS_IS,
        "-",
        OK,
    ),
    Row(
        "use-name-constraints-of-signer",
        |p| signer(p, NAME_CONSTRAINTS, true, &NAMES),
        AS_IS,
        "SigningKeyUse",
        "its name constraints are for CAs alone",
    ),
    Row(
        "use-document-name-constraints",
        |p| p.host_key.extensions.push((NAME_CONSTRAINTS, true, NAMES.to_vec())),
        AS_IS,
        "CriticalExtension",
        "2.5.29.30",
    ),
    // The signing key ends the X.509 path: no CA follows the intermediate.
    Row(
        "use-pathlen-0-above-signer",
        |p| p.intermediate.basic_constraints = Some((true, true, Some(0))),
        AS_IS,
        "-",
        OK,
    ),
    // A directory name that is not IBM's is permitted below: CN=x.
    Row(
        "use-name-constraints-above",
        |p| {
            let name = common_name("x");
            let spec = CertificateSpec { subject: name, ..p.root.clone() };
            let name = spec.issue(None).unwrap().certificate.subject_name().to_der().unwrap();
            let wrapped = |tag: u8, inner: &[u8]| [&[tag, inner.len() as u8][..], inner].concat();
            let constraints = wrapped(0x30, &wrapped(0xa0, &wrapped(0x30, &wrapped(0xa4, &name))));
            p.intermediate.extensions.push((NAME_CONSTRAINTS, true, constraints));
        },
        AS_IS,
        "Chain",
        "(level 0 of the chain): permitted subtree violation",
    ),
];
