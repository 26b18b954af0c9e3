//! The add-secret request, as the product and as the simulated firmware read it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use pvsim::open::AddSecretRequest as Firmware;
use std::sync::LazyLock;
use uvrequest::secret::{AddSecretRequestView, VerifiedUserData};

static KEY: LazyLock<PKey<Public>> = LazyLock::new(|| {
    let group = EcGroup::from_curve_name(Nid::SECP521R1).expect("a known curve");
    let pair = EcKey::generate(&group).expect("a key");
    let public = EcKey::from_public_key(&group, pair.public_key()).expect("its other half");
    PKey::from_ec_key(public).expect("a key")
});

fn fuzz(bytes: &[u8]) {
    let view = AddSecretRequestView::parse(bytes);
    let firmware = Firmware::parse(bytes);
    let Ok(view) = view else { return };
    let firmware = firmware.expect("a request that the product takes is one to the firmware");
    assert_eq!(view.secret_id().map(|id| *id.as_bytes()), firmware.secret_header.id);
    assert_eq!(view.tag(), bytes[bytes.len() - 16..]);
    let _ = view.verify_user_data(None);
    let signed = view.verify_user_data(Some(&KEY));
    assert!(!matches!(signed, Ok(VerifiedUserData::Signed(_))), "nobody else can sign with this key");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
