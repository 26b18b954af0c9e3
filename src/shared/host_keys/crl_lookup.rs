//! CRLs from the addresses that certificates name, by way of a cache.

use crate::System;
use crate::shared::host_keys::crl_cache::{CrlCache, Key};
#[cfg(feature = "network")]
use hostkey::CertificateFile;
use hostkey::{Chain, CrlStanding, HostKeyDocument, Sourced, distribution_points};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::x509::{X509, X509Crl};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uvtypes::text::shown;

/// Where CRLs may be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// In the cache alone.
    Cache,
    /// In the cache, and on the network where no usable one is at hand.
    CacheThenNetwork,
    /// In the cache and on the network.
    Network,
}

/// The CRLs of one answer, or why there are none.
type Answer = Result<Vec<Arc<X509Crl>>, String>;

/// One search for CRLs.
pub(super) struct CrlLookup<'s> {
    places: Places,
    cache: Option<CrlCache>,
    network: Network,
    /// Whatever was asked for is not asked for again.
    answers: BTreeMap<String, Answer>,
    /// By address: why no CRL could be had there.
    failures: BTreeMap<String, String>,
    now: SystemTime,
    system: &'s mut System,
}

impl<'s> CrlLookup<'s> {
    /// A search as of `now`, in seconds since 1970.
    ///
    /// # Errors
    /// When the environment's proxy cannot be used.
    pub(super) fn new(places: Places, now: i64, system: &'s mut System) -> anyhow::Result<Self> {
        let cache = match system.cache.as_deref().map(CrlCache::open) {
            Some(Err(error)) => {
                system.info(&format!("No CRLs are kept: the cache cannot be used: {error}"));
                None
            }
            cache => cache.and_then(Result::ok),
        };
        let now = UNIX_EPOCH + Duration::from_secs(now.unsigned_abs());
        let (answers, failures) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { places, cache, network: Network::new(places)?, answers, failures, now, system })
    }

    /// Looks for CRLs for each certificate of `chain`, and for each of `documents` that passes all other checks: nobody's
    /// address is asked but one in a certificate that a trusted key signed. Gives the addresses that had none, and why.
    pub(super) fn complete(
        mut self,
        chain: &mut Chain,
        documents: &[&HostKeyDocument],
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let of_chain = chain.links().iter().enumerate();
        let mut wanted: Vec<(usize, X509)> =
            of_chain.map(|(depth, link)| (chain.issuer_depth(depth), link.certificate().item.clone())).collect();
        let sound = documents.iter().filter(|document| chain.check(document).is_ok());
        wanted.extend(sound.map(|document| (0, document.certificate().clone())));
        for (issuer, certificate) in &wanted {
            self.look(chain, *issuer, certificate)?;
        }
        for (url, reason) in &self.failures {
            self.system.info(&format!("No CRL from {}: {reason}", shown(url)));
        }
        Ok(self.failures)
    }

    /// Looks for a CRL that covers `certificate`: one address after the other until one has it.
    fn look(&mut self, chain: &mut Chain, issuer: usize, certificate: &X509) -> anyhow::Result<()> {
        let is_covered = |chain: &Chain| chain.links().get(issuer).is_some_and(|link| !link.usable_crls().is_empty());
        let addresses = distribution_points(certificate);
        for url in &addresses {
            self.look_in_cache(chain, issuer, url)?;
        }
        if self.places == Places::Cache || (self.places == Places::CacheThenNetwork && is_covered(chain)) {
            return Ok(());
        }
        for url in &addresses {
            if self.look_on_network(chain, issuer, url)? {
                break;
            }
        }
        Ok(())
    }

    fn look_in_cache(&mut self, chain: &mut Chain, issuer: usize, url: &str) -> anyhow::Result<()> {
        let Some(cache) = &self.cache else { return Ok(()) };
        let bytes = match cache.load(&key(chain, issuer, url)?) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.system.info(&format!("The CRL that was kept of {} is not used: {error}", shown(url)));
                None
            }
        };
        // Whatever is wrong with it: it is as if it were not there.
        if let Some(Ok(crl)) = bytes.map(|bytes| X509Crl::from_der(&bytes)) {
            chain.add_crl(issuer, &Sourced { origin: shown(url), item: Arc::new(crl) })?;
        }
        Ok(())
    }

    /// Whether there is a usable CRL at `url`.
    fn look_on_network(&mut self, chain: &mut Chain, issuer: usize, url: &str) -> anyhow::Result<bool> {
        if !self.answers.contains_key(url) {
            let answer = self.network.crls(url, self.system);
            self.answers.insert(url.to_owned(), answer);
        }
        let crls = match self.answers.get(url) {
            Some(Ok(crls)) => crls.clone(),
            Some(Err(reason)) => {
                self.failures.insert(url.to_owned(), reason.clone());
                return Ok(false);
            }
            None => return Ok(false),
        };
        let (mut found, mut reason) = (false, "the answer holds no current CRL of the issuer".to_owned());
        for item in crls {
            let crl = Sourced { origin: shown(url), item };
            match chain.add_crl(issuer, &crl)? {
                CrlStanding::Usable => {
                    found = true;
                    self.keep(&key(chain, issuer, url)?, &crl.item, url);
                }
                CrlStanding::Unusable(fault) => {
                    reason = format!("the answer holds no current CRL of the issuer: it {fault}")
                }
                CrlStanding::Unrelated => {}
            }
        }
        if !found {
            self.failures.entry(url.to_owned()).or_insert(reason);
        }
        Ok(found)
    }

    /// Keeps a CRL that was verified for its issuer, unless a newer one is kept already.
    fn keep(&mut self, key: &Key, crl: &X509Crl, url: &str) {
        let Some(cache) = &self.cache else { return };
        let old = cache.load(key).ok().flatten().and_then(|bytes| X509Crl::from_der(&bytes).ok());
        if old.is_some_and(|old| old.last_update() > crl.last_update()) {
            return;
        }
        let Some((next_update, der)) = crl.next_update().and_then(time).zip(crl.to_der().ok()) else { return };
        if let Err(error) = cache.store(key, &der, next_update, self.now) {
            self.system.info(&format!("The CRL from {} cannot be kept: {error}", shown(url)));
        }
    }
}

