//! The add-secret request that ties a Crypto Express queue to a guest, as a key broker stores it for a pod.
//!
//! Usage: `association_secret IMAGE HOST_KEY_DOCUMENT NAME OUT`
//!
//! The host-key document is taken on trust here. Whoever makes requests that matter verifies it with
//! [`hostkey::Verifier`]: the owner of a wrong key can read the secret.

use hostkey::HostKeyDocument;
use openssl::rand::rand_priv_bytes;
use sehdr::{SeHeader, Search, locate};
use std::error::Error;
use std::fs::{self, File};
use std::io::{Write, stdout};
use uvrequest::secret::{AddSecretRequest, AddSecretRequestView, GuestSecret};
use uvtypes::{SecretBox, SecretId};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [image, host_key, name, out] = arguments.as_slice() else {
        return Err("usage: association_secret IMAGE HOST_KEY_DOCUMENT NAME OUT".into());
    };
    let found = locate(&mut File::open(image)?, Search::Everywhere)?;
    let boot_tags = SeHeader::parse(&found.bytes)?.boot_tags().clone();
    let host_key = HostKeyDocument::parse(&fs::read(host_key)?)?.trust_unverified();

    let mut secret = SecretBox::<[u8; 32]>::zeros();
    rand_priv_bytes(secret.expose_mut())?;
    let id = SecretId::of_name(name);
    let request = AddSecretRequest::new(boot_tags, GuestSecret::Association { id, secret }).seal(&[host_key])?;

    // What anybody can read of it, the broker, too.
    let view = AddSecretRequestView::parse(&request)?;
    fs::write(out, &request)?;
    writeln!(stdout(), "{} bytes for {} machine, secret id {id}", request.len(), view.host_keys().len())?;
    Ok(())
}
