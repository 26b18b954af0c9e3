//! A throw-away public-key infrastructure like that of IBM Z host keys, with every way to get it wrong.
//!
//! ```text
//! root CA ─ intermediate CA ─ IBM Z signing key ─ host-key document
//!    └─ CRL       └─ CRL            └─ CRL
//! ```
//!
//! [`Pki::new`] makes a good one. Tests change the [`CertificateSpec`]s and [`CrlSpec`]s of a [`Plan`] first.
//! Everything here is for tests: nobody else trusts these keys.

mod crl;
mod der;

pub use crl::{CrlSpec, Reason};

use crate::{Error, HostKey};
use openssl::asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Crl, X509Extension, X509Name, X509NameBuilder};

/// Seconds of a day.
pub const DAY: i64 = 24 * 60 * 60;

/// Entries of a name, in their order.
pub type Entries = Vec<(Nid, String)>;

/// The subject of an IBM Z signing key in `town`.
pub fn signing_key_name(town: &str) -> Entries {
    let company = "International Business Machines Corporation";
    let entries = [
        (Nid::COUNTRYNAME, "US"),
        (Nid::STATEORPROVINCENAME, "New York"),
        (Nid::LOCALITYNAME, town),
        (Nid::ORGANIZATIONNAME, company),
        (Nid::ORGANIZATIONALUNITNAME, "IBM Z Host Key Signing Service"),
        (Nid::COMMONNAME, company),
    ];
    entries.map(|(nid, value)| (nid, value.to_owned())).to_vec()
}

/// A name of one entry.
pub fn common_name(name: &str) -> Entries {
    vec![(Nid::COMMONNAME, name.to_owned())]
}

/// The DER name with these entries.
pub(crate) fn x509_name(entries: &Entries) -> Result<X509Name, Error> {
    let mut name = X509NameBuilder::new()?;
    for (nid, value) in entries {
        name.append_entry_by_nid(*nid, value)?;
    }
    Ok(name.build())
}

/// What a certificate says of its issuer's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorityId {
    /// Nothing.
    Absent,
    /// The issuer's subject key identifier.
    KeyId,
    /// That, and the issuer's own issuer and serial number.
    Full,
    /// These bytes, as DER of the extension.
    Raw(Vec<u8>),
}

/// A certificate to be issued.
#[derive(Clone)]
pub struct CertificateSpec {
    /// Whose it is.
    pub subject: Entries,
    /// Who is said to have issued it; the real issuer's subject if not given.
    pub issuer: Option<Entries>,
    /// The key it is about.
    pub key: PKey<Private>,
    /// Serial number.
    pub serial: u32,
    /// Valid from, in seconds since 1970.
    pub not_before: i64,
    /// Valid until.
    pub not_after: i64,
    /// Basic constraints: whether critical, whether a CA, how many CAs may follow.
    pub basic_constraints: Option<(bool, bool, Option<u32>)>,
    /// Key usage: may sign certificates, CRLs, agree on keys.
    pub key_usage: Option<[bool; 3]>,
    /// Has a subject key identifier.
    pub subject_key_id: bool,
    /// What it says of the issuer's key.
    pub authority_id: AuthorityId,
    /// CRL distribution points, each with its addresses.
    pub distribution_points: Vec<Vec<String>>,
    /// Has a critical extension that nobody knows.
    pub unknown_critical: bool,
    /// Further extensions: object identifier, whether critical, DER of the value.
    pub extensions: Vec<(&'static str, bool, Vec<u8>)>,
    /// The hash of the signature.
    pub digest: MessageDigest,
}

impl CertificateSpec {
    /// A sound CA certificate, valid from yesterday for a year.
    pub fn authority(subject: Entries, key: PKey<Private>, serial: u32, now: i64) -> Self {
        Self {
            subject,
            issuer: None,
            key,
            serial,
            not_before: now - DAY,
            not_after: now + 365 * DAY,
            basic_constraints: Some((true, true, None)),
            key_usage: Some([true, true, false]),
            subject_key_id: true,
            authority_id: AuthorityId::KeyId,
            distribution_points: Vec::new(),
            unknown_critical: false,
            extensions: Vec::new(),
            digest: MessageDigest::sha256(),
        }
    }

