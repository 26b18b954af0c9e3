//! The add-secret command.

use super::{Failure, Refusal, Ultravisor};
use crate::guest::StoredSecret;
use crate::hexed::Hex;
use crate::image::{SCF_CCK_EXTENSION_SECRET, SCF_CCK_UPDATE};
use crate::open::{AddSecretRequest, OpenAddSecret};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// Flag of a request: the guest may not be dumped from now on.
const FLAG_DISABLE_DUMP: u64 = 1 << 63;
/// A protected key is that much longer than the key in it.
const PROTECTION: usize = 32;
/// A request that is not bound to one guest.
const ANY_GUEST: [u8; 16] = [0; 16];

/// What the ultravisor knows about a kind of secret.
pub(super) struct Rule {
    kind: u16,
    /// What decoded requests call it.
    name: &'static str,
    /// Bytes of its stored form; 0 for [`Retrieval::AsIs`], which has its own rule.
    length: usize,
    pub(super) retrieval: Retrieval,
}

/// What becomes of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Retrieval {
    /// It is not stored.
    Nothing,
    /// It is stored, and no guest gets it back.
    Never,
    /// The guest gets it as it is.
    AsIs,
    /// The guest gets a protected key.
    Protected,
}

const fn rule(kind: u16, name: &'static str, length: usize, retrieval: Retrieval) -> Rule {
    Rule { kind, name, length, retrieval }
}

const META: u16 = 0x01;
const UPDATE_CCK: u16 = 0x16;
const PLAINTEXT_MAX: usize = 8192;
const RULES: &[Rule] = &[
    rule(META, "meta", 0, Retrieval::Nothing),
    rule(0x02, "association", 32, Retrieval::Never),
    rule(0x03, "plaintext", 0, Retrieval::AsIs),
    rule(0x04, "aes-128", 16, Retrieval::Protected),
    rule(0x05, "aes-192", 24, Retrieval::Protected),
    rule(0x06, "aes-256", 32, Retrieval::Protected),
    rule(0x07, "aes-xts-128", 32, Retrieval::Protected),
    rule(0x08, "aes-xts-256", 64, Retrieval::Protected),
    rule(0x09, "hmac-sha-256", 64, Retrieval::Protected),
    rule(0x0a, "hmac-sha-512", 128, Retrieval::Protected),
    rule(0x11, "ec-secp256r1", 32, Retrieval::Protected),
    rule(0x12, "ec-secp384r1", 48, Retrieval::Protected),
    rule(0x13, "ec-secp521r1", 80, Retrieval::Protected),
    rule(0x14, "ed25519", 32, Retrieval::Protected),
    rule(0x15, "ed448", 64, Retrieval::Protected),
    rule(UPDATE_CCK, "update-cck", 32, Retrieval::Nothing),
];

/// The kinds that can be in a request: bit n, counted from the most significant, stands for kind n.
pub(crate) const KINDS: u64 = {
    let (mut kinds, mut at) = (0, 0);
    while at < RULES.len() {
        kinds |= 1 << (63 - RULES[at].kind);
        at += 1;
    }
    kinds
};

/// The name of a kind in decoded requests.
pub(crate) fn kind_name(kind: u16) -> &'static str {
    Rule::of(kind).map_or("?", |rule| rule.name)
}

impl Rule {
    pub(super) fn of(kind: u16) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.kind == kind)
    }

    fn fits(&self, length: usize) -> bool {
        match self.retrieval {
            Retrieval::AsIs => length > 0 && length <= PLAINTEXT_MAX && length % 16 == 0,
            _ => length == self.length,
        }
    }
}

