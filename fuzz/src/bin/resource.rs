//! Names of resources, patterns of master keys, identities of secrets, stored pairs, environment files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use setrustee::verifier::check_environment;
use setrustee::{Error, MAX_RESOURCE, RequestContext, ResourcePath, SecretIdentity, SecretPair, mkvp, parse_secret_id};

/// Images and machines that no request is for.
fn strange() -> RequestContext {
    let tags = sehdr::BootTags {
        page_list_digest: [0; 64],
        address_list_digest: [0; 64],
        tweak_list_digest: [0; 64],
        tag: [0; 16],
    };
    RequestContext { images: vec![tags], host_keys: vec![uvtypes::HostKeyHash::sha256([0; 32])] }
}

fn fuzz(bytes: &[u8]) {
    // A pair is split where the first byte says, in steps of eight bytes.
    if let Some((place, rest)) = bytes.split_first() {
        let (secret, id) = rest.split_at(rest.len().min(usize::from(*place) * 8));
        for context in [RequestContext::default(), strange()] {
            for finding in SecretPair::check_stored("pair", secret, id, &context) {
                assert!(!finding.to_string().contains(char::is_control));
            }
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = ResourcePath::parse(text) {
        assert_eq!(path.to_string(), text);
        assert!(path.parts().iter().all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains('/')));
        assert!(!path.local_fs_name().contains('/'));
    }
    if let Ok(mkvp) = mkvp(text) {
        let digits = mkvp.to_string();
        assert!(digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }
    let _ = parse_secret_id(text);
    if let Ok(identity) = SecretIdentity::parse(text) {
        let pair = SecretPair::new(apbus::Mkvp([0; 16]), bytes.to_vec(), &identity);
        assert!(matches!(pair, Err(Error::AddSecretRequest(_))), "a request is no text");
        assert!(bytes.len() <= MAX_RESOURCE);
    }
    for finding in check_environment("environment", text) {
        assert!(!finding.to_string().contains(char::is_control));
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
