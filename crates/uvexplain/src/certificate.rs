//! Certificates and certificate revocation lists, PEM or DER.

use crate::report::{Field, FileKind, KnownHostKey, Report, Value};
use hostkey::{HostKeyDocument, PemKind, pem_blocks, show_name};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::x509::{X509, X509Crl};

/// How many revoked serial numbers are shown.
const SHOWN_SERIALS: usize = 20;

/// `None` when there is neither a certificate nor a CRL in `bytes`.
pub(crate) fn explain(bytes: &[u8], known: &[KnownHostKey]) -> Option<Report> {
    let mut fields = Vec::new();
    let mut warnings = Vec::new();
    let of_kind = |kind| pem_blocks(bytes).filter(move |block| block.kind == kind).map(|block| block.whole);
    let count = of_kind(PemKind::Certificate).count() + of_kind(PemKind::Crl).count();
    if count == 0 {
        match (X509::from_der(bytes), X509Crl::from_der(bytes)) {
            (Ok(certificate), _) => describe(&mut fields, &mut warnings, "", certificate_fields(&certificate, known)),
            (_, Ok(crl)) => describe(&mut fields, &mut warnings, "", crl_fields(&crl)),
            _ => return None,
        }
    }
    for (number, block) in of_kind(PemKind::Certificate).enumerate() {
        let prefix = if count > 1 { format!("certificate {}: ", number + 1) } else { String::new() };
        let parsed =
            X509::from_pem(block.unwrap_or_default()).and_then(|certificate| certificate_fields(&certificate, known));
        describe(&mut fields, &mut warnings, &prefix, parsed);
    }
    for (number, block) in of_kind(PemKind::Crl).enumerate() {
        let prefix = if count > 1 { format!("CRL {}: ", number + 1) } else { String::new() };
        let parsed = X509Crl::from_pem(block.unwrap_or_default()).and_then(|crl| crl_fields(&crl));
        describe(&mut fields, &mut warnings, &prefix, parsed);
    }
    Some(Report { kind: FileKind::Certificates, size: bytes.len() as u64, fields, warnings })
}

type Facts = Vec<(&'static str, String)>;

fn describe(fields: &mut Vec<Field>, warnings: &mut Vec<String>, prefix: &str, facts: Result<Facts, ErrorStack>) {
    match facts {
        Ok(facts) => fields.extend(facts.into_iter().map(|(name, text)| Field {
            offset: None,
            size: None,
            name: format!("{prefix}{name}"),
            value: Value::Text(text),
            meaning: String::new(),
        })),
        Err(_) => warnings.push(format!("{prefix}it cannot be parsed: the file is damaged")),
    }
}

fn certificate_fields(certificate: &X509, known: &[KnownHostKey]) -> Result<Facts, ErrorStack> {
    let key = certificate.public_key()?;
    let curve = key.ec_key().ok().and_then(|ec| ec.group().curve_name()).and_then(|nid| nid.long_name().ok());
    let kind = curve.map_or_else(|| format!("{:?}", key.id()), |curve| format!("EC {curve}"));
    let host_key = HostKeyDocument::from_certificate(certificate.clone()).ok();
    let role = match (&host_key, hostkey::is_signing_key(certificate)) {
        (_, true) => "IBM Z signing key",
        (Some(_), false) => "host-key document",
        (None, false) => "certificate",
    };
    let mut facts = vec![
        ("what", role.to_owned()),
        ("subject", show_name(certificate.subject_name())),
        ("issuer", show_name(certificate.issuer_name())),
        ("serial number", certificate.serial_number().to_bn()?.to_hex_str()?.to_string()),
        ("valid from", certificate.not_before().to_string()),
        ("valid until", certificate.not_after().to_string()),
        ("key", format!("{kind}, {} bits", key.bits())),
        ("signature", algorithm(certificate.signature_algorithm().object().nid())),
    ];
    if let Some(id) = certificate.subject_key_id() {
        facts.push(("subject key id", hex::encode(id.as_slice())));
    }
    if let Some(id) = certificate.authority_key_id() {
        facts.push(("authority key id", hex::encode(id.as_slice())));
    }
    for point in certificate.crl_distribution_points().iter().flatten() {
        for name in point.distpoint().and_then(|point| point.fullname()).iter().flat_map(|names| names.iter()) {
            if let Some(uri) = name.uri() {
                facts.push(("CRL distribution point", uri.to_owned()));
            }
        }
    }
    if let Some(document) = host_key {
        let hash = document.hash();
        let matched = known.iter().find(|known| known.hash == hash);
        let matched = matched.map(|known| format!(" (host key of '{}')", known.name)).unwrap_or_default();
        facts.push(("host-key hash", format!("{hash}{matched}")));
    }
    Ok(facts)
}

fn crl_fields(crl: &X509Crl) -> Result<Facts, ErrorStack> {
    let mut facts = vec![
        ("what", "certificate revocation list (CRL)".to_owned()),
        ("issuer", show_name(crl.issuer_name())),
        ("last update", crl.last_update().to_string()),
        ("next update", crl.next_update().map_or_else(|| "not stated".to_owned(), ToString::to_string)),
    ];
    let revoked = crl.get_revoked();
    facts.push(("revoked certificates", revoked.map_or(0, |revoked| revoked.len()).to_string()));
    for entry in revoked.iter().flat_map(|revoked| revoked.iter()).take(SHOWN_SERIALS) {
        let serial = entry.serial_number().to_bn()?.to_hex_str()?.to_string();
        facts.push(("revoked", format!("{serial} since {}", entry.revocation_date())));
    }
    Ok(facts)
}

fn algorithm(nid: Nid) -> String {
    nid.long_name().unwrap_or("unknown algorithm").to_owned()
}
