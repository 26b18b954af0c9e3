//! `xtask licences`: which crates a build links, and under which licences.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Compares the table with `file`.
pub(crate) fn check(workspace: &Path, file: &Path) -> anyhow::Result<()> {
    let written = std::fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))?;
    ensure!(
        written.ends_with(&table(workspace)?),
        "'{}' is out of date: its table has to be what `cargo run -p xtask -- licences` prints",
        file.display()
    );
    Ok(())
}

/// A Markdown table of the foreign crates that end up in the program.
pub(crate) fn table(workspace: &Path) -> anyhow::Result<String> {
    let metadata = metadata(workspace)?;
    let mut packages = BTreeMap::new();
    for package in array(&metadata, "packages")? {
        packages.insert(text(package, "id")?, package);
    }
    let mut rows = String::from("| crate | version | licence |\n|---|---|---|\n");
    let mut linked = Vec::new();
    for id in linked_packages(&metadata)? {
        let package = packages.get(id.as_str()).context("cargo metadata names a package that it does not list")?;
        // Ours have no source: they are the workspace's own folders.
        if !package["source"].is_null() {
            let licence = package["license"].as_str().unwrap_or("see its licence file");
            linked.push(format!("| {} | {} | {licence} |\n", text(package, "name")?, text(package, "version")?));
        }
    }
    linked.sort();
    rows.extend(linked);
    Ok(rows)
}

/// The packages that the package `pvtools` needs, without build-time and test-only ones.
fn linked_packages(metadata: &Value) -> anyhow::Result<BTreeSet<String>> {
    let mut needs = BTreeMap::new();
    for node in array(&metadata["resolve"], "nodes")? {
        let mut ids = Vec::new();
        for dependency in array(node, "deps")? {
            let is_linked = array(dependency, "dep_kinds")?.iter().any(|kind| kind["kind"].is_null());
            if is_linked {
                ids.push(text(dependency, "pkg")?);
            }
        }
        needs.insert(text(node, "id")?, ids);
    }
    let root = text(&metadata["resolve"], "root")?;
    let mut seen = BTreeSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if seen.insert(id.to_owned()) {
            open.extend(needs.get(id).into_iter().flatten());
        }
    }
    Ok(seen)
}

fn metadata(workspace: &Path) -> anyhow::Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // One target: what Windows would need is not linked.
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["metadata", "--locked", "--format-version=1", "--filter-platform=s390x-unknown-linux-gnu"])
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata printed")
}

fn array<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("cargo metadata has no list '{key}'"))
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata has no text '{key}'"))
}
