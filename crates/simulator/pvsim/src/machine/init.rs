//! A new machine.

use super::boot_image;
use super::{
    CCK, FAULTS, FIRMWARE_STATE, GUEST, HEADER, HOST_KEY, HOST_KEY_DOCUMENT, IMAGE, INVENTORY, Machine, SETTINGS,
    replace, store,
};
use crate::ap::bus::{Bus, BusSettings};
use crate::ap::events::Planned;
use crate::ap::inventory::{Cards, Inventory, MasterKeys, Queues};
use crate::ap::name::QueueId;
use crate::ap::terms::Situation;
use crate::ap::{self};
use crate::guest::StoredSecret;
use crate::pki::{Authority, Keys, Plan};
use crate::platform::{BootImage, Platform, Settings};
use crate::{Error, Fault, Guest, Hex, HostKey};
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use openssl::x509::X509;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// An inventory file. A row of a list of scenarios is one too.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    guest: Settings,
    secrets: Vec<Preloaded>,
    faults: Vec<Fault>,
    master_keys: MasterKeys,
    /// The AP bus, in a mapping of its own.
    inventory: Option<Inventory>,
    /// Or beside the others.
    bus: Option<BusSettings>,
    cards: Option<Cards>,
    queues: Option<Queues>,
    events: Option<Vec<Planned>>,
    /// Of a row alone; nothing of it is for the machine.
    id: IgnoredAny,
    title: IgnoredAny,
    shows: IgnoredAny,
    config: IgnoredAny,
    flags: IgnoredAny,
    steps: IgnoredAny,
    lockfile: IgnoredAny,
    reference: IgnoredAny,
    ideal: IgnoredAny,
}

impl File {
    fn bus(&mut self) -> Result<Bus, Error> {
        let beside = Inventory {
            bus: self.bus.take(),
            cards: self.cards.take(),
            queues: self.queues.take(),
            events: self.events.take(),
        };
        let inventory = match self.inventory.take() {
            Some(_) if !beside.is_empty() => {
                let both = "'bus', 'cards', 'queues' and 'events' stand inside 'inventory' or beside it, not both";
                return Err(Error::Bus(both.into()));
            }
            Some(inventory) => inventory,
            None => beside,
        };
        inventory.bus(&self.master_keys).map_err(Error::Bus)
    }
}

/// An association secret that is in the store from the beginning. Its id is the SHA-256 of the name, its index the
/// position, unless said.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Preloaded {
    Name(String),
    Explicit {
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        id: Option<Hex<32>>,
        #[serde(default)]
        index: Option<u16>,
    },
}

/// What a new machine has in common with others.
#[derive(Clone, Debug, Default)]
pub struct Kin {
    /// The folder of a machine that this one is, with another image.
    pub machine: Option<PathBuf>,
    /// The folder of a machine whose authorities vouch for this one.
    pub authorities: Option<PathBuf>,
    /// The address below which certificates say that CRLs are: `root-ca.crl`, `intermediate.crl`, `signing-key.crl`.
    /// Those of other machines stay as they are.
    pub crl_address: Option<String>,
}

impl Machine {
    /// Makes a machine in `folder`, which must not exist or be empty, and starts its guest.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::Inventory`], [`Error::Fault`], [`Error::File`], [`Error::OpenSsl`].
    pub fn init(folder: &Path, inventory: Option<&str>) -> Result<Self, Error> {
        Self::init_among(folder, inventory, &Kin::default())
    }

    /// The same, with things in common with other machines.
    ///
    /// # Errors
    /// As for [`Machine::init`].
    pub fn init_among(folder: &Path, inventory: Option<&str>, kin: &Kin) -> Result<Self, Error> {
        let inventory = inventory.unwrap_or(ap::inventory::DEFAULT);
        let mut parsed: File = serde_yaml::from_str(inventory).map_err(Error::Inventory)?;
        parsed.faults.iter().try_for_each(Fault::check)?;
        let bus = parsed.bus()?;
        let host_key = match &kin.machine {
            Some(machine) => HostKey::from_pem(&super::read(machine, HOST_KEY)?)?,
            None => HostKey::generate()?,
        };
        make_folder(folder)?;
        let trust = trust_files(&host_key, kin)?;
        let document = trust.iter().find(|(file, _)| *file == HOST_KEY_DOCUMENT).map(|(_, pem)| pem.as_slice());
        let document = X509::from_pem(document.unwrap_or_default())?;
        let (image_file, header) = boot_image::make(&document, &parsed.guest, &host_key)?;
        let mut firmware_state = [0; 320];
        rand_bytes(&mut firmware_state)?;
        let image = BootImage::open(&header, &host_key)?;
        let platform = Platform { host_key, image, settings: parsed.guest, firmware_state };
        let mut guest = Guest::boot(&platform, 1)?;
        guest.secrets = preloaded(parsed.secrets)?;

        let key = platform.host_key.to_pem()?;
        for (file, content) in trust {
            replace(folder, file, &content)?;
        }
        let files: [(&'static str, &[u8]); 6] = [
            (HOST_KEY, key.expose()),
            (HEADER, &header),
            (IMAGE, &image_file),
            (CCK, &platform.image.secrets.cck),
            (INVENTORY, inventory.as_bytes()),
            (FIRMWARE_STATE, &firmware_state),
        ];
        for (file, content) in files {
            replace(folder, file, content)?;
        }
        store(folder, SETTINGS, &platform.settings)?;
        store(folder, FAULTS, &parsed.faults)?;
        ap::store::begin(folder, bus)?;
        // Last: a folder with a guest is a whole machine.
        store(folder, GUEST, &guest)?;
        Ok(Self { folder: folder.to_owned(), platform })
    }
}

/// What a machine's bus and store were exchanged for, and what of it is still to come.
#[derive(Debug)]
pub(crate) struct Exchanged {
    begins: Bus,
    faults: Vec<Fault>,
}

impl Exchanged {
    /// The queues that somebody in the guest has set offline.
    pub(crate) fn offline(&self) -> impl Iterator<Item = QueueId> {
        self.begins.queues.iter().filter(|(_, queue)| !queue.online).map(|(id, _)| *id)
    }

