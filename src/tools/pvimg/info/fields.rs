//! The fields of a header, as text and JSON.

use openssl::base64;
use sehdr::{HeaderSecrets, SeHeader};
use serde_json::{Value, json};
use std::fmt::Write;
use uvtypes::KeySlot;
use uvtypes::flags::{self, Flag, pcf, scf};
use zeroize::Zeroizing;

/// A header, and what is to be seen of it.
pub(super) struct Shown<'a> {
    pub(super) header: &'a SeHeader,
    pub(super) bytes: &'a [u8],
    /// When it was authenticated.
    pub(super) secrets: Option<&'a HeaderSecrets>,
    pub(super) show_secrets: bool,
}

impl Shown<'_> {
    pub(super) fn json(&self) -> Result<Value, sehdr::Error> {
        let sealed = self.header.sealed(self.bytes)?;
        let tags = self.header.boot_tags();
        let slots: Vec<_> = self.header.key_slots().iter().filter_map(slot_json).collect();
        let mut data = json!({
            "kind": "se_hdr",
            "verified": self.secrets.is_some(),
            "magic_hex": hex::encode(sehdr::MAGIC),
            "version": "V1",
            "sehs": self.header.size(),
            "iv_hex": hex::encode(self.header.iv()),
            "nks": slots.len(),
            "sea": self.header.encrypted_size(),
            "nep": self.header.encrypted_pages(),
            "pcf_hex": format!("{:016x}", self.header.plaintext_control_flags()),
            "cust_pub_key": { "coord_hex": hex::encode(self.header.customer_coordinates()) },
            "pld_hex": hex::encode(tags.page_list_digest),
            "ald_hex": hex::encode(tags.address_list_digest),
            "tld_hex": hex::encode(tags.tweak_list_digest),
            "keyslots": slots,
            "tag_hex": hex::encode(tags.tag),
        });
        // Without secrets, the encrypted part stays encrypted: the schema of s390-tools knows nothing between.
        let mut more = match self.secrets.filter(|_| self.show_secrets) {
            None => json!({ "cipher_data_b64": base64::encode_block(sealed.encrypted) }),
            Some(secrets) => json!({
                "kind": "decrypted_se_hdr",
                "psw": {
                    "mask_hex": format!("{:016x}", secrets.psw_mask),
                    "addr_hex": format!("{:016x}", secrets.psw_address),
                },
                "scf_hex": format!("{:016x}", secrets.secret_control_flags),
                "cck_hex": hex::encode(secrets.cck.expose()),
                "xts_hex": hex::encode(secrets.image_key.expose()),
            }),
        };
        if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object_mut()) {
            data.append(more);
        }
        Ok(data)
    }

    /// A line for each field. Wiped when dropped: the keys may be in it.
    pub(super) fn text(&self, full: bool) -> Result<Zeroizing<String>, sehdr::Error> {
        let sealed = self.header.sealed(self.bytes)?;
        let (header, tags) = (self.header, self.header.boot_tags());
        let mut text = Zeroizing::new(String::with_capacity(1 << 14));
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        let authenticated = if self.secrets.is_some() { "yes" } else { "no: its key was not given" };
        line("SE header", "version 1");
        line("authenticated", authenticated);
        line("size", &header.size().to_string());
        line("IV", &hex::encode(header.iv()));
        line("encrypted pages", &header.encrypted_pages().to_string());
        flag_lines("plaintext control flags", header.plaintext_control_flags(), pcf::TABLE, &mut line);
        if full {
            line("customer's coordinates", &hex::encode(header.customer_coordinates()));
        }
        line("page list digest (PLD)", &hex::encode(tags.page_list_digest));
        line("address list digest (ALD)", &hex::encode(tags.address_list_digest));
        line("tweak list digest (TLD)", &hex::encode(tags.tweak_list_digest));
        line("key slots", &header.key_slots().len().to_string());
        for slot in header.key_slots() {
            line("  host-key hash", &format!("{:x}", slot.host_key()));
            if let (true, KeySlot::P521 { wrapped, tag, .. }) = (full, slot) {
                line("  wrapped key", &hex::encode(wrapped));
                line("  tag", &hex::encode(tag));
            }
        }
        match self.secrets {
            None if full => line("encrypted", &hex::encode(sealed.encrypted)),
            None => line("encrypted", &format!("{} bytes", sealed.encrypted.len())),
            Some(secrets) => {
                line("PSW mask", &format!("{:#018x}", secrets.psw_mask));
                line("PSW address", &format!("{:#018x}", secrets.psw_address));
                flag_lines("secret control flags", secrets.secret_control_flags, scf::TABLE, &mut line);
                if self.show_secrets {
                    line("CCK", &Zeroizing::new(hex::encode(secrets.cck.expose())));
                    line("image key", &Zeroizing::new(hex::encode(secrets.image_key.expose())));
                }
            }
        }
        line("tag", &hex::encode(tags.tag));
        Ok(text)
    }
}

/// A slot of the one version that the schema of s390-tools knows.
fn slot_json(slot: &KeySlot) -> Option<Value> {
    let KeySlot::P521 { host_key, wrapped, tag } = slot else { return None };
    Some(json!({
        "phkh_hex": format!("{host_key:x}"),
        "wrpk_hex": hex::encode(wrapped),
        "kst_hex": hex::encode(tag),
    }))
}

/// The word, and a line for each flag in it.
fn flag_lines(name: &str, word: u64, known: &[Flag], line: &mut impl FnMut(&str, &str)) {
    line(name, &format!("{word:#018x}"));
    for bit in flags::ones(word) {
        let meaning = flags::find(known, bit).map_or("not known", |flag| flag.name);
        line(&format!("  bit {bit}"), meaning);
    }
}
