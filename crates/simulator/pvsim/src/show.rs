//! What the ultravisor knows, for people and for tests: also what no guest may see.

use crate::ap::ShownBus;
use crate::{Error, Fault, Guest, Hex, Machine, Settings};
use serde::Serialize;
use std::fmt::Write as _;
use uvtypes::{SecretId, SecretKind};

/// A machine's whole state; [`Shown::to_json`] has its fields as keys.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// SHA-256 over the host key's coordinates.
    pub host_key_hash: Hex<32>,
    /// The tag of the SE header.
    pub header_tag: Hex<16>,
    /// What kernel and firmware can do.
    pub settings: Settings,
    /// The running guest, decrypted secrets included.
    pub guest: Guest,
    /// What is ordered to go wrong.
    pub faults: Vec<Fault>,
    /// The AP bus.
    pub bus: ShownBus,
}

impl Machine {
    /// Its state now.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Content`].
    pub fn show(&self) -> Result<Shown, Error> {
        let platform = self.platform();
        Ok(Shown {
            host_key_hash: Hex(platform.host_key.hash()),
            header_tag: Hex(platform.image.tag),
            settings: platform.settings.clone(),
            guest: self.guest()?,
            faults: self.faults()?,
            bus: self.show_bus()?,
        })
    }
}

impl Shown {
    /// As JSON.
    ///
    /// # Errors
    /// [`Error::Json`].
    pub fn to_json(&self) -> Result<String, Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let guest = &self.guest;
        let lines = [
            ("host key", self.host_key_hash.to_string()),
            ("SE header tag", self.header_tag.to_string()),
            ("boot", guest.boot.to_string()),
            ("CUID", guest.cuid.to_string()),
            ("CCK", guest.cck.to_string()),
            ("extension secret", guest.extension_secret.map_or("not fixed yet".into(), |secret| secret.to_string())),
            ("dump allowed", yes_no(guest.dump_allowed)),
            ("secret store locked", yes_no(guest.locked)),
            ("requests added", guest.request_tags.len().to_string()),
            ("secrets", guest.secrets.len().to_string()),
        ];
        let mut text = String::new();
        for (name, value) in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<20} {value}");
        }
        for secret in &guest.secrets {
            let (kind, id) = (SecretKind(secret.kind), SecretId(secret.id.0));
            let _ = writeln!(text, "\n{} {kind}, id {id}", secret.index);
            let _ = writeln!(text, "  {}", hex::encode(&secret.secret));
        }
        for fault in &self.faults {
            let command = fault.command.as_deref().map(|command| format!(" {command}")).unwrap_or_default();
            let queue = fault.queue.as_deref().map(|queue| format!(" {queue}")).unwrap_or_default();
            let Fault { op, act, skip, count, .. } = fault;
            let _ = writeln!(text, "\nordered fault: {op}{command}{queue}: {act}, skips {skip}, strikes {count}");
        }
        text + &self.bus.to_text()
    }
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.into()
}
