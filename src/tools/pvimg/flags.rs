//! The options that set flags of the header.

use anyhow::bail;
use clap::{ArgGroup, Args};
use std::path::PathBuf;
use uvtypes::flags::{Flag, pcf, scf};

/// What the image allows, and the key that some of it needs.
#[derive(Args)]
#[command(group = ArgGroup::new("cck_known").args(["cck", "enable_cck_update"]).multiple(true))]
pub(super) struct FlagArgs {
    /// Customer-communication key, 32 bytes; without this option a random one that nobody knows
    #[arg(long, alias = "comm-key", value_name = "FILE")]
    pub(super) cck: Option<PathBuf>,
    /// Allow dumps of the guest, encrypted with a key derived from the CCK: needs '--cck' or '--enable-cck-update'
    #[arg(long, requires = "cck_known", conflicts_with_all = ["disable_dump", "x_pcf", "x_scf"])]
    enable_dump: bool,
    /// Allow no dumps of the guest [default]
    #[arg(long, conflicts_with_all = ["x_pcf", "x_scf"])]
    disable_dump: bool,
    /// Take add-secret requests only with the extension secret that is derived from the CCK: needs '--cck'
    #[arg(long, requires = "cck", conflicts_with_all = ["disable_cck_extension_secret", "enable_cck_update", "x_pcf", "x_scf"])]
    enable_cck_extension_secret: bool,
    /// Take add-secret requests with any extension secret [default]
    #[arg(long, conflicts_with_all = ["x_pcf", "x_scf"])]
    disable_cck_extension_secret: bool,
    /// Allow requests to replace the CCK
    #[arg(long, conflicts_with_all = ["disable_cck_update", "x_pcf", "x_scf"])]
    enable_cck_update: bool,
    /// Allow no requests to replace the CCK [default]
    #[arg(long, conflicts_with_all = ["x_pcf", "x_scf"])]
    disable_cck_update: bool,
    /// Allow PCKMO for DEA, TDEA, AES and ECC keys [default]
    #[arg(long, conflicts_with_all = ["disable_pckmo", "x_pcf", "x_scf"])]
    enable_pckmo: bool,
    /// Allow no PCKMO for these keys
    #[arg(long, conflicts_with_all = ["x_pcf", "x_scf"])]
    disable_pckmo: bool,
    /// Allow PCKMO for HMAC keys
    #[arg(long, conflicts_with_all = ["disable_pckmo_hmac", "x_pcf", "x_scf"])]
    enable_pckmo_hmac: bool,
    /// Allow no PCKMO for HMAC keys [default]
    #[arg(long, conflicts_with_all = ["x_pcf", "x_scf"])]
    disable_pckmo_hmac: bool,
    /// Allow the machine's backup host key to open the image
    #[arg(long, conflicts_with_all = ["disable_backup_keys", "x_pcf", "x_scf"])]
    enable_backup_keys: bool,
    /// Allow no backup host key [default]
    #[arg(long, conflicts_with_all = ["x_pcf", "x_scf"])]
    disable_backup_keys: bool,
    /// Encrypt kernel, ramdisk and command line [default]
    #[arg(long, conflicts_with_all = ["disable_image_encryption", "x_pcf", "x_scf"])]
    enable_image_encryption: bool,
    /// Store kernel, ramdisk and command line as they are: they are protected against changes, and everybody can read them
    #[arg(long, conflicts_with_all = ["image_key", "x_pcf", "x_scf"])]
    disable_image_encryption: bool,
    /// All plaintext control flags as a number: up to 16 hexadecimal digits
    #[arg(long, value_name = "FLAGS", hide = true)]
    x_pcf: Option<String>,
    /// All secret control flags as a number: up to 16 hexadecimal digits
    #[arg(long, value_name = "FLAGS", hide = true)]
    x_scf: Option<String>,
}

impl FlagArgs {
    /// PCF and SCF.
    pub(super) fn words(&self) -> anyhow::Result<(u64, u64)> {
        let all = |flags: &[(bool, Flag)]| {
            flags.iter().filter(|(wanted, _)| *wanted).fold(0, |word, (_, flag)| word | flag.mask())
        };
        let pckmo = !self.disable_pckmo;
        let plaintext = all(&[
            (self.enable_dump, pcf::DUMP),
            (self.disable_image_encryption, pcf::NO_ENCRYPTION),
            (pckmo, pcf::PCKMO_DEA),
            (pckmo, pcf::PCKMO_AES),
            (pckmo, pcf::PCKMO_ECC),
            (self.enable_pckmo_hmac, pcf::PCKMO_HMAC),
            (self.enable_backup_keys, pcf::BACKUP_KEYS),
        ]);
        let secret = all(&[
            (self.enable_cck_extension_secret, scf::CCK_EXTENSION_SECRET),
            (self.enable_cck_update, scf::CCK_UPDATE),
        ]);
        let given = |text: &Option<String>, option, usual| text.as_ref().map_or(Ok(usual), |text| number(text, option));
        Ok((given(&self.x_pcf, "--x-pcf", plaintext)?, given(&self.x_scf, "--x-scf", secret)?))
    }
}

/// Up to 16 hexadecimal digits, optionally behind `0x`.
pub(super) fn number(text: &str, option: &str) -> anyhow::Result<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match u64::from_str_radix(digits, 16) {
        Ok(number) if digits.len() <= 16 && !digits.starts_with('+') => Ok(number),
        _ => {
            bail!("Invalid value '{text}' for '{option}': expected 1 to 16 hexadecimal digits, with or without '0x'")
        }
    }
}