    /// What each queue is to begin with.
    pub(crate) fn states(&self) -> impl Iterator<Item = (QueueId, Situation)> {
        self.begins.queues.iter().map(|(id, queue)| (*id, queue.situation()))
    }
}

impl Machine {
    /// Puts the AP bus and the secrets of another inventory in the place of those that a real kernel has, with all queues
    /// unbound. Faults and events come with [`Machine::begin_row`].
    pub(crate) fn exchange_bus(&self, inventory: &str) -> Result<Exchanged, Error> {
        let mut parsed: File = serde_yaml::from_str(inventory).map_err(Error::Inventory)?;
        parsed.faults.iter().try_for_each(Fault::check)?;
        let begins = parsed.bus()?;
        let lock = self.lock()?;
        let mut guest = lock.guest()?;
        guest.secrets = preloaded(parsed.secrets)?;
        guest.locked = false;
        lock.save(GUEST, &guest)?;
        lock.set_faults(&[])?;
        let mut fresh = begins.clone();
        fresh.restart();
        self.replace_bus(&lock, fresh)?;
        Ok(Exchanged { begins, faults: parsed.faults })
    }

    /// Lets faults and events of an inventory come, and forgets what was written so far.
    pub(crate) fn begin_row(&self, exchanged: Exchanged) -> Result<(), Error> {
        let lock = self.lock()?;
        lock.set_faults(&exchanged.faults)?;
        self.begin_bus(&lock, &exchanged.begins)
    }
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let file = |source| Error::Folder { folder: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(file)?;
    match fs::read_dir(folder).map_err(file)?.next() {
        Some(_) => Err(Error::NotEmpty(folder.to_owned())),
        None => Ok(()),
    }
}

fn preloaded(secrets: Vec<Preloaded>) -> Result<Vec<StoredSecret>, Error> {
    let stored = secrets.into_iter().enumerate().map(|(position, secret)| {
        let (name, id, index) = match secret {
            Preloaded::Name(name) => (Some(name), None, None),
            Preloaded::Explicit { name, id, index } => (name, id, index),
        };
        let id = match (id, name) {
            (Some(id), _) => id,
            (None, name) => Hex(sha256(name.unwrap_or_default().as_bytes())),
        };
        let mut secret = vec![0; 32];
        rand_bytes(&mut secret)?;
        Ok(StoredSecret { index: index.unwrap_or(position as u16), kind: 2, id, length: 32, secret })
    });
    stored.collect()
}

/// Files of the authorities, which all machines under them have.
const AUTHORITIES: [&str; 7] = [
    SIGNING_KEY,
    "signing-key.crt",
    "intermediate.crt",
    "root-ca.crt",
    "signing-key.crl",
    "intermediate.crl",
    "root-ca.crl",
];
const SIGNING_KEY: &str = "signing-key.key";

/// What a workstation needs to trust the machine's host key: its host-key document, the certificates and CRLs behind it.
/// And the signing key, for the documents of other machines.
fn trust_files(host_key: &HostKey, kin: &Kin) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
    let from = |folder: &Path, files: &[&'static str]| -> Result<Vec<_>, Error> {
        files.iter().map(|file| Ok((*file, super::read(folder, file)?))).collect()
    };
    if let Some(machine) = &kin.machine {
        return from(machine, &[&[HOST_KEY_DOCUMENT][..], &AUTHORITIES].concat());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let mut plan = Plan::new(&Keys::quick(host_key)?, i64::try_from(now).unwrap_or(i64::MAX));
    if let Some(address) = &kin.crl_address {
        let point = |name: &str| vec![vec![format!("{}/{name}", address.trim_end_matches('/'))]];
        plan.host_key.distribution_points = point("signing-key.crl");
        plan.signing_key.distribution_points = point("intermediate.crl");
        plan.intermediate.distribution_points = point("root-ca.crl");
        plan.root.distribution_points = point("root-ca.crl");
    }
    if let Some(folder) = &kin.authorities {
        let mut files = from(folder, &AUTHORITIES)?;
        let signing_key = Authority {
            certificate: X509::from_pem(&super::read(folder, "signing-key.crt")?)?,
            key: PKey::private_key_from_pem(&super::read(folder, SIGNING_KEY)?)?,
        };
        let mut serial = [0; 4];
        rand_bytes(&mut serial)?;
        plan.host_key.serial = u32::from_be_bytes(serial);
        files.push((HOST_KEY_DOCUMENT, plan.host_key.issue(Some(&signing_key))?.certificate.to_pem()?));
        return Ok(files);
    }
    let pki = plan.build()?;
    let [root_crl, intermediate_crl, signing_key_crl] = &pki.crls;
    Ok(vec![
        (HOST_KEY_DOCUMENT, pki.host_key_document.to_pem()?),
        (SIGNING_KEY, pki.signing_key.key.private_key_to_pem_pkcs8()?),
        ("signing-key.crt", pki.signing_key.certificate.to_pem()?),
        ("intermediate.crt", pki.intermediate.certificate.to_pem()?),
        ("root-ca.crt", pki.root.certificate.to_pem()?),
        ("signing-key.crl", signing_key_crl.to_pem()?),
        ("intermediate.crl", intermediate_crl.to_pem()?),
        ("root-ca.crl", root_crl.to_pem()?),
    ])
}
