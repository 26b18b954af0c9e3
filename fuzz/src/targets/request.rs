//! The add-secret request, as the product and as the simulated firmware read it.

use pvsim::open::AddSecretRequest as Firmware;
use uvrequest::secret::AddSecretRequestView;

pub(crate) fn fuzz(bytes: &[u8]) {
    let view = AddSecretRequestView::parse(bytes);
    let firmware = Firmware::parse(bytes);
    let Ok(view) = view else { return };
    let firmware = firmware.expect("a request that the product takes is one to the firmware");
    assert_eq!(view.secret_id().map(|id| *id.as_bytes()), firmware.secret_header.id);
    assert_eq!(view.tag(), bytes[bytes.len() - 16..]);
    let _ = view.verify_user_data(None);
}
