//! `xtask advisories`: is any locked crate withdrawn, or known to be dangerous?
//!
//! The registry's index says which versions were withdrawn ("yanked"), which is what maintainers do with a dangerous one.
//! Written advisories are in the database of RustSec, which the registry does not have: `--database` names a checkout of it.

use anyhow::{Context, bail, ensure};
use clap::Args;
use semver::{Version, VersionReq};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

const LOCK_FILES: [&str; 3] = ["Cargo.lock", "fuzz/Cargo.lock", "compat/s390-pv/Cargo.lock"];
const INDEX: &str = "https://index.crates.io";
/// As many as connections are kept open: each new one asks for the registry's address again.
const AT_ONCE: usize = 3;
/// Names and networks fail for a moment now and then.
const TRIES: u32 = 5;

#[derive(Args)]
pub(crate) struct Options {
    /// Checkout of the advisory-db of RustSec
    #[arg(long, value_name = "DIR")]
    database: Option<PathBuf>,
    /// Index of the registry
    #[arg(long, value_name = "URL", default_value = INDEX)]
    index: String,
    /// Only say so if the registry cannot be reached
    #[arg(long)]
    if_reachable: bool,
}

/// A crate as it is locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Locked {
    name: String,
    version: Version,
}

pub(crate) fn run(options: &Options, workspace: &Path) -> anyhow::Result<()> {
    let mut locked = BTreeSet::new();
    for file in LOCK_FILES {
        let text = fs::read_to_string(workspace.join(file)).with_context(|| format!("cannot read {file}"))?;
        locked.extend(packages(&text).with_context(|| format!("cannot parse {file}"))?);
    }
    let mut findings = match withdrawn(&locked, &options.index) {
        Err(error) if options.if_reachable && error.downcast_ref::<ureq::Error>().is_some() => {
            return Ok(writeln!(io::stdout(), "not checked: {error:#}")?);
        }
        other => other?,
    };
    let advisories = match &options.database {
        Some(folder) => {
            let advisories = advisories(folder)?;
            ensure!(!advisories.is_empty(), "there is no advisory in '{}'", folder.display());
            for advisory in &advisories {
                findings.extend(locked.iter().filter(|package| advisory.concerns(package)).map(|package| {
                    format!("{} {}: {} {}", package.name, package.version, advisory.id, advisory.title)
                }));
            }
            format!("{} advisories", advisories.len())
        }
        None => "no advisories: give --database".to_owned(),
    };
    let count = locked.len();
    ensure!(findings.is_empty(), "{} of {count} locked crates:\n{}", findings.len(), findings.join("\n"));
    Ok(writeln!(io::stdout(), "{count} locked crates: none is withdrawn ({advisories})")?)
}

/// The packages of a lock file that come from the registry.
fn packages(lock_file: &str) -> anyhow::Result<Vec<Locked>> {
    #[derive(Deserialize)]
    struct LockFile {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: Version,
        source: Option<String>,
    }
    let parsed: LockFile = toml::from_str(lock_file)?;
    let from_registry = parsed.package.into_iter().filter(|package| package.source.is_some());
    Ok(from_registry.map(|Package { name, version, .. }| Locked { name, version }).collect())
}

