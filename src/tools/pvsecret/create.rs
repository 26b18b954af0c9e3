//! `pvsecret create`.

use super::cuid;
use super::identity::Identity;
use super::outputs::{Outputs, Produced};
use crate::shared::error::Failure;
use crate::shared::host_keys::HostKeyArgs;
use crate::shared::system::System;
use crate::shared::{cli, input, se_header};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use sehdr::BootTags;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use uvrequest::secret::{
    AddSecretRequest, AddSecretRequestView, Cck, ExtensionSecret, GuestSecret, RetrievableSecret, SigningKey, UserData,
};
use uvtypes::flags::{Flag, add_secret};
use uvtypes::limits::PLAINTEXT_MAX;
use uvtypes::{Cuid, RetrievableType, SecretBox, SecretId};

/// Larger than any key, secret or user data can be: a larger file is refused unread.
const MAX_INPUT: usize = 64 << 10;
/// A policy is hashed, so it may be larger.
const MAX_POLICY: usize = 64 << 20;
/// Of the 512 bytes of user data, 32 are the policy's hash.
const MAX_POLICY_PATH: usize = 480;

/// Create a request that adds a secret to a Secure Execution guest
///
/// The request is encrypted for the machines whose host-key documents are given and works for guests started from
/// the given image alone. Do this on a trusted workstation, never in the guest itself.
#[derive(Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    host_keys: HostKeyArgs,
    /// SE header of the guest, or its whole boot image
    #[arg(long, alias = "se-hdr", value_name = "FILE")]
    hdr: PathBuf,
    /// Create the request although this is a Secure Execution guest
    #[arg(short, long)]
    force: bool,
    /// Write the request to FILE; '-' is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Extension secret: 32 bytes that all requests to one guest must share
    #[arg(long, value_name = "FILE", group = "as-ext")]
    extension_secret: Option<PathBuf>,
    /// Customer-communication key (32 bytes) of the image: derive the extension secret from it
    #[arg(long, value_name = "FILE", group = "as-ext")]
    cck: Option<PathBuf>,
    /// Only for the boot of the guest with this configuration unique id: 32 hexadecimal digits
    #[arg(long, value_name = "HEXSTRING", conflicts_with = "cuid")]
    cuid_hex: Option<String>,
    /// Only for the boot of the guest with this configuration unique id: 16 bytes, or what 'pvattest verify' wrote
    #[arg(long, value_name = "FILE")]
    cuid: Option<PathBuf>,
    /// All flags as a number: up to 16 hexadecimal digits
    #[arg(long, hide = true, conflicts_with = "flags")]
    pcf: Option<String>,
    /// Flags of the request; may be repeated
    #[arg(long, value_parser = cli::flags(add_secret::TABLE), value_name = "FLAGS", value_delimiter = ',')]
    flags: Vec<Flag>,
    /// User data: up to 512 bytes, or 256 (EC, RSA 2048) or 128 (RSA 3072) when signed
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    user_data: Option<PathBuf>,
    /// Put the SHA-256 hash of a policy and its path as given into the user data; print the hash
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Append a line with the tag of the request to FILE
    #[arg(long, value_name = "FILE")]
    toc_policy: Option<PathBuf>,
    /// Sign request and user data with this private key: EC secp521r1, RSA 2048 or RSA 3072
    #[arg(long, value_name = "FILE")]
    user_sign_key: Option<PathBuf>,
    /// Take the first 31 bytes of the name as id of the secret, not the name's SHA-256
    #[arg(long)]
    use_name: bool,
    #[command(subcommand)]
    secret: SecretArgs,
}

#[derive(Subcommand)]
enum SecretArgs {
    /// A request without a secret: for its flags, or to fix the extension secret
    Meta,
    /// A secret that ties a Crypto Express queue to the guest
    Association(AssociationArgs),
    /// A secret that the guest can get back
    #[command(visible_alias = "retr")]
    Retrievable(RetrievableArgs),
    /// A new customer-communication key for the guest
    #[command(visible_alias = "cck")]
    UpdateCck(UpdateCckArgs),
}

