//! The list of secrets, as the driver wrote it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uvtypes::{SecretId, SecretList};

fn fuzz(bytes: &[u8]) {
    let Ok(list) = SecretList::parse(bytes) else { return };
    assert!(bytes.starts_with(list.as_bytes()));
    assert_eq!(list.as_bytes().len(), 16 + 48 * list.secrets.len());
    assert!(list.secrets.len() <= usize::from(list.total));
    for secret in &list.secrets {
        assert_eq!(secret.id.to_string().parse::<SecretId>().unwrap(), secret.id);
        assert!(secret.id.as_name().is_none_or(|name| secret.id.0.starts_with(name.as_bytes())));
        let _ = secret.kind.to_string();
    }
    assert_eq!(SecretList::parse(list.as_bytes()).unwrap(), list, "what follows a list does not matter");
    SecretList::parse(&list.as_bytes()[..list.as_bytes().len() - 1]).expect_err("a list that is cut");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
