//! `pvsecret retrieve`.

use super::{Command, stored_id};
use crate::shared::cli::{self, InOut};
use crate::shared::error::Failure;
use crate::shared::input;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use crate::shared::yaml::Tagged;
use anyhow::{Context, anyhow, bail, ensure};
use base64ct::{Base64, Encoding};
use clap::{Args, ValueEnum};
use std::path::Path;
use uvtypes::{ListedSecret, Reader, SecretBox, SecretId, SecretKind, SecretList};
use zeroize::Zeroizing;

/// An identity file is a few lines.
const IDENTITY_MAX: usize = 64 * 1024;
/// Length of the lines of base64 in PEM.
const PEM_LINE: usize = 64;

const FILES: [(&str, &str); 4] = [
    ("ID", "What names the secret; see '--inform'"),
    ("INPUT", "What names the secret; see '--inform'. With '-i' the first argument is OUTPUT"),
    ("FILE", "Write the secret to FILE, which only its owner may read; '-' is standard output"),
    ("OUTPUT", "Write the secret to this file, which only its owner may read; '-' is standard output"),
];

/// Retrieve a secret from the secret store (guest only)
///
/// Plaintext secrets come back as they were given to 'pvsecret create'. Keys come back as protected keys, which only
/// this guest can use, and only until it is started again.
#[derive(Args)]
#[command(mut_args(|arg| InOut::described(arg, FILES)))]
pub(super) struct Arguments {
    #[command(flatten)]
    files: InOut,
    /// What INPUT is
    #[arg(long, value_enum, default_value_t = Inform::Yaml)]
    inform: Inform,
    /// Form of the secret
    #[arg(long, value_enum, default_value_t = Outform::Pem)]
    outform: Outform,
}

#[derive(Clone, Copy, ValueEnum)]
enum Inform {
    /// The file that 'pvsecret create' wrote beside the request
    Yaml,
    /// The id: 0x and 64 hex digits
    Hex,
    /// The name that was given to 'pvsecret create'
    Name,
    /// The index in the list
    Idx,
}

#[derive(Clone, Copy, ValueEnum)]
enum Outform {
    /// PEM, with a label that says what it is
    Pem,
    /// The bytes alone
    Bin,
}

/// What INPUT asks for.
enum Wanted {
    Id(SecretId),
    /// The id is the name itself, or its hash.
    Name {
        spelled: Option<SecretId>,
        hashed: SecretId,
    },
    Index(u16),
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let (input, output) = args.files.paths(|message| cli::usage_error::<Command>("retrieve", message))?;
    if let (Inform::Yaml, Some(output)) = (args.inform, output) {
        output::refuse_overwriting(output, &[input])?;
    }
    let wanted = Wanted::parse(input, args.inform)?;
    let uv = (system.uv)()?;
    let failed = "Could not retrieve the secret from the UV secret store";
    let list = uv.list_secrets().context(failed)?;
    let secret = wanted.find(&list, system).context(failed)?;
    system.info(&format!("Try to retrieve secret at index: {}", secret.index));
    let value = uv.retrieve_secret(secret.index, secret.length).context(failed)?;
    if !secret.kind.is_retrievable() {
        system.warn("Retrieved an unretrievable Secret! Will continue; interpreting it as a protected key.");
    }
    let rendered = render(secret.kind, &value, args.outform)?;
    Ok(output::write(output.unwrap_or(Path::new("-")), &rendered, Privacy::Secret, "secret", system)?)
}

impl Wanted {
    fn parse(input: &Path, inform: Inform) -> anyhow::Result<Self> {
        let text = || input.to_str().ok_or_else(|| anyhow!("'{}' is not UTF-8", input.display()));
        Ok(match inform {
            Inform::Yaml => {
                let file = input::read(input, IDENTITY_MAX, "secret information")?;
                Self::Id(retrievable_id(&file).with_context(|| format!("'{}'", input.display()))?)
            }
            Inform::Hex => Self::Id(stored_id(text()?).context("Cannot parse SecretId information")?),
            Inform::Name => Self::named(text()?),
            Inform::Idx => Self::Index(text()?.parse().context("Invalid index value")?),
        })
    }

