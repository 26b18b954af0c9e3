//! The verdict over a host-key document, with all evidence from files: nothing is downloaded.
//!
//! Usage: `check_host_key DOCUMENT SIGNING_KEY INTERMEDIATE ROOT CRL...`

use hostkey::{CertificateFile, Evidence, HostKeyDocument, Roots, Sourced, Verifier};
use std::error::Error;
use std::io::{Write, stdout};
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [document, signing_key, intermediate, root, crls @ ..] = arguments.as_slice() else {
        return Err("usage: check_host_key DOCUMENT SIGNING_KEY INTERMEDIATE ROOT CRL...".into());
    };
    let evidence = Evidence {
        certificates: [certificates(signing_key)?, certificates(intermediate)?].concat(),
        crls: crls.iter().map(|path| self::crls(path)).collect::<Result<Vec<_>, _>>()?.concat(),
        roots: Roots::Given(certificates(root)?),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().try_into()?;
    let document = HostKeyDocument::parse(&std::fs::read(document)?)?;
    let key = Verifier::new(&evidence, now)?.verify(&document)?;
    writeln!(stdout(), "may be used: host-key hash {}", key.hash())?;
    Ok(())
}

fn certificates(path: &str) -> Result<Vec<Sourced<openssl::x509::X509>>, Box<dyn Error>> {
    let file = CertificateFile::parse(&std::fs::read(path)?)?;
    Ok(file.certificates.into_iter().map(|item| Sourced { origin: path.to_owned(), item }).collect())
}

type Crl = Sourced<std::sync::Arc<openssl::x509::X509Crl>>;

fn crls(path: &str) -> Result<Vec<Crl>, Box<dyn Error>> {
    let file = CertificateFile::parse(&std::fs::read(path)?)?;
    Ok(file.crls.into_iter().map(|item| Sourced { origin: path.to_owned(), item }).collect())
}