#[derive(Args)]
struct AssociationArgs {
    /// Name of the secret; its SHA-256 is the secret's id
    name: String,
    /// Print the name and id instead of writing them to NAME.yaml
    #[arg(long)]
    stdout: bool,
    /// The secret, 32 bytes; a random one without this option
    #[arg(long, value_name = "SECRET-FILE", conflicts_with = "output_secret")]
    input_secret: Option<PathBuf>,
    /// Write the random secret to SECRET-FILE, which only its owner may read; '-' is standard output
    #[arg(long, value_name = "SECRET-FILE")]
    output_secret: Option<PathBuf>,
}

#[derive(Args)]
struct RetrievableArgs {
    /// Name of the secret; its SHA-256 is the secret's id
    name: String,
    /// Print the name and id instead of writing them to NAME.yaml
    #[arg(long)]
    stdout: bool,
    /// The secret
    #[arg(long, value_name = "SECRET-FILE")]
    secret: PathBuf,
    /// What the secret is
    #[arg(long, value_parser = cli::named(RetrievableType::ALL, words), value_name = "TYPE")]
    r#type: RetrievableType,
}

#[derive(Args)]
struct UpdateCckArgs {
    /// The new key, 32 bytes
    #[arg(long, value_name = "CCK-FILE")]
    secret: PathBuf,
}

/// A secret, and what is written beside the request so that it can be found and used.
struct Material {
    secret: GuestSecret,
    identity: Option<Identity>,
    /// A random secret that its owner wants to keep.
    keep: Option<(PathBuf, SecretBox<[u8; 32]>)>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    refuse_in_guest(args.force, system)?;
    let outputs = Outputs::plan(args.outputs()?, &args.inputs())?;
    let material = args.material(system)?;
    let boot_tags = se_header::load_boot_tags(&args.hdr, system)?;
    let mut request = AddSecretRequest::new(boot_tags.clone(), material.secret).flags(args.flag_word()?);
    if let Some(cuid) = args.cuid()? {
        request = request.bind_to(cuid);
    }
    if let Some(extension) = args.extension_secret(&boot_tags)? {
        request = request.extension_secret(extension);
    }
    let policy_hash = args.policy_hash()?;
    let user_data = args.user_data(policy_hash, system)?;
    let user_data_file = args.user_data.as_deref().or(args.policy.as_deref());
    request = request.user_data(user_data).with_context(|| match user_data_file {
        Some(path) => format!("Cannot use '{}' as user data", path.display()),
        None => "Cannot use the user data".to_owned(),
    })?;
    let host_keys = args.host_keys.load("secret", system)?;
    let request = request.seal(&host_keys).context("Cannot create the add-secret request")?;
    let tag = AddSecretRequestView::parse(&request).context("The request is malformed")?.tag();
    let produced = Produced {
        request,
        identity: material.identity.map(|identity| identity.to_yaml()).transpose()?,
        secret: material.keep.map(|(_, secret)| secret),
        toc_line: hex::encode(tag),
        policy_hash: policy_hash.map(hex::encode),
    };
    outputs.write(produced, system)
}

impl Arguments {
    fn inputs(&self) -> Vec<&Path> {
        let of_secret = match &self.secret {
            SecretArgs::Meta => None,
            SecretArgs::Association(args) => args.input_secret.as_deref(),
            SecretArgs::Retrievable(args) => Some(&*args.secret),
            SecretArgs::UpdateCck(args) => Some(&*args.secret),
        };
        let options =
            [&self.extension_secret, &self.cck, &self.cuid, &self.user_data, &self.policy, &self.user_sign_key];
        let mut inputs = self.host_keys.inputs();
        inputs.push(&self.hdr);
        inputs.extend(options.into_iter().flatten().map(PathBuf::as_path));
        inputs.extend(of_secret);
        inputs
    }