    fn named(name: &str) -> Self {
        // A longer name would be found by its beginning, which another name may share.
        let whole = !name.is_empty() && name.len() <= SecretId::NAME_MAX;
        let spelled = whole.then(|| SecretId::from_name_bytes(name));
        let hashed = SecretId::of_name(name);
        Self::Name { spelled, hashed }
    }

    fn find<'a>(&self, list: &'a SecretList, system: &mut System) -> anyhow::Result<&'a ListedSecret> {
        let with_id = |id: SecretId| list.secrets.iter().filter(move |secret| secret.id == id).collect::<Vec<_>>();
        let (found, missing) = match self {
            Self::Id(id) => (with_id(*id), format!("the ID {id}")),
            Self::Name { spelled, hashed } => {
                let (spelled, named) = (spelled.map(with_id).unwrap_or_default(), with_id(*hashed));
                if let ([spelled, ..], [named, ..]) = (spelled.as_slice(), named.as_slice()) {
                    // Whoever makes a request that the guest adds could put one in front of the other.
                    bail!(
                        "The name is the ID of the secret at index {}, and its hash that of the secret at index {}: \
                         say which with '--inform idx' or '--inform hex'",
                        spelled.index,
                        named.index
                    );
                }
                let found = if spelled.is_empty() { named } else { spelled };
                (found, format!("this name, whose ID is {hashed}"))
            }
            Self::Index(index) => {
                let found = list.secrets.iter().filter(|secret| secret.index == *index).collect();
                (found, format!("the index {index}"))
            }
        };
        let unseen = if list.is_cut() { " among those that the uvdevice can show" } else { "" };
        let first = found.first().ok_or_else(|| anyhow!("The UV secret-store has no secret with {missing}{unseen}"))?;
        if found.len() > 1 {
            let indices: Vec<_> = found.iter().map(|secret| secret.index.to_string()).collect();
            system.warn(&format!(
                "There are multiple secrets in the secret store with that id. Indices: {}",
                indices.join(", ")
            ));
        }
        Ok(first)
    }
}

/// The id in the file of a retrievable secret.
fn retrievable_id(yaml: &[u8]) -> anyhow::Result<SecretId> {
    let none = "it is not a YAML file with a secret's id";
    let yaml = Tagged::read(std::str::from_utf8(yaml).context(none)?).context(none)?;
    ensure!(!yaml.tag.is_empty(), "it is not the information about a secret: there is no tag '!Retrievable'");
    let kind = &yaml.tag;
    ensure!(kind == "Retrievable", "The file contains a {kind}-secret, which is not retrievable");
    let id = yaml.text("id").context("it has no 'id'")?;
    stored_id(id).with_context(|| format!("its id '{id}'"))
}

fn render(kind: SecretKind, value: &SecretBox<Vec<u8>>, outform: Outform) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let bytes = if kind == SecretKind::PLAINTEXT { plaintext(value.expose()) } else { value.expose().as_slice() };
    if let Outform::Bin = outform {
        return Ok(Zeroizing::new(bytes.to_vec()));
    }
    let (label, header) = match kind {
        SecretKind::PLAINTEXT => ("PLAINTEXT SECRET", String::new()),
        kind => ("IBM PROTECTED KEY", format!("kind: {kind}\n\n")),
    };
    let encoded = Zeroizing::new(Base64::encode_string(bytes));
    // Room for everything from the start: a growing buffer would leave copies behind.
    let mut pem = Zeroizing::new(Vec::with_capacity(encoded.len() * 2 + 256));
    pem.extend(format!("-----BEGIN {label}-----\n{header}").bytes());
    for line in encoded.as_bytes().chunks(PEM_LINE) {
        pem.extend(line);
        pem.push(b'\n');
    }
    pem.extend(format!("-----END {label}-----\n").bytes());
    Ok(pem)
}