impl Ultravisor<'_> {
    /// Adds the secret in a request to the store, or does what a request without a secret asks for. The checks come
    /// in the order of the documents: what can be seen from outside, decryption, flags, who may add, the secret.
    ///
    /// # Errors
    /// One of the `Add` rows of [`Refusal`].
    pub fn add_secret(&mut self, request: &[u8]) -> Result<(), Failure> {
        if self.guest.locked {
            return Err(Refusal::AddLocked.into());
        }
        let request = AddSecretRequest::parse(request).map_err(|error| Refusal::of_add_secret(&error))?;
        let rule = Rule::of(request.secret_header.kind);
        if rule.is_some_and(|rule| (rule.kind == META) != request.secret_header.id.is_none()) {
            return Err(Refusal::AddSize.into());
        }
        let open = request.open(&self.platform.host_key).map_err(|error| Refusal::of_add_secret(&error))?;
        if open.request.flags & !FLAG_DISABLE_DUMP != 0 {
            return Err(Refusal::AddFlags.into());
        }
        self.check_target(&open.request)?;
        self.check_extension_secret(open.extension_secret.expose())?;
        let rule = rule.ok_or(Refusal::AddKind)?;
        if !rule.fits(open.secret.expose().len()) {
            return Err(Refusal::AddLength.into());
        }
        match rule.retrieval {
            Retrieval::Nothing if rule.kind == UPDATE_CCK => self.update_cck(open.secret.expose())?,
            Retrieval::Nothing => {}
            _ => self.store(rule, &open)?,
        }
        if open.request.flags & FLAG_DISABLE_DUMP != 0 {
            self.guest.dump_allowed = false;
        }
        if let Ok(fixed) = open.extension_secret.expose().as_slice().try_into() {
            self.guest.extension_secret.get_or_insert(Hex(fixed));
        }
        self.guest.request_tags.push(Hex(open.request.frame.tag));
        Ok(())
    }

    /// Is the request for this image, and for this start of it?
    fn check_target(&self, request: &AddSecretRequest) -> Result<(), Refusal> {
        let image = &self.platform.image;
        let digests = [request.page_list_digest, request.address_list_digest, request.tweak_list_digest].concat();
        if digests != image.digests || request.header_tag != image.tag {
            return Err(Refusal::AddOtherImage);
        }
        if request.cuid != ANY_GUEST && request.cuid != self.guest.cuid.0 {
            return Err(Refusal::AddOtherGuest);
        }
        Ok(())
    }

    /// The extension secret is the one made of the CCK if the SE header demands that, else the one of the first
    /// request.
    fn check_extension_secret(&self, found: &[u8]) -> Result<(), Failure> {
        let required = if self.platform.image.secrets.secret_control_flags & SCF_CCK_EXTENSION_SECRET != 0 {
            Some(extension_secret(&self.guest.cck.0, &self.platform.image.tag)?)
        } else {
            self.guest.extension_secret.map(|fixed| fixed.0)
        };
        match required {
            Some(required) if required != found => Err(Refusal::AddExtensionSecret.into()),
            _ => Ok(()),
        }
    }

    fn update_cck(&mut self, cck: &[u8]) -> Result<(), Refusal> {
        if self.platform.image.secrets.secret_control_flags & SCF_CCK_UPDATE == 0 {
            return Err(Refusal::AddCckFixed);
        }
        self.guest.cck = Hex(cck.try_into().map_err(|_| Refusal::AddLength)?);
        Ok(())
    }

    fn store(&mut self, rule: &Rule, open: &OpenAddSecret) -> Result<(), Refusal> {
        let limits = &self.platform.settings;
        let (association, retrievable): (Vec<_>, Vec<_>) = self
            .guest
            .secrets
            .iter()
            .partition(|secret| Rule::of(secret.kind).is_some_and(|rule| rule.retrieval == Retrieval::Never));
        if rule.retrieval == Retrieval::Never && association.len() >= limits.max_association {
            return Err(Refusal::AddAssociationFull);
        }
        if rule.retrieval != Retrieval::Never && retrievable.len() >= limits.max_retrievable {
            return Err(Refusal::AddRetrievableFull);
        }
        let next = self.guest.secrets.iter().map(|secret| usize::from(secret.index) + 1).max().unwrap_or(0);
        let index = u16::try_from(next).map_err(|_| Refusal::AddFull)?;
        if self.guest.secrets.len() >= limits.max_secrets {
            return Err(Refusal::AddFull);
        }
        let secret = open.secret.expose().clone();
        let retrieved = secret.len() + if rule.retrieval == Retrieval::Protected { PROTECTION } else { 0 };
        self.guest.secrets.push(StoredSecret {
            index,
            kind: rule.kind,
            id: Hex(open.request.secret_header.id.ok_or(Refusal::AddSize)?),
            length: retrieved as u32,
            secret,
        });
        Ok(())
    }
}

/// HKDF (RFC 5869) with SHA-512: input the CCK, salt the tag of the SE header, 32 bytes out, which is less than one
/// block of the hash.
pub(crate) fn extension_secret(cck: &[u8; 32], header_tag: &[u8; 16]) -> Result<[u8; 32], ErrorStack> {
    let extracted = hmac(header_tag, &[cck])?;
    let block = hmac(&extracted, &[b"IBM Z Ultravisor Add-Secret", &[1]])?;
    let mut secret = [0; 32];
    for (to, from) in secret.iter_mut().zip(block) {
        *to = from;
    }
    Ok(secret)
}

/// HMAC-SHA-512 over `parts`, one after another.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha512(), &key)?;
    for part in parts {
        signer.update(part)?;
    }
    signer.sign_to_vec()
}