    fn outputs(&self) -> anyhow::Result<super::outputs::Targets> {
        let (name, to_stdout, secret) = match &self.secret {
            SecretArgs::Association(args) => (Some(&args.name), args.stdout, args.output_secret.clone()),
            SecretArgs::Retrievable(args) => (Some(&args.name), args.stdout, None),
            SecretArgs::Meta | SecretArgs::UpdateCck(_) => (None, false, None),
        };
        let identity = match name {
            Some(_) if to_stdout => Some(PathBuf::from("-")),
            Some(name) => {
                let path = Identity::path(name, &self.output)?;
                Identity::refuse_replacing_other(&path, name)?;
                Some(path)
            }
            None => None,
        };
        let (request, toc) = (self.output.clone(), self.toc_policy.clone());
        Ok(super::outputs::Targets { request, identity, secret, toc, prints_hash: self.policy.is_some() })
    }

    fn id_of(&self, name: &str, system: &mut System) -> SecretId {
        if !self.use_name {
            return SecretId::of_name(name);
        }
        if name.len() > SecretId::NAME_MAX {
            system.warn(&format!("Only the first {} bytes of the name are the id of the secret.", SecretId::NAME_MAX));
        }
        SecretId::from_name_bytes(name)
    }

    fn material(&self, system: &mut System) -> anyhow::Result<Material> {
        match &self.secret {
            SecretArgs::Meta => Ok(Material { secret: GuestSecret::Meta, identity: None, keep: None }),
            SecretArgs::Association(args) => {
                let id = self.id_of(&args.name, system);
                let secret = match &args.input_secret {
                    Some(path) => {
                        let bytes = read(path, "association secret")?;
                        let wrong = || {
                            let size = bytes.len();
                            format!("Association secret must be exactly 32 bytes long; '{}' has {size}", path.display())
                        };
                        SecretBox::copy_of(&bytes).with_context(wrong)?
                    }
                    None => {
                        let mut secret = SecretBox::zeros();
                        rand_bytes(secret.expose_mut()).context("Cannot make a random secret")?;
                        secret
                    }
                };
                let keep = args.output_secret.clone().map(|path| (path, secret.clone()));
                let identity = Some(Identity::association(&args.name, id));
                Ok(Material { secret: GuestSecret::Association { id, secret }, identity, keep })
            }
            SecretArgs::Retrievable(args) => {
                let id = self.id_of(&args.name, system);
                let bytes = read(&args.secret, "retrievable secret")?;
                let secret = RetrievableSecret::new(args.r#type, &bytes);
                let secret = secret.with_context(|| format!("Cannot use '{}'", args.secret.display()))?;
                let identity = Some(Identity::retrievable(&args.name, id, secret.kind()));
                Ok(Material { secret: GuestSecret::Retrievable { id, secret }, identity, keep: None })
            }
            SecretArgs::UpdateCck(args) => {
                let bytes = read(&args.secret, "CCK")?;
                let cck = Cck::try_from(bytes.as_slice())
                    .with_context(|| format!("Cannot use '{}'", args.secret.display()))?;
                Ok(Material { secret: GuestSecret::UpdateCck(cck), identity: None, keep: None })
            }
        }
    }

    fn flag_word(&self) -> anyhow::Result<u64> {
        let Some(pcf) = &self.pcf else {
            return Ok(self.flags.iter().fold(0, |word, flag| word | flag.mask()));
        };
        let digits = pcf.strip_prefix("0x").unwrap_or(pcf);
        if digits.is_empty() || digits.len() > 16 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            bail!("Invalid value '{pcf}' for '--pcf': expected 1 to 16 hexadecimal digits, with or without '0x'");
        }
        u64::from_str_radix(digits, 16).context("Invalid value for '--pcf'")
    }

