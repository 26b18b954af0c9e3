//! Attestation requests of both sides, each read by the other.

mod machine;

use machine::{MACHINE, public};
use pvsim::open::AttestationRequest as Firmware;
use s390_pv::attest::{
    AttestationFlags as TheirFlags, AttestationMeasAlg, AttestationRequest as Theirs, AttestationVersion,
};
use s390_pv::request::{Confidential, ReqEncrCtx, Request, SymKey, SymKeyType};
use uvrequest::attest::AttestationRequest;
use uvtypes::attestation::AttestationFlags;

type Row = (&'static str, fn(&mut TheirFlags), AttestationFlags);

fn rows() -> [Row; 6] {
    [
        ("plain", |_| {}, AttestationFlags::NONCE),
        ("phkh-img", TheirFlags::set_image_phkh, AttestationFlags::IMAGE_HOST_KEY),
        ("phkh-att", TheirFlags::set_attest_phkh, AttestationFlags::ATTESTATION_HOST_KEY),
        ("secret-store-hash", TheirFlags::set_secret_store_hash, AttestationFlags::SECRET_STORE_HASH),
        ("firmware-state", TheirFlags::set_firmware_state, AttestationFlags::FIRMWARE_STATE),
        (
            "two",
            |flags| {
                flags.set_image_phkh();
                flags.set_firmware_state();
            },
            AttestationFlags::IMAGE_HOST_KEY.with(AttestationFlags::FIRMWARE_STATE),
        ),
    ]
}

fn seen(flags: &TheirFlags) -> [bool; 4] {
    [flags.image_phkh(), flags.attest_phkh(), flags.secret_store_hash(), flags.firmware_state()]
}

#[test]
fn requests_of_either_side_are_read_by_the_other() {
    for (name, set, ours) in rows() {
        let mut flags = TheirFlags::default();
        set(&mut flags);
        let mut request = Theirs::new(AttestationVersion::One, AttestationMeasAlg::HmacSha512, flags).unwrap();
        request.add_hostkey(public(MACHINE.key.private_key()));
        let expected = seen(request.flags());
        let theirs = request.encrypt(&ReqEncrCtx::random(SymKeyType::Aes256Gcm).unwrap()).unwrap();
        let request = AttestationRequest::new(ours.with(AttestationFlags::NONCE));
        let (ours, arpk) = request.seal(std::slice::from_ref(&MACHINE.trusted)).unwrap();

        // The simulated firmware opens both, and both ask for the same.
        let their_open = Firmware::parse(&theirs).unwrap().open(&MACHINE.key).unwrap();
        let our_open = Firmware::parse(&ours).unwrap().open(&MACHINE.key).unwrap();
        assert_eq!(theirs.len(), ours.len(), "{name}");
        assert_eq!(their_open.request.flags, our_open.request.flags, "{name}");
        assert_eq!(their_open.request.algorithm, our_open.request.algorithm, "{name}");
        assert_eq!(their_open.nonce.is_some(), our_open.nonce.is_some(), "{name}");

        // The library decrypts ours with the key that we keep, and sees what we asked for.
        assert_eq!(seen(Theirs::auth_bin(&ours).unwrap().flags()), expected, "{name}");
        let key =
            |bytes: &[u8]| SymKey::try_from_data(SymKeyType::Aes256Gcm, Confidential::new(bytes.to_vec())).unwrap();
        let (authenticated, _) = Theirs::decrypt_bin(&ours, &key(arpk.expose())).unwrap();
        assert_eq!(seen(authenticated.flags()), expected, "{name}");
        assert!(Theirs::decrypt_bin(&ours, &key(&[0; 32])).is_err(), "{name}: a wrong key");
    }
    println!("{} attestation requests", 2 * rows().len());
}