/// A plaintext secret out of its stored form: 2-byte length, data, zeros up to a multiple of 16. Bytes that are no such
/// form are given as they are.
fn plaintext(stored: &[u8]) -> &[u8] {
    let mut reader = Reader::new(stored);
    let data = reader.u16("length").and_then(|length| reader.bytes(length.into(), "data"));
    match data {
        Ok(data)
            if stored.len() == (2 + data.len()).next_multiple_of(16) && reader.rest().iter().all(|byte| *byte == 0) =>
        {
            data
        }
        _ => stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_comes_out_of_its_stored_form() {
        let padded = |data: &[u8], size: usize| {
            let mut stored = [&(data.len() as u16).to_be_bytes(), data].concat();
            stored.resize(size, 0);
            stored
        };
        type Row<'a> = (&'a str, Vec<u8>, Option<&'a [u8]>);
        let rows: [Row<'_>; 8] = [
            ("nothing", padded(b"", 16), Some(b"")),
            ("short", padded(b"secret", 16), Some(b"secret")),
            ("exact", padded(&[7; 14], 16), Some(&[7; 14])),
            ("one block more than needed", padded(b"secret", 32), None),
            ("not padded", padded(b"secret", 8), None),
            ("length beyond the end", vec![0xff; 16], None),
            ("padding that is not zero", [padded(b"x", 15), vec![1]].concat(), None),
            ("one byte", vec![0], None),
        ];
        for (name, stored, expected) in rows {
            assert_eq!(plaintext(&stored), expected.unwrap_or(&stored), "{name}");
        }
    }

    #[test]
    fn pem_has_short_lines_and_says_what_it_holds() {
        let render = |kind, size: usize| {
            let value = SecretBox::new(vec![0x41; size]);
            String::from_utf8(render(SecretKind(kind), &value, Outform::Pem).unwrap().to_vec()).unwrap()
        };
        let key = render(6, 64);
        let lines: Vec<_> = key.lines().collect();
        assert_eq!(lines[..3], ["-----BEGIN IBM PROTECTED KEY-----", "kind: AES-256-KEY", ""]);
        assert_eq!((lines[3].len(), lines[4].len()), (64, 24));
        assert_eq!(lines[5..], ["-----END IBM PROTECTED KEY-----"]);
        let value = SecretBox::new(b"\0\x0a1234567890\0\0\0\0".to_vec());
        let text = super::render(SecretKind::PLAINTEXT, &value, Outform::Pem).unwrap();
        let expected = "-----BEGIN PLAINTEXT SECRET-----\nMTIzNDU2Nzg5MA==\n-----END PLAINTEXT SECRET-----\n";
        assert_eq!(text.as_slice(), expected.as_bytes());
    }

    #[test]
    fn only_files_of_retrievable_secrets_are_taken() {
        let id = format!("0x{}", "ab".repeat(32));
        let good = format!("!Retrievable\nkind: 6 (AES-256-KEY)\nname: n\nid: {id}\n");
        assert_eq!(retrievable_id(good.as_bytes()).unwrap().to_string(), id);
        // Many leading zeros: quoted by those who write it.
        let zeros = format!("!Retrievable\nname: n\nid: '0x{}'\n", "0".repeat(64));
        assert_eq!(retrievable_id(zeros.as_bytes()).unwrap(), SecretId([0; 32]));
        let rows = [
            (good.replace("Retrievable", "Association"), "contains a Association-secret, which is not retrievable"),
            (good.replace("!Retrievable\n", ""), "no tag"),
            (good.replace("id: 0x", "id: 0xg"), "its id"),
            (good.replace("id:", "idd:"), "no 'id'"),
            ("!Retrievable [".into(), "not a YAML file"),
            (String::new(), "no tag"),
        ];
        for (yaml, expected) in rows {
            let error = format!("{:#}", retrievable_id(yaml.as_bytes()).expect_err(&yaml));
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}