    fn cuid(&self) -> anyhow::Result<Option<Cuid>> {
        match (&self.cuid_hex, &self.cuid) {
            (Some(text), _) => {
                text.parse().map(Some).with_context(|| format!("Invalid value '{text}' for '--cuid-hex'"))
            }
            (None, Some(path)) => {
                let bytes = read(path, "CUID")?;
                cuid::parse(&bytes).map(Some).with_context(|| format!("Cannot use '{}' as CUID", path.display()))
            }
            (None, None) => Ok(None),
        }
    }

    fn extension_secret(&self, boot_tags: &BootTags) -> anyhow::Result<Option<ExtensionSecret>> {
        match (&self.extension_secret, &self.cck) {
            (Some(path), _) => {
                let bytes = read(path, "extension secret")?;
                let secret = ExtensionSecret::try_from(bytes.as_slice());
                secret.map(Some).with_context(|| format!("Cannot use '{}'", path.display()))
            }
            (None, Some(path)) => {
                let bytes = read(path, "CCK")?;
                let cck =
                    Cck::try_from(bytes.as_slice()).with_context(|| format!("Cannot use '{}'", path.display()))?;
                Ok(Some(ExtensionSecret::from_cck(&cck, boot_tags)?))
            }
            (None, None) => Ok(None),
        }
    }

    fn policy_hash(&self) -> anyhow::Result<Option<[u8; 32]>> {
        let Some(path) = &self.policy else { return Ok(None) };
        if self.user_sign_key.is_some() {
            bail!(
                "'--policy' cannot be used with '--user-sign-key': s390-tools looks for a policy in unsigned user data \
                 alone. What 'pvebc --user-cert' looks for is made with '--user-data': SHA-256 of the policy, then its path"
            );
        }
        if path.as_os_str().len() > MAX_POLICY_PATH {
            bail!(
                "The path of the policy has {} bytes; user data has room for {MAX_POLICY_PATH}",
                path.as_os_str().len()
            );
        }
        Ok(Some(sha256(&input::read(path, MAX_POLICY, "policy")?)))
    }

    fn user_data(&self, policy_hash: Option<[u8; 32]>, system: &mut System) -> anyhow::Result<UserData> {
        if let (Some(hash), Some(path)) = (policy_hash, &self.policy) {
            return Ok(UserData::Unsigned([&hash[..], path.as_os_str().as_bytes()].concat()));
        }
        let data = self.user_data.as_ref().map(|path| read(path, "user-data")).transpose()?;
        if data.as_ref().is_some_and(|data| data.is_empty()) {
            system.warn("Added empty user-data file.");
        }
        let data = data.map(|data| data.to_vec());
        let Some(path) = &self.user_sign_key else {
            return Ok(data.map_or(UserData::None, UserData::Unsigned));
        };
        let key = SigningKey::from_pem_or_der(&read(path, "User-signing key")?)
            .with_context(|| format!("Cannot use '{}' as user-signing key", path.display()))?;
        Ok(UserData::Signed { data: data.unwrap_or_default(), key })
    }
}

/// The value of '--type' and its help.
fn words(kind: RetrievableType) -> Option<(&'static str, &'static str)> {
    let (value, help, _) = kind.words();
    Some((value, help))
}

fn read(path: &Path, what: &str) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> {
    const { assert!(PLAINTEXT_MAX < MAX_INPUT) };
    input::read(path, MAX_INPUT, what)
}

fn refuse_in_guest(force: bool, system: &mut System) -> anyhow::Result<()> {
    if !system.is_guest() {
        return Ok(());
    }
    system.warn("The system seems to be a Secure Execution guest");
    if !force {
        bail!("Do NOT generate Add-secret requests on a machine where you want to use the secret! Overwrite with '-f'");
    }
    system.warn("WARNING: Enforcing of generating a request on a Secure Execution guest");
    Ok(())
}
