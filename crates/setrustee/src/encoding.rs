//! Base64 as Trustee writes it, and nothing looser: two texts never mean the same bytes.

use openssl::base64::{decode_block, encode_block};

/// With padding, as in challenges and evidence.
pub(crate) fn base64(bytes: &[u8]) -> String {
    encode_block(bytes)
}

/// The bytes of a padded text; none for anything that [`base64`] would not write.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = decode_block(text).ok()?;
    // OpenSSL skips white space and takes stray bits.
    (encode_block(&bytes) == text).then_some(bytes)
}

/// Without padding and fit for addresses, as in tokens and uploads of policies.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// The bytes of such a text.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    if text.contains(['+', '/', '=']) {
        return None;
    }
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    from_base64(&format!("{}{padding}", text.replace('-', "+").replace('_', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_has_one_text(bytes: Vec<u8>) {
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(from_base64url(&base64url(&bytes)), Some(bytes));
        }

        #[test]
        fn no_other_text_is_taken(text in "[A-Za-z0-9+/=\\-_ \n]{0,24}") {
            if let Some(bytes) = from_base64(&text) {
                prop_assert_eq!(base64(&bytes), text.clone());
            }
            if let Some(bytes) = from_base64url(&text) {
                prop_assert_eq!(base64url(&bytes), text);
            }
        }
    }

    #[test]
    fn loose_texts_are_refused() {
        for text in ["QQ", "QR==", "Q Q==", "QQ==\n", "QQ-_"] {
            assert_eq!(from_base64(text), None, "{text}");
        }
    }
}