fn key(chain: &Chain, issuer: usize, url: &str) -> anyhow::Result<Key> {
    let issuer = chain.links().get(issuer).map(|link| link.certificate().item.public_key()?.public_key_to_der());
    Ok(Key::new(url, &issuer.transpose()?.unwrap_or_default()))
}

fn time(time: &Asn1TimeRef) -> Option<SystemTime> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let seconds = u64::from(since.days.unsigned_abs()) * 86_400 + u64::from(since.secs.unsigned_abs());
    (since.days >= 0 && since.secs >= 0).then_some(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The way to the network, with limits for the whole command.
#[cfg(feature = "network")]
struct Network {
    client: Option<crate::shared::http::Client>,
    end: std::time::Instant,
    downloads: usize,
    bytes: u64,
}

#[cfg(feature = "network")]
impl Network {
    /// For one address. CRLs of public authorities have some 100 KiB; their servers answer at once.
    const LIMITS: crate::shared::http::Limits =
        crate::shared::http::Limits { time: Duration::from_secs(5), size: super::crl_cache::MAX_CRL, redirects: 5 };
    /// For all addresses together.
    const TIME: Duration = Duration::from_secs(30);
    const DOWNLOADS: usize = 32;
    const BYTES: u64 = 64 << 20;

    fn new(places: Places) -> anyhow::Result<Self> {
        use crate::shared::http::{Client, refuse_broken_proxy};
        let client = match places {
            Places::Cache => None,
            Places::CacheThenNetwork | Places::Network => {
                refuse_broken_proxy()?;
                Some(Client::new("pvtools-crl", Self::LIMITS))
            }
        };
        Ok(Self { client, end: std::time::Instant::now() + Self::TIME, downloads: 0, bytes: 0 })
    }

    fn crls(&mut self, url: &str, system: &mut System) -> Answer {
        let left = self.end.saturating_duration_since(std::time::Instant::now());
        let Some(client) = &self.client else { return Err("not asked".to_owned()) };
        if left.is_zero() {
            return Err(format!("not asked: the {} seconds for all downloads are over", Self::TIME.as_secs()));
        }
        if self.downloads >= Self::DOWNLOADS {
            return Err(format!("not asked: {} addresses were asked already", Self::DOWNLOADS));
        }
        let room = Self::BYTES.saturating_sub(self.bytes);
        if room == 0 {
            return Err(format!("not asked: {} bytes for all downloads are used up", Self::BYTES));
        }
        self.downloads += 1;
        let line = format!("Downloading the CRL from {}", shown(url));
        if system.stderr_is_terminal {
            system.warn(&format!("{line} ..."));
        } else {
            system.debug(&line);
        }
        let size = room.min(Self::LIMITS.size);
        let answer = client.get_within(url, left.min(Self::LIMITS.time), size).map_err(|error| {
            if matches!(error, crate::shared::http::Error::TooLarge { .. }) {
                self.bytes += size;
            }
            shown(&format!("{:#}", anyhow::Error::new(error)))
        })?;
        self.bytes += answer.body.len() as u64;
        // What an answer is worth, its content says: some servers give a good CRL a bad status.
        let crls = CertificateFile::parse(&answer.body).map(|file| file.crls).unwrap_or_default();
        match answer.oddity() {
            Some(oddity) if crls.is_empty() => Err(oddity),
            _ => Ok(crls),
        }
    }
}

/// No way to the network.
#[cfg(not(feature = "network"))]
struct Network;

#[cfg(not(feature = "network"))]
impl Network {
    fn new(_: Places) -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn crls(&mut self, _: &str, _: &mut System) -> Answer {
        Err("this program was built without network code".to_owned())
    }
}
