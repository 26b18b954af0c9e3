#![forbid(unsafe_code)]
//! The project's own chores: `cargo run -p xtask -- install`, `completions`, `licences`, `advisories`.
//!
//! What is needed to make a package but not to run the program lives here, so that the program does not
//! carry it.

mod advisories;
mod completions;
mod install;
mod licences;

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Parser)]
#[command(name = "xtask", about = "Chores of the pvtools project")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build and install: program, links, man pages, completions, systemd unit
    Install(install::Options),
    /// Check the locked crates against the registry, and against advisories
    Advisories(advisories::Options),
    /// Write the completion scripts of every tool into a folder
    Completions {
        /// The folder, which is made
        folder: PathBuf,
    },
    /// Print the crates that a build links, with their licences, as a table
    Licences {
        /// Compare with this file instead, and fail if it is out of date
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Install(options) => install::run(&options, &workspace()),
        Task::Advisories(options) => advisories::run(&options, &workspace()),
        Task::Completions { folder } => completions::write_all(&folder),
        Task::Licences { check: Some(file) } => licences::check(&workspace(), &file),
        Task::Licences { check: None } => Ok(io::stdout().write_all(licences::table(&workspace())?.as_bytes())?),
    }
}

/// The folder of the workspace's `Cargo.toml`.
fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