    /// A sound certificate for a key that signs no certificates.
    pub fn end(subject: Entries, key: PKey<Private>, serial: u32, now: i64) -> Self {
        Self { basic_constraints: None, key_usage: None, ..Self::authority(subject, key, serial, now) }
    }

    /// Issues the certificate. Self-signed without an issuer.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn issue(&self, issuer: Option<&Authority>) -> Result<Authority, Error> {
        let mut builder = X509Builder::new()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*Asn1Integer::from_bn(&*BigNum::from_u32(self.serial)?)?)?;
        builder.set_not_before(&*Asn1Time::from_unix(self.not_before)?)?;
        builder.set_not_after(&*Asn1Time::from_unix(self.not_after)?)?;
        builder.set_subject_name(&*x509_name(&self.subject)?)?;
        match (&self.issuer, issuer) {
            (Some(entries), _) => builder.set_issuer_name(&*x509_name(entries)?)?,
            (None, Some(issuer)) => builder.set_issuer_name(issuer.certificate.subject_name())?,
            (None, None) => builder.set_issuer_name(&*x509_name(&self.subject)?)?,
        }
        builder.set_pubkey(&self.key)?;
        if let Some((critical, ca, path_length)) = self.basic_constraints {
            let mut constraints = BasicConstraints::new();
            if critical {
                constraints.critical();
            }
            if ca {
                constraints.ca();
            }
            if let Some(length) = path_length {
                constraints.pathlen(length);
            }
            builder.append_extension(constraints.build()?)?;
        }
        if let Some([certificates, crls, agreement]) = self.key_usage {
            let mut usage = KeyUsage::new();
            usage.critical();
            if certificates {
                usage.key_cert_sign();
            }
            if crls {
                usage.crl_sign();
            }
            if agreement {
                usage.key_agreement();
            }
            if ![certificates, crls, agreement].contains(&true) {
                usage.digital_signature();
            }
            builder.append_extension(usage.build()?)?;
        }
        let issuer_certificate = issuer.map(|issuer| &*issuer.certificate);
        if self.subject_key_id {
            let id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
            builder.append_extension(id)?;
        }
        match &self.authority_id {
            AuthorityId::Absent => {}
            AuthorityId::KeyId | AuthorityId::Full => {
                let mut id = AuthorityKeyIdentifier::new();
                id.keyid(false);
                if self.authority_id == AuthorityId::Full {
                    id.issuer(true);
                }
                let id = id.build(&builder.x509v3_context(issuer_certificate, None));
                // A self-signed certificate, or one of an issuer without an identifier, has none.
                if let Ok(id) = id {
                    builder.append_extension(id)?;
                }
            }
            AuthorityId::Raw(der) => builder.append_extension(extension("2.5.29.35", false, der)?)?,
        }
        if !self.distribution_points.is_empty() {
            let points = der::distribution_points(&self.distribution_points);
            builder.append_extension(extension("2.5.29.31", false, &points)?)?;
        }
        if self.unknown_critical {
            builder.append_extension(extension("1.3.6.1.4.1.99999.1", true, &der::octets(b"?"))?)?;
        }
        for (oid, critical, der) in &self.extensions {
            builder.append_extension(extension(oid, *critical, der)?)?;
        }
        builder.sign(issuer.map_or(&self.key, |issuer| &issuer.key), self.digest)?;
        Ok(Authority { certificate: builder.build(), key: self.key.clone() })
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Authority {
    /// The certificate.
    pub certificate: X509,
    /// Its private key.
    pub key: PKey<Private>,
}

/// Everything that is needed to judge one host-key document, not yet issued.
#[derive(Clone)]
pub struct Plan {
    /// The root CA.
    pub root: CertificateSpec,
    /// The intermediate CA.
    pub intermediate: CertificateSpec,
    /// The IBM Z signing key.
    pub signing_key: CertificateSpec,
    /// The host-key document.
    pub host_key: CertificateSpec,
    /// The root's CRL.
    pub root_crl: CrlSpec,
    /// The intermediate's CRL.
    pub intermediate_crl: CrlSpec,
    /// The signing key's CRL.
    pub signing_key_crl: CrlSpec,
}

impl Plan {
    /// A sound one around `now`, in seconds since 1970.
    pub fn new(keys: &Keys, now: i64) -> Self {
        let root = common_name("pvtools test root CA");
        let intermediate = common_name("pvtools test intermediate CA");
        let signing_key = signing_key_name("Poughkeepsie");
        Self {
            root_crl: CrlSpec::new(root.clone(), now),
            intermediate_crl: CrlSpec::new(intermediate.clone(), now),
            signing_key_crl: CrlSpec::new(signing_key.clone(), now),
            root: CertificateSpec::authority(root, keys.root.clone(), 1, now),
            intermediate: CertificateSpec::authority(intermediate, keys.intermediate.clone(), 2, now),
            signing_key: CertificateSpec::end(signing_key, keys.signing_key.clone(), 3, now),
            host_key: CertificateSpec {
                key_usage: Some([false, false, true]),
                digest: MessageDigest::sha512(),
                ..CertificateSpec::end(common_name("pvtools test host key"), keys.host_key.clone(), 4, now)
            },
        }
    }

