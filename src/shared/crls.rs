//! CRLs from the addresses that certificates name, by way of a cache.

use crate::shared::system::System;
use hostkey::{CrlCache, Source, crl_distribution_points, current_crls};
use openssl::x509::{X509, X509Crl};
use std::collections::BTreeMap;

/// CRLs that were found, and addresses that gave none.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) crls: Vec<Source<X509Crl>>,
    /// By address: why.
    pub(crate) failures: BTreeMap<String, String>,
    /// Something came from the cache.
    pub(crate) cached: bool,
}

/// Where CRLs may be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Places {
    /// In the cache alone.
    Cache,
    /// In the cache, and for what it does not have, on the network.
    CacheThenNetwork,
    /// On the network alone: the cache holds something that does not verify.
    Network,
}

/// Looks for a current CRL for each of `certificates`: one address after the other until one has it.
pub(crate) fn gather(certificates: &[&X509], places: Places, unix_time: i64, system: &mut System) -> Gathered {
    let cache = system.cache.clone().map(|folder| CrlCache::new(folder.join("crl")));
    let mut gathered = Gathered::default();
    let mut answers = BTreeMap::new();
    for certificate in certificates {
        for url in crl_distribution_points(certificate) {
            if !answers.contains_key(&url) {
                let cached = cache.as_ref().filter(|_| places != Places::Network).and_then(|cache| cache.load(&url));
                let cached = cached.filter(|answer| !current_crls(answer, certificate, unix_time).is_empty());
                let answer = match (cached, places) {
                    (Some(answer), _) => {
                        gathered.cached = true;
                        Some(answer)
                    }
                    (None, Places::Cache) => None,
                    (None, _) => download(&url, cache.as_ref(), &mut gathered.failures, system),
                };
                answers.insert(url.clone(), answer);
            }
            let Some(Some(answer)) = answers.get(&url) else { continue };
            let crls = current_crls(answer, certificate, unix_time);
            if crls.is_empty() {
                let reason = "the answer holds no current CRL of the issuer".to_owned();
                gathered.failures.entry(url).or_insert(reason);
                continue;
            }
            gathered.crls.extend(crls.into_iter().map(|item| Source { file: url.clone(), item }));
            break;
        }
    }
    for (url, reason) in &gathered.failures {
        system.info(&format!("No CRL from {url}: {reason}"));
    }
    gathered
}

#[cfg(feature = "network")]
fn download(
    url: &str,
    cache: Option<&CrlCache>,
    failures: &mut BTreeMap<String, String>,
    system: &mut System,
) -> Option<Vec<u8>> {
    use crate::shared::http::{Client, Limits};
    use std::time::Duration;
    /// CRLs of public authorities have some 100 KiB; their servers answer at once.
    const LIMITS: Limits = Limits { time: Duration::from_secs(5), size: 16 << 20, redirects: 5 };
    system.debug(&format!("Downloading the CRL from {url}"));
    match Client::new("pvtools-crl", LIMITS).get(url) {
        Ok(answer) => {
            if let Some(Err(error)) = cache.map(|cache| cache.store(url, &answer.body)) {
                system.info(&format!("The CRL from {url} cannot be kept: {error}"));
            }
            // What an answer is worth, its content says: some servers give a good CRL a bad status.
            Some(answer.body)
        }
        Err(error) => {
            failures.insert(url.to_owned(), format!("{:#}", anyhow::Error::new(error)));
            None
        }
    }
}

#[cfg(not(feature = "network"))]
fn download(
    url: &str,
    _: Option<&CrlCache>,
    failures: &mut BTreeMap<String, String>,
    _: &mut System,
) -> Option<Vec<u8>> {
    failures.insert(url.to_owned(), "this program was built without network code".to_owned());
    None
}
