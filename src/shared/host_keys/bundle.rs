//! All that a verdict took, to have the same again where there is no network.

use crate::System;
use crate::shared::host_keys::{HostKeyArgs, Judged};
use hostkey::{Link, Roots};
use openssl::x509::X509;

/// Files in PEM that together verify host-key documents without a network.
pub(crate) struct Bundle {
    pub(crate) documents: Vec<Vec<u8>>,
    /// The signing key and intermediates of the chain.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// Those that can be used, of all in the chain.
    pub(crate) crls: Vec<Vec<u8>>,
    /// The root of the chain; none when those of the system are trusted.
    pub(crate) root: Option<Vec<u8>>,
}

impl Bundle {
    /// Verifies the documents of `args` and gives all that this took.
    ///
    /// # Errors
    /// When a file cannot be used, the chain does not hold, or a document is refused.
    pub(crate) fn collect(args: &HostKeyArgs, system: &mut System) -> anyhow::Result<Self> {
        let documents = args.load_documents()?;
        let only: Vec<_> = documents.iter().map(|(_, document)| document).collect();
        let judged = args.judge(&only, system)?;
        for (path, document) in &documents {
            judged.verify(path, document)?;
        }
        Self::of(&judged, only.iter().map(|document| document.certificate()))
    }

    fn of<'a>(judged: &Judged, documents: impl Iterator<Item = &'a X509>) -> anyhow::Result<Self> {
        let links = judged.chain.as_ref().map(|chain| chain.links()).unwrap_or_default();
        let pem = |link: &Link| -> anyhow::Result<Vec<u8>> { Ok(link.certificate().item.to_pem()?) };
        let (root, certificates) = match links.split_last() {
            Some((root, others)) => (Some(pem(root)?), others),
            None => (None, links),
        };
        let mut crls: Vec<Vec<u8>> = Vec::new();
        for crl in links.iter().rev().flat_map(Link::usable_crls) {
            let crl = crl.item.to_pem()?;
            if !crls.contains(&crl) {
                crls.push(crl);
            }
        }
        Ok(Self {
            documents: documents.map(|document| Ok(document.to_pem()?)).collect::<anyhow::Result<_>>()?,
            certificates: certificates.iter().map(pem).collect::<anyhow::Result<_>>()?,
            crls,
            root: root.filter(|_| matches!(judged.evidence.roots, Roots::Given(_))),
        })
    }
}
