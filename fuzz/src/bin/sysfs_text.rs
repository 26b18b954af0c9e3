//! Texts of the AP bus's attributes.
#![no_main]

use apbus::text::{association, card_type, current_wrapping_key, functions};
use apbus::{Apqn, MasterKey, State};
use libfuzzer_sys::fuzz_target;

fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        if let Some((mode, generation)) = card_type(line) {
            assert!(line.starts_with(&generation.to_string()), "{line:?}: {mode:?}");
        }
        if functions(line).is_some() {
            assert!(line.starts_with("0x") && line.is_ascii());
        }
        if let Some(state) = association(line) {
            assert!(matches!(state, State::Bound | State::Pending | State::Associated(_)));
        }
        if let Ok(apqn) = line.parse::<Apqn>() {
            assert_eq!(apqn.to_string().parse(), Ok(apqn));
        }
    }
    if let MasterKey::Valid(mkvp) = current_wrapping_key(&text) {
        assert!(text.to_lowercase().contains(&mkvp.to_string()));
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
