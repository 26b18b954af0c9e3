//! `trustee key`.

use super::now;
use crate::shared::error::{Failure, Outcome};
use crate::shared::input;
use crate::shared::output::{self, Outputs, Privacy};
use crate::shared::system::System;
use anyhow::{Context, bail};
use clap::Args;
use setrustee::{AdminKey, TokenClaims};
use std::path::{Path, PathBuf};
use uvtypes::text::{escaped_json, shown_path};

/// Make the Ed25519 key of an administrator, and tokens that it signs
///
/// The key is made if it is not there. Tokens are short-lived: make one for each use.
#[derive(Args)]
pub(super) struct Arguments {
    /// The private key, which only its owner may read; made if it is not there
    key: PathBuf,
    /// Write the public key to FILE, for the server
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    /// Write a token to FILE, which only its owner may read
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// Seconds that the token lives, 86400 at most
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    lifetime: i64,
    /// Role of the token, for which the server has an ACL
    #[arg(long, value_name = "ROLE", default_value = "admin")]
    role: String,
    /// Issuer of the token, as the server is configured
    #[arg(long, value_name = "NAME", default_value = "pvtools")]
    issuer: String,
    /// Audience of the token, if the server is configured to have one
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// Print the part of the server's configuration that lets such tokens do what 'pvtools trustee' needs
    #[arg(long)]
    config: bool,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let outputs: Vec<_> = [&args.public, &args.token].into_iter().flatten().collect();
    for path in &outputs {
        if output::same_target(path, &args.key) {
            return Err(anyhow::anyhow!("'{}' would overwrite the private key", shown_path(path)).into());
        }
    }
    if let [one, other] = outputs.as_slice() {
        if output::same_target(one, other) {
            return Err(anyhow::anyhow!("public key and token would both be written to '{}'", shown_path(one)).into());
        }
    }
    let (key, made) = load_or_make(&args.key)?;
    let mut files = Outputs::default();
    if made {
        files.add(&args.key, key.to_pem()?.expose(), Privacy::Secret, "the private key")?;
    }
    if let Some(path) = &args.public {
        files.add(path, &key.public_pem()?, Privacy::Public, "the public key")?;
    }
    if let Some(path) = &args.token {
        let token = key.token(&TokenClaims {
            issuer: args.issuer.clone(),
            audience: args.audience.clone(),
            role: args.role.clone(),
            issued: now(system)?,
            lifetime: args.lifetime,
        });
        let token = token.context("Cannot make a token")?;
        files.add(path, token.expose().as_bytes(), Privacy::Secret, "the token")?;
    }
    files.publish(system)?;
    if made {
        system.status(&format!("Successfully made the key '{}'", shown_path(&args.key)));
    }
    if args.config {
        system.print(&args.configuration())?;
    }
    Ok(Outcome::Done)
}

fn load_or_make(path: &Path) -> anyhow::Result<(AdminKey, bool)> {
    if path.symlink_metadata().is_err() {
        return Ok((AdminKey::generate()?, true));
    }
    if path == Path::new("-") {
        bail!("a private key is not read from standard input");
    }
    let pem = input::read(path, 1 << 16, "private key")?;
    Ok((AdminKey::from_pem(&pem).with_context(|| format!("Cannot use '{}'", shown_path(path)))?, false))
}

impl Arguments {
    fn configuration(&self) -> String {
        // A TOML string takes the escapes of a JSON string.
        let quote = |text: &str| escaped_json(&serde_json::Value::from(text).to_string()).into_owned();
        let audience = self.audience.as_deref().map(|audience| format!(", audience = {}", quote(audience)));
        let public = self.public.as_deref().unwrap_or(Path::new("kbs.pem")).display().to_string();
        let acls = ["resource/.+", "resource-policy", "attestation-policy", "reference-value"].map(|path| {
            let (role, path) = (quote(&self.role), quote(&format!("^/kbs/v0/{path}$")));
            format!("  {{ role = {role}, allowed_endpoints = {path} }},\n")
        });
        format!(
            "[admin]\nauthorization_mode = \"AuthenticatedAuthorization\"\n\n\
             [admin.authentication.bearer_jwt]\nidentity_providers = [\n  \
             {{ issuer = {}{}, public_key_uri = {} }},\n]\n\n\
             [admin.authorization.regex_acl]\nacls = [\n{}]\n",
            quote(&self.issuer),
            audience.unwrap_or_default(),
            quote(&public),
            acls.concat()
        )
    }
}
