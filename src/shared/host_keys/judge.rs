//! The verdict over the chain, and over each document, with all that it was made of.

use crate::System;
use crate::shared::host_keys::crl_lookup::{CrlLookup, Places};
use anyhow::Context;
use hostkey::{Chain, Error, Evidence, HostKeyDocument, TrustedHostKey, Verifier};
use std::path::Path;
use std::time::UNIX_EPOCH;
use uvtypes::text::shown_path;

const FAILED: &str = "Host-key verification failed";

/// A verdict, with the evidence that it was made of. Drawing and bundling show and write this, and nothing else.
pub(crate) struct Judged {
    pub(super) evidence: Evidence,
    /// With the CRLs that were found; or why there is no chain.
    pub(super) chain: Option<Chain>,
    verifier: Result<Verifier, Error>,
}

impl Judged {
    /// Builds the chain, looks for CRLs that it and those of `documents` need that hold so far, and judges.
    pub(super) fn new(
        evidence: Evidence,
        documents: &[&HostKeyDocument],
        places: Places,
        system: &mut System,
    ) -> anyhow::Result<Self> {
        let now = (system.now)().duration_since(UNIX_EPOCH).context("The clock is set before 1970")?.as_secs();
        let now = i64::try_from(now).context("The clock is set too late")?;
        let mut chain = match Chain::build(&evidence, now) {
            Ok(chain) => chain,
            Err(error) => return Ok(Self { evidence, chain: None, verifier: Err(error) }),
        };
        let failures = CrlLookup::new(places, now, system)?.complete(&mut chain, documents)?;
        let verifier = Verifier::of_chain(chain.clone(), failures);
        Ok(Self { evidence, chain: Some(chain), verifier })
    }

    /// The verifier, if the chain holds.
    pub(crate) fn verifier(&self) -> Result<&Verifier, &Error> {
        self.verifier.as_ref()
    }

    /// Why the chain does not hold, if so.
    pub(crate) fn into_failure(self) -> Option<anyhow::Error> {
        self.verifier.err().map(|error| anyhow::Error::new(error).context(FAILED))
    }

    /// Whether a document may be used, or in words why not.
    pub(crate) fn verdict(&self, document: &HostKeyDocument) -> Result<(), String> {
        let verifier = self.verifier.as_ref().map_err(|error| format!("{FAILED}: {error}"))?;
        verifier.verify(document).map(drop).map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    }

    /// The host key of a document that may be used.
    pub(super) fn verify(&self, path: &Path, document: &HostKeyDocument) -> anyhow::Result<TrustedHostKey> {
        let verifier = match &self.verifier {
            Ok(verifier) => verifier,
            Err(error) => anyhow::bail!("{FAILED}: {error}"),
        };
        verifier.verify(document).with_context(|| format!("{FAILED}: '{}'", shown_path(path)))
    }
}