/// Those whose version the registry has withdrawn, or does not know.
fn withdrawn(locked: &BTreeSet<Locked>, index: &str) -> anyhow::Result<Vec<String>> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
    let agent =
        Agent::config_builder().tls_config(tls).timeout_global(Some(Duration::from_secs(30))).build().new_agent();
    let open = Mutex::new(locked.iter());
    let workers: Vec<_> = thread::scope(|scope| {
        let work = || -> anyhow::Result<Vec<String>> {
            let mut findings = Vec::new();
            loop {
                let next = open.lock().map(|mut open| open.next()).unwrap_or_default();
                let Some(package) = next else { return Ok(findings) };
                let url = format!("{index}/{}", path_in_index(&package.name));
                let answer = patiently(|| agent.get(&url).call()?.body_mut().read_to_vec()).context(url)?;
                match is_yanked(&answer, &package.version)? {
                    Some(false) => {}
                    Some(true) => findings.push(format!("{} {}: withdrawn", package.name, package.version)),
                    None => findings.push(format!("{} {}: not in the registry", package.name, package.version)),
                }
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked"))).collect()
    });
    workers.into_iter().collect::<anyhow::Result<Vec<_>>>().map(|found| found.concat())
}

/// Asks again, after longer and longer pauses.
fn patiently<T, E>(ask: impl Fn() -> Result<T, E>) -> Result<T, E> {
    for failed in 0..TRIES - 1 {
        if let Ok(answer) = ask() {
            return Ok(answer);
        }
        thread::sleep(Duration::from_millis(500 << failed));
    }
    ask()
}

/// Where the index has a crate (The Cargo Book, "Index files").
fn path_in_index(name: &str) -> String {
    let name = name.to_lowercase();
    match name.len() {
        1 | 2 => format!("{}/{name}", name.len()),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

/// What a file of the index, a JSON object in each line, says of a version.
fn is_yanked(file: &[u8], version: &Version) -> anyhow::Result<Option<bool>> {
    #[derive(Deserialize)]
    struct Release {
        vers: Version,
        yanked: bool,
    }
    for line in String::from_utf8_lossy(file).lines() {
        let release: Release = serde_json::from_str(line).context("the index has a line that is no release")?;
        if release.vers == *version {
            return Ok(Some(release.yanked));
        }
    }
    Ok(None)
}

/// What is known of a crate.
#[derive(Debug)]
struct Advisory {
    id: String,
    package: String,
    title: String,
    /// Versions that it is not about.
    safe: Vec<VersionReq>,
}

impl Advisory {
    fn concerns(&self, package: &Locked) -> bool {
        self.package == package.name && !self.safe.iter().any(|safe| safe.matches(&package.version))
    }

    /// From Markdown that begins with a block of TOML.
    fn parse(text: &str) -> anyhow::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Front {
            advisory: Head,
            #[serde(default)]
            versions: Versions,
        }
        #[derive(Deserialize)]
        struct Head {
            id: String,
            package: String,
            withdrawn: Option<toml::Value>,
        }
        #[derive(Default, Deserialize)]
        struct Versions {
            #[serde(default)]
            patched: Vec<VersionReq>,
            #[serde(default)]
            unaffected: Vec<VersionReq>,
        }
        let block = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
        let Front { advisory, versions } = toml::from_str(block.context("it has no block of TOML")?)?;
        if advisory.withdrawn.is_some() {
            return Ok(None);
        }
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default().to_owned();
        let safe = [versions.patched, versions.unaffected].concat();
        Ok(Some(Self { id: advisory.id, package: advisory.package, title, safe }))
    }
}

/// All advisories of a checkout: `crates/NAME/RUSTSEC-YEAR-NUMBER.md`.
fn advisories(database: &Path) -> anyhow::Result<Vec<Advisory>> {
    let mut found = Vec::new();
    let list = |folder: &Path| fs::read_dir(folder).with_context(|| format!("cannot list '{}'", folder.display()));
    for package in list(&database.join("crates"))? {
        for file in list(&package?.path())? {
            let path = file?.path();
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
            found.extend(Advisory::parse(&text).with_context(|| format!("cannot parse '{}'", path.display()))?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str, version: &str) -> Locked {
        Locked { name: name.into(), version: version.parse().unwrap() }
    }

    #[test]
    fn reads_what_comes_from_the_registry() {
        let file = "version = 4\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n\
                    [[package]]\nname = \"serde\"\nversion = \"1.0.9\"\nsource = \"registry+https://x\"\n";
        assert_eq!(packages(file).unwrap(), [locked("serde", "1.0.9")]);
    }

    #[test]
    fn knows_the_paths_of_the_index() {
        for (name, path) in [("a", "1/a"), ("cc", "2/cc"), ("hex", "3/h/hex"), ("Serde_json", "se/rd/serde_json")] {
            assert_eq!(path_in_index(name), path);
        }
    }

    #[test]
    fn tells_withdrawn_from_unknown_versions() {
        let file = b"{\"name\":\"x\",\"vers\":\"1.0.0\",\"yanked\":true}\n{\"name\":\"x\",\"vers\":\"1.0.1\",\"yanked\":false}\n";
        for (version, expected) in [("1.0.0", Some(true)), ("1.0.1", Some(false)), ("1.0.2", None)] {
            assert_eq!(is_yanked(file, &version.parse().unwrap()).unwrap(), expected, "{version}");
        }
        assert!(is_yanked(b"nonsense\n", &"1.0.0".parse().unwrap()).is_err());
    }

    #[test]
    fn an_advisory_concerns_versions_that_are_neither_patched_nor_unaffected() {
        let text = "```toml\n[advisory]\nid = \"RUSTSEC-0000-0001\"\npackage = \"x\"\n\
                    [versions]\npatched = [\">= 1.2.3\"]\nunaffected = [\"< 1.0.0\"]\n```\n# It breaks\nText\n";
        let advisory = Advisory::parse(text).unwrap().unwrap();
        assert_eq!((advisory.id.as_str(), advisory.title.as_str()), ("RUSTSEC-0000-0001", "It breaks"));
        for (name, version, expected) in
            [("x", "1.2.2", true), ("x", "1.2.3", false), ("x", "0.9.0", false), ("y", "1.2.2", false)]
        {
            assert_eq!(advisory.concerns(&locked(name, version)), expected, "{name} {version}");
        }
        let gone = text.replace("package = \"x\"", "package = \"x\"\nwithdrawn = \"2026-01-01\"");
        assert!(Advisory::parse(&gone).unwrap().is_none());
    }

    #[test]
    fn asks_again_when_an_answer_does_not_come() {
        let asked = std::cell::Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            if asked.get() == 2 { Ok(asked.get()) } else { Err("no answer") }
        };
        assert_eq!(patiently(ask), Ok(2));
    }

    #[test]
    fn reads_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("crates/x");
        fs::create_dir_all(&package).unwrap();
        let text =
            "```toml\n[advisory]\nid = \"RUSTSEC-0000-0001\"\npackage = \"x\"\n[versions]\npatched = []\n```\n# No\n";
        fs::write(package.join("RUSTSEC-0000-0001.md"), text).unwrap();
        let found = advisories(folder.path()).unwrap();
        assert!(found[0].concerns(&locked("x", "9.9.9")));
        fs::write(package.join("RUSTSEC-0000-0002.md"), "nothing").unwrap();
        assert!(advisories(folder.path()).is_err());
    }
}