    /// Issues everything.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn build(&self) -> Result<Pki, Error> {
        let root = self.root.issue(None)?;
        let intermediate = self.intermediate.issue(Some(&root))?;
        let signing_key = self.signing_key.issue(Some(&intermediate))?;
        let host_key_document = self.host_key.issue(Some(&signing_key))?.certificate;
        Ok(Pki {
            crls: [
                self.root_crl.sign(&root)?,
                self.intermediate_crl.sign(&intermediate)?,
                self.signing_key_crl.sign(&signing_key)?,
            ],
            root,
            intermediate,
            signing_key,
            host_key_document,
        })
    }
}

/// The keys of a plan. Making them takes longer than all the rest.
#[derive(Clone)]
pub struct Keys {
    /// Of the root CA.
    pub root: PKey<Private>,
    /// Of the intermediate CA.
    pub intermediate: PKey<Private>,
    /// The IBM Z signing key.
    pub signing_key: PKey<Private>,
    /// The host key, EC P-521.
    pub host_key: PKey<Private>,
}

impl Keys {
    /// Fresh ones on NIST P-384, which are made in no time.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn quick(host_key: &HostKey) -> Result<Self, Error> {
        let group = EcGroup::from_curve_name(Nid::SECP384R1)?;
        let ec = || -> Result<_, Error> { Ok(PKey::from_ec_key(EcKey::generate(&group)?)?) };
        let host_key = host_key.private_key().clone();
        Ok(Self { root: ec()?, intermediate: ec()?, signing_key: ec()?, host_key })
    }

    /// Fresh RSA keys, as the real authorities have, and a host key.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn generate() -> Result<Self, Error> {
        let rsa = || -> Result<_, Error> { Ok(PKey::from_rsa(Rsa::generate(2048)?)?) };
        let host_key = HostKey::generate()?.private_key().clone();
        Ok(Self { root: rsa()?, intermediate: rsa()?, signing_key: rsa()?, host_key })
    }
}

/// A public-key infrastructure.
pub struct Pki {
    /// The root CA.
    pub root: Authority,
    /// The intermediate CA.
    pub intermediate: Authority,
    /// The IBM Z signing key.
    pub signing_key: Authority,
    /// The host-key document.
    pub host_key_document: X509,
    /// CRLs of root, intermediate and signing key.
    pub crls: [X509Crl; 3],
}

impl Pki {
    /// A sound one around `now`, in seconds since 1970, for this machine.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn new(host_key: &HostKey, now: i64) -> Result<Self, Error> {
        Plan::new(&Keys::quick(host_key)?, now).build()
    }
}

fn extension(oid: &str, critical: bool, der: &[u8]) -> Result<X509Extension, Error> {
    let value = Asn1OctetString::new_from_bytes(der)?;
    Ok(X509Extension::new_from_der(&*Asn1Object::from_str(oid)?, critical, &value)?)
}
