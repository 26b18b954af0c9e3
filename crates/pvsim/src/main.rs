//! `pvsim`: a Secure Execution guest on any Linux machine.

use anyhow::Context;
use clap::{Parser, Subcommand};
use pvsim::HostKey;
use pvsim::open::Request;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A simulated Secure Execution guest
#[derive(Parser)]
#[command(name = "pvsim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Decode an add-secret or attestation request as the machine would, secrets included
    Decode {
        /// Add-secret request, attestation request or attestation exchange file
        request: PathBuf,
        /// The machine's private key (EC P-521, PEM)
        host_key: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Decode { request, host_key } => decode(&request, &host_key),
    }
}

fn decode(request: &Path, host_key: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read '{}'", path.display()));
    let key = HostKey::from_pem(&read(host_key)?).with_context(|| format!("'{}'", host_key.display()))?;
    let decoded = Request::open(&read(request)?, &key).with_context(|| format!("'{}'", request.display()))?;
    std::io::stdout().write_all(decoded.to_yaml()?.as_bytes()).context("cannot write to standard output")
}
