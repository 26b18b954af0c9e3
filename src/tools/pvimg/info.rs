//! `pvimg info`.

mod fields;
mod meta;
mod schema;

use super::{components, create, open};
use crate::shared::error::Failure;
use crate::shared::system::System;
use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use fields::Shown;
use sehdr::HeaderSecrets;
use std::path::PathBuf;
use uvrequest::aead;

/// Show the SE header of an image
///
/// Of an SE image of any tool, or of an SE header on its own. With the header's key, it is authenticated and its
/// encrypted part is shown, too.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    /// Image or SE header
    #[arg(value_name = "FILE", required_unless_present = "print_schema")]
    input: Option<PathBuf>,
    /// Form of the output: text, text:full, json, json:pretty or json:minify [default: text on a terminal, else json]
    #[arg(long, value_name = "FORMAT", value_parser = Format::parse)]
    format: Option<Format>,
    /// Key of the SE header, 32 bytes
    #[arg(long, alias = "key", value_name = "FILE")]
    hdr_key: Option<PathBuf>,
    /// Show CCK and image key, too
    #[arg(long, requires = "hdr_key")]
    show_secrets: bool,
    /// Show the components of the image instead: sizes and digests; with '--hdr-key' or '--image-key' what they are
    #[arg(long)]
    components: bool,
    /// Key of the components, 64 bytes
    #[arg(long, value_name = "FILE", requires = "components", conflicts_with = "hdr_key")]
    image_key: Option<PathBuf>,
    /// Print the schema of an output
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with_all = ["input", "format", "hdr_key", "show_secrets", "components"])]
    print_schema: Option<Schema>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Schema {
    /// The fields of the text output
    Text,
    /// JSON schema, draft 7
    Json,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Text { full: bool },
    Json { pretty: bool },
}

impl Format {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "text" | "text:default" => Ok(Self::Text { full: false }),
            "text:full" => Ok(Self::Text { full: true }),
            "json" | "json:default" | "json:pretty" => Ok(Self::Json { pretty: true }),
            "json:minify" => Ok(Self::Json { pretty: false }),
            _ => Err("expected text, text:full, json, json:pretty or json:minify".to_owned()),
        }
    }

    /// `data` with what is known about its making.
    pub(super) fn json(pretty: bool, data: serde_json::Value, system: &System) -> anyhow::Result<String> {
        let whole = serde_json::json!({ "meta": meta::meta(system)?, "data": data });
        Ok(if pretty { format!("{whole:#}\n") } else { format!("{whole}\n") })
    }
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let input = match (args.print_schema, &args.input) {
        (Some(Schema::Json), _) => return system.print(schema::JSON),
        (Some(Schema::Text), _) => return system.print(schema::TEXT),
        (None, Some(input)) => input,
        (None, None) => return Err(anyhow!("the image is missing").into()),
    };
    let usual = if system.stdout_is_terminal { Format::Text { full: false } } else { Format::Json { pretty: true } };
    let format = args.format.unwrap_or(usual);
    let header_key = args.hdr_key.as_deref().map(|path| create::key(path, "SE header key")).transpose()?;
    if args.components {
        let image_key = args.image_key.as_deref().map(|path| create::key(path, "image key")).transpose()?;
        return components::run(input, header_key.as_ref(), image_key, format, system);
    }
    let (header, bytes) = open::header(input, system)?;
    let secrets = match &header_key {
        Some(key) => {
            let sealed = header.sealed(&bytes)?;
            let plain = aead::open(key, &header.iv(), sealed.authenticated, sealed.encrypted, &sealed.tag);
            let cannot = || format!("The SE header in '{}' does not open with this key", input.display());
            Some(HeaderSecrets::parse(
                plain.map_err(|_| anyhow!("another key, or a changed header")).with_context(cannot)?.expose(),
            )?)
        }
        None => {
            system.warn("WARNING: The SE header is shown as it is: without '--hdr-key' it cannot be authenticated.");
            None
        }
    };
    let shown = Shown { header: &header, bytes: &bytes, secrets: secrets.as_ref(), show_secrets: args.show_secrets };
    let text = match format {
        Format::Text { full } => shown.text(full)?,
        Format::Json { pretty } => zeroize::Zeroizing::new(Format::json(pretty, shown.json()?, system)?),
    };
    system.print(&text)
}
