//! The add-secret request, as the product and as the simulated firmware read it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pvsim::open::AddSecretRequest as Firmware;
use uvrequest::secret::AddSecretRequestView;

fn fuzz(bytes: &[u8]) {
    let view = AddSecretRequestView::parse(bytes);
    let firmware = Firmware::parse(bytes);
    let Ok(view) = view else { return };
    let firmware = firmware.expect("a request that the product takes is one to the firmware");
    assert_eq!(view.secret_id().map(|id| *id.as_bytes()), firmware.secret_header.id);
    assert_eq!(view.tag(), bytes[bytes.len() - 16..]);
    let _ = view.verify_user_data(None);
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
