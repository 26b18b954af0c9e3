//! What of a machine stays the same from boot to boot: its key, the image that it starts, its limits.

use crate::image::{self, HeaderSecrets};
use crate::{Error, HostKey};
use serde::{Deserialize, Serialize};
use uvtypes::Reader;

/// A machine with an image to start.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Its key.
    pub host_key: HostKey,
    /// The image that it starts.
    pub image: BootImage,
    /// What kernel and firmware can do.
    pub settings: Settings,
    /// The firmware state that attestations report.
    pub firmware_state: [u8; 320],
}

/// What the ultravisor knows of the image.
#[derive(Clone)]
pub struct BootImage {
    /// Page-list, address-list and tweak-list digest, 64 bytes each.
    pub digests: [u8; 192],
    /// The tag of the SE header.
    pub tag: [u8; 16],
    /// What is encrypted in the header.
    pub secrets: HeaderSecrets,
    /// Whether the guest may be dumped.
    pub dump_allowed: bool,
}

/// What kernel and firmware can do; the `guest:` part of an inventory file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Association secrets that the store holds.
    pub max_association: usize,
    /// Retrievable secrets that it holds.
    pub max_retrievable: usize,
    /// Secrets of all kinds that it holds.
    pub max_secrets: usize,
    /// The SE header asks that every add-secret request carries the extension secret made of the CCK.
    pub cck_extension_secret: bool,
    /// The SE header allows to replace the CCK.
    pub cck_update: bool,
    /// The SE header allows to dump the guest.
    pub dump_allowed: bool,
    /// What the guest's kernel knows.
    pub kernel: Kernel,
    /// Whether it is a Secure Execution guest.
    pub secure_execution: bool,
    /// The first line of `/sys/firmware/uv/query/facilities`, in hex without leading zeros; that of a current machine
    /// when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facilities: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_association: 12,
            max_retrievable: 1024,
            max_secrets: 1024,
            cck_extension_secret: false,
            cck_update: false,
            dump_allowed: true,
            kernel: Kernel::Current,
            secure_execution: true,
            facilities: None,
        }
    }
}

/// What the guest's kernel knows of `/dev/uv`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// Everything: Linux 6.13.
    #[default]
    Current,
    /// No retrieval, and lists of one page alone.
    OnePageList,
    /// All commands, but lists of one page alone. No released kernel: it shows the two apart.
    OnePageListWithRetrieve,
    /// Attestation alone, and no info command.
    AttestOnly,
}

impl Kernel {
    /// Whether a list may be longer than a page.
    pub(crate) fn has_long_list(self) -> bool {
        self == Self::Current
    }

    /// Bits of the commands, as the info command gives them.
    pub(crate) fn commands(self) -> u64 {
        match self {
            Self::Current | Self::OnePageListWithRetrieve => 0x3f,
            Self::OnePageList => 0x1f,
            Self::AttestOnly => 0x02,
        }
    }
}

impl BootImage {
    /// Opens an SE header as the machine with `host_key` does.
    ///
    /// # Errors
    /// [`Error::Header`].
    pub fn open(header: &[u8], host_key: &HostKey) -> Result<Self, Error> {
        let secrets = image::open_header(header, host_key.private_key())?;
        let mut reader = Reader::new(header);
        reader.bytes(0x0c, "magic and version of the SE header")?;
        let size = reader.u32("size of the SE header")? as usize;
        reader.bytes(0x28, "IV and sizes of the SE header")?;
        let flags = reader.u64("plaintext control flags")?;
        reader.bytes(160, "customer's public key")?;
        let digests = reader.array("digests")?;
        let mut reader = Reader::new(header);
        reader.bytes(size.saturating_sub(16), "SE header")?;
        let tag = reader.array("tag of the SE header")?;
        Ok(Self { digests, tag, secrets, dump_allowed: flags & image::PCF_DUMP_ALLOWED != 0 })
    }
}

impl std::fmt::Debug for BootImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BootImage({})", hex::encode(self.tag))
    }
}
