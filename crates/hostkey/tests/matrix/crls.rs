//! What is wrong with CRLs.

use crate::situation::*;
use pvsim::pki::{CrlSpec, DAY, Reason, common_name, signing_key_name};

pub(crate) const ROWS: &[Row] = &[
    Row("lax-partial-crl", |p| p.signing_key_crl.only_authorities = true, AS_IS, "NoCrl", "unknown critical extension"),
    Row(
        "lax-critical-crl",
        |p| p.signing_key_crl.unknown_critical = true,
        AS_IS,
        "NoCrl",
        "unknown critical extension (1.3.6.1.4.1.99999.2)",
    ),
    Row(
        "chain-inter-no-crl-sign",
        |p| p.intermediate.key_usage = Some([true, false, false]),
        AS_IS,
        "ChainNoCrlSigner",
        "(level 0 of the chain) is revoked cannot be known: 'CN=pvtools test intermediate CA' may not sign CRLs",
    ),
    Row(
        "chain-crl-none",
        SOUND,
        |_, _, f| f.crls.clear(),
        "ChainNoCrl",
        "(level 0 of the chain) is revoked is not known: no CRL of 'CN=pvtools test intermediate CA' was given",
    ),
    Row(
        "chain-crl-no-inter",
        SOUND,
        |_, _, f| drop(f.crls.remove(1)),
        "ChainNoCrl",
        "no CRL of 'CN=pvtools test intermediate CA' was given",
    ),
    Row(
        "chain-crl-no-root",
        SOUND,
        |_, _, f| drop(f.crls.remove(0)),
        "ChainNoCrl",
        "(level 1 of the chain) is revoked is not known: no CRL of 'CN=pvtools test root CA' was given",
    ),
    Row(
        "chain-crl-inter-expired",
        |p| p.intermediate_crl = expired(&p.intermediate_crl),
        AS_IS,
        "ChainNoCrl",
        "'inter.crl' expired on",
    ),
    Row(
        "chain-crl-inter-early",
        |p| p.intermediate_crl.last_update = now() + DAY,
        AS_IS,
        "ChainNoCrl",
        "'inter.crl' is not valid before",
    ),
    Row(
        "chain-crl-inter-forged",
        SOUND,
        |plan, pki, f| {
            let mut fake = pki.intermediate.clone();
            fake.key = POOL.other.clone();
            f.crls[1].1 = pem(&plan.intermediate_crl.sign(&fake).unwrap());
        },
        "ChainNoCrl",
        "'inter.crl' has a signature that does not hold",
    ),
    Row("chain-crl-root-expired", |p| p.root_crl = expired(&p.root_crl), AS_IS, "ChainNoCrl", "'root.crl' expired on"),
    Row(
        "chain-crl-root-revoked",
        |p| p.root_crl.revoked = vec![(1, Reason::Unspecified)],
        AS_IS,
        "ChainRevoked",
        "(level 2 of the chain) is revoked: since",
    ),
    Row(
        "chain-crl-inter-critical",
        |p| p.intermediate_crl.unknown_critical = true,
        AS_IS,
        "ChainNoCrl",
        "'inter.crl' has an unknown critical extension",
    ),
    Row(
        "no-crl-none",
        SOUND,
        |_, _, f| drop(f.crls.pop()),
        "NoCrl",
        "whether it is revoked is not known: no CRL of 'C=US, ",
    ),
    Row("no-crl-expired", |p| p.signing_key_crl = expired(&p.signing_key_crl), AS_IS, "NoCrl", "'ibm.crl' expired on"),
    Row(
        "no-crl-early",
        |p| p.signing_key_crl.last_update = now() + DAY,
        AS_IS,
        "NoCrl",
        "'ibm.crl' is not valid before",
    ),
    Row(
        "no-crl-no-next",
        |p| p.signing_key_crl.next_update = None,
        AS_IS,
        "NoCrl",
        "'ibm.crl' does not say until when it is valid",
    ),
    Row(
        "no-crl-forged",
        SOUND,
        |plan, pki, f| {
            let mut fake = pki.signing_key.clone();
            fake.key = POOL.other.clone();
            f.crls[2].1 = pem(&plan.signing_key_crl.sign(&fake).unwrap());
        },
        "NoCrl",
        "'ibm.crl' has a signature that does not hold",
    ),
    Row(
        "no-crl-bad-hash",
        |p| p.signing_key_crl.broken = true,
        AS_IS,
        "NoCrl",
        "'ibm.crl' has a signature that does not hold",
    ),
    Row(
        "no-crl-akid",
        |p| p.signing_key_crl.authority_key_id = Some(Some(vec![1; 20])),
        AS_IS,
        "NoCrl",
        "'ibm.crl' names another key as its issuer's",
    ),
    Row(
        "no-crl-issuer",
        |p| p.signing_key_crl.issuer = common_name("Someone Else"),
        AS_IS,
        "NoCrl",
        "no CRL of 'C=US, ",
    ),
    Row(
        "no-crl-armonk-for-pok",
        |p| p.signing_key_crl.issuer = signing_key_name("Armonk"),
        AS_IS,
        "NoCrl",
        "no CRL of 'C=US, ",
    ),
    Row(
        "no-crl-first-name-wins",
        |p| {
            armonk(p);
            p.signing_key_crl = expired(&p.signing_key_crl);
        },
        |_, pki, f| {
            let good = CrlSpec::new(signing_key_name("Poughkeepsie"), now());
            f.crls.push(("pok.crl", signer_crl(pki, good)));
        },
        "-",
        OK,
    ),
    Row("no-crl-odd-order", |p| p.signing_key_crl.issuer.reverse(), AS_IS, "NoCrl", "no CRL of 'C=US, "),
    // Situations beyond those that the reference was tried with.
    Row(
        "own-crl-sha1",
        |p| p.signing_key_crl.sha1 = true,
        AS_IS,
        "NoCrl",
        "'ibm.crl' is signed with sha1, which is too weak",
    ),
    Row(
        "own-chain-crl-sha1",
        |p| p.root_crl.sha1 = true,
        AS_IS,
        "ChainNoCrl",
        "'root.crl' is signed with sha1, which is too weak",
    ),
    Row(
        "own-distribution-point-named",
        |p| p.host_key.distribution_points = vec![vec!["http://crl.example/ibm.crl".to_owned()]],
        |_, _, f| drop(f.crls.pop()),
        "NoCrl",
        "it can be downloaded from http://crl.example/ibm.crl",
    ),
];
