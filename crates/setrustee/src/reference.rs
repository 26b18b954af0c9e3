//! Reference values: what a guest of ours may say of itself.

use crate::Error;
use crate::encoding::base64;
use sehdr::SeHeader;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use uvtypes::HostKeyHash;

/// The names under which the values are registered. Trustee itself defines none for Secure Execution.
pub(crate) const TAGS: &str = "se_tag";
pub(crate) const IMAGE_HOST_KEYS: &str = "se_image_phkh";
pub(crate) const ATTESTATION_HOST_KEYS: &str = "se_attestation_phkh";

/// An image that may be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// Name of the image's file, for comments in what is generated.
    pub name: String,
    /// The tag of its SE header.
    pub tag: [u8; 16],
    /// The machines that can start it.
    pub host_keys: Vec<HostKeyHash>,
}

impl ImageReference {
    /// The image with this header.
    pub fn new(name: impl Into<String>, header: &SeHeader) -> Self {
        let host_keys = header.host_key_hashes().collect();
        Self { name: name.into(), tag: header.boot_tags().tag, host_keys }
    }
}

/// A machine that guests may run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineReference {
    /// Name of the host-key document's file, for comments in what is generated.
    pub name: String,
    /// Host-key hash of the machine.
    pub host_key: HostKeyHash,
}

/// Images and machines that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceValues {
    images: Vec<ImageReference>,
    machines: Vec<MachineReference>,
}

impl ReferenceValues {
    /// These images on these machines; without machines, on all that the images were made for.
    ///
    /// # Errors
    /// [`Error::NoImages`].
    pub fn new(images: Vec<ImageReference>, machines: Vec<MachineReference>) -> Result<Self, Error> {
        if images.is_empty() { Err(Error::NoImages) } else { Ok(Self { images, machines }) }
    }

    /// The images that guests may run.
    pub fn images(&self) -> &[ImageReference] {
        &self.images
    }

    /// Tags of the images as the claim `tag` has them: 32 lower-case hex digits.
    pub fn tags(&self) -> BTreeSet<String> {
        self.images.iter().map(|image| hex::encode(image.tag)).collect()
    }

    /// Hashes of the host keys that may open an image or a request, as the claims `image_phkh` and `attestation_phkh`
    /// have them: 64 lower-case hex digits.
    pub fn host_keys(&self) -> BTreeSet<String> {
        if self.machines.is_empty() {
            return self.images.iter().flat_map(|image| &image.host_keys).map(|hash| format!("{hash:x}")).collect();
        }
        self.machines.iter().map(|machine| format!("{:x}", machine.host_key)).collect()
    }

    /// Machines for which none of the images was made, and images that were made for none of the machines: a guest that
    /// would pass does not exist.
    pub fn strangers(&self) -> Vec<String> {
        let machines = self.machines.iter().filter(|machine| !self.images.iter().any(|image| image.runs_on(machine)));
        let images = self.images.iter().filter(|image| !self.machines.iter().any(|machine| image.runs_on(machine)));
        let machines = machines.map(|machine| format!("no image has a key slot for '{}'", machine.name));
        let images = images.filter(|_| !self.machines.is_empty());
        machines
            .chain(images.map(|image| format!("'{}' has a key slot for none of the host keys", image.name)))
            .collect()
    }

    /// The values as text for people, one image after the other.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for image in &self.images {
            text += &format!("image {}\n  tag         {}\n", image.name, hex::encode(image.tag));
            for host_key in &image.host_keys {
                let machine = self.machines.iter().find(|machine| machine.host_key == *host_key);
                let name = machine.map(|machine| format!("  {}", machine.name)).unwrap_or_default();
                text += &format!("  image_phkh  {host_key:x}{name}\n");
            }
        }
        for host_key in self.host_keys() {
            text += &format!("attestation_phkh  {host_key}\n");
        }
        text
    }

    /// The values as JSON for programs: lists by name, and what each image is.
    pub fn to_json(&self) -> Value {
        let images = self.images.iter().map(|image| {
            let host_keys: Vec<_> = image.host_keys.iter().map(|hash| format!("{hash:x}")).collect();
            json!({ "file": image.name, "tag": hex::encode(image.tag), "image_phkh": host_keys })
        });
        json!({ "images": images.collect::<Vec<_>>(), "reference_values": self.by_name() })
    }

    /// The body of `POST /kbs/v0/reference-value`: version `0.1.0`, extractor `sample`, and as payload the base64 text of
    /// a JSON object, name to list.
    pub fn to_rvps(&self) -> Value {
        let payload = base64(Value::Object(self.by_name()).to_string().as_bytes());
        json!({ "version": "0.1.0", "type": "sample", "payload": payload })
    }

    fn by_name(&self) -> Map<String, Value> {
        let lists =
            [(TAGS, self.tags()), (IMAGE_HOST_KEYS, self.host_keys()), (ATTESTATION_HOST_KEYS, self.host_keys())];
        lists.into_iter().map(|(name, list)| (name.to_owned(), json!(list))).collect()
    }
}

impl ImageReference {
    fn runs_on(&self, machine: &MachineReference) -> bool {
        self.host_keys.contains(&machine.host_key)
    }
}
