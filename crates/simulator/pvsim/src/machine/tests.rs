use super::*;
use crate::device::Write as Copied;
use crate::seal::{AttestDraft, Draft};
use crate::ultravisor::Refusal;
use crate::{HostKey, InProcess};
use nix::libc::{EFAULT, EINVAL, EIO, ENOTTY};
use openssl::sha::sha256;
use tempfile::TempDir;
use uvdevice::Ultravisor as _;
use uvdevice::abi::{AttestArgument, Command, ControlBlock};
use uvdevice::{AttestInput, ReturnCode, UvDevice};
use zerocopy::IntoBytes;

struct Sandbox {
    machine: Machine,
    _folder: TempDir,
}

impl Sandbox {
    fn new(inventory: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::init(folder.path(), Some(inventory)).unwrap();
        Self { machine, _folder: folder }
    }

    fn uv(&self) -> UvDevice<InProcess> {
        UvDevice::new(InProcess(self.machine.clone()))
    }

    fn draft(&self, kind: u16, name: &str, secret: &[u8]) -> Draft {
        Draft::new(&self.machine.platform, kind, Some(sha256(name.as_bytes())), secret)
    }

    fn seal(&self, draft: &Draft) -> Vec<u8> {
        draft.seal(&[&self.machine.platform.host_key]).unwrap()
    }

    /// A correct request for an association secret.
    fn association(&self, name: &str) -> Vec<u8> {
        self.seal(&self.draft(2, name, &[7; 32]))
    }
}

fn code(result: Result<impl std::fmt::Debug, uvdevice::Error>) -> (u16, u16) {
    match result {
        Err(uvdevice::Error::Refused { code: ReturnCode { rc, rrc }, .. }) => (rc, rrc),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keeps_what_was_added_until_the_next_boot() {
    let sandbox = Sandbox::new("{}");
    let uv = sandbox.uv();
    uv.add_secret(&sandbox.association("one")).unwrap();
    uv.add_secret(&sandbox.seal(&sandbox.draft(6, "two", &[9; 32]))).unwrap();
    // Another process sees the same.
    let machine = Machine::open(sandbox.machine.folder()).unwrap();
    let list = UvDevice::new(InProcess(machine)).list_secrets().unwrap();
    let listed: Vec<_> = list.secrets.iter().map(|s| (s.index, s.kind.0, s.length, s.id.0)).collect();
    assert_eq!(listed, [(0, 2, 32, sha256(b"one")), (1, 6, 64, sha256(b"two"))]);
    let before = sandbox.machine.guest().unwrap();
    assert_eq!((before.boot, &before.secrets[1].secret[..]), (1, &[9; 32][..]));

    let after = sandbox.machine.reboot().unwrap();
    assert_eq!((after.boot, after.secrets.len(), after.request_tags.len()), (2, 0, 0));
    assert_ne!(after.cuid, before.cuid);
    assert_eq!(sandbox.uv().list_secrets().unwrap().total, 0);
}

#[test]
fn every_refusal_of_an_add_secret_request_has_its_code() {
    type Spoil = fn(&mut Draft);
    let rows: [(Refusal, Spoil); 12] = [
        (Refusal::AddVersion, |d| d.version = 0x200),
        (Refusal::AddKeySlots, |d| d.stated_slots = Some(0)),
        (Refusal::AddSize, |d| d.stated_slots = Some(2)),
        (Refusal::AddSize, |d| d.id = None),
        (Refusal::AddFlags, |d| d.flags = 1 << 62),
        (Refusal::AddOtherImage, |d| d.digests[100] ^= 1),
        (Refusal::AddOtherImage, |d| d.header_tag[0] ^= 1),
        (Refusal::AddOtherGuest, |d| d.cuid = [1; 16]),
        (Refusal::AddKind, |d| d.kind = 0x99),
        (Refusal::AddLength, |d| d.stated_length = 31),
        (Refusal::AddLength, |d| (d.secret, d.stated_length) = (vec![7; 31], 31)),
        (Refusal::AddCckFixed, |d| d.kind = 0x16),
    ];
    let sandbox = Sandbox::new("{}");
    for (refusal, spoil) in rows {
        let mut draft = sandbox.draft(2, "x", &[7; 32]);
        spoil(&mut draft);
        assert_eq!(code(sandbox.uv().add_secret(&sandbox.seal(&draft))), refusal.code(), "{refusal:?}");
    }
    let other = HostKey::generate().unwrap();
    let wrong_host = sandbox.draft(2, "x", &[7; 32]).seal(&[&other]).unwrap();
    assert_eq!(code(sandbox.uv().add_secret(&wrong_host)), Refusal::AddWrongHost.code());
    let mut wrong_magic = sandbox.association("x");
    wrong_magic[0] ^= 1;
    assert_eq!(code(sandbox.uv().add_secret(&wrong_magic)), Refusal::AddMagic.code());
    let mut off_curve = sandbox.association("x");
    off_curve[0x418 + 79] ^= 1;
    assert_eq!(code(sandbox.uv().add_secret(&off_curve)), Refusal::AddCustomerKey.code());
    assert_eq!(sandbox.machine.guest().unwrap().secrets, []);
}

#[test]
fn no_changed_or_missing_byte_of_a_request_is_added() {
    let sandbox = Sandbox::new("{}");
    let request = sandbox.association("x");
    for at in (0..request.len()).step_by(13) {
        let mut changed = request.clone();
        changed[at] ^= 0x20;
        let (rc, _) = code(sandbox.uv().add_secret(&changed));
        assert!((0x0104..=0x0108).contains(&rc), "byte {at:#x}: {rc:#06x}");
    }
    for length in (1..request.len()).step_by(17) {
        let (rc, _) = code(sandbox.uv().add_secret(&request[..length]));
        assert_eq!(rc, 0x0105, "{length} bytes");
    }
    assert_eq!(code(sandbox.uv().add_secret(&[&request[..], &[0]].concat())).0, 0x0105);
    let guest = sandbox.machine.guest().unwrap();
    assert_eq!((guest.secrets.len(), guest.request_tags.len()), (0, 0));
}

#[test]
fn a_tampered_request_is_told_from_one_for_another_host() {
    let sandbox = Sandbox::new("{}");
    let request = sandbox.association("x");
    // The wrapped key, the ciphertext, the tag.
    for at in [0x4b8 + 40, request.len() - 20, request.len() - 1] {
        let mut changed = request.clone();
        changed[at] ^= 1;
        assert_eq!(code(sandbox.uv().add_secret(&changed)), Refusal::AddTampered.code(), "{at:#x}");
    }
}

#[test]
fn the_store_has_its_limits_by_kind_and_in_all() {
    let sandbox = Sandbox::new("guest: {max_association: 2, max_retrievable: 2, max_secrets: 3}");
    let uv = sandbox.uv();
    let association = |name| uv.add_secret(&sandbox.association(name));
    let key = |name| uv.add_secret(&sandbox.seal(&sandbox.draft(4, name, &[1; 16])));
    association("a").unwrap();
    association("b").unwrap();
    assert_eq!(code(association("c")), Refusal::AddAssociationFull.code());
    key("d").unwrap();
    assert_eq!(code(key("e")), Refusal::AddFull.code());
    assert_eq!(uv.list_secrets().unwrap().total, 3);

    let sandbox = Sandbox::new("guest: {max_retrievable: 1}");
    let key = |name| sandbox.uv().add_secret(&sandbox.seal(&sandbox.draft(4, name, &[1; 16])));
    key("a").unwrap();
    assert_eq!(code(key("b")), Refusal::AddRetrievableFull.code());
}

#[test]
fn a_locked_store_can_be_read_but_not_changed() {
    let sandbox = Sandbox::new("{}");
    let uv = sandbox.uv();
    uv.add_secret(&sandbox.seal(&sandbox.draft(4, "k", &[1; 16]))).unwrap();
    uv.lock_secrets().unwrap();
    assert_eq!(code(uv.lock_secrets()), Refusal::LockLocked.code());
    assert_eq!(code(uv.add_secret(&sandbox.association("x"))), Refusal::AddLocked.code());
    assert_eq!(uv.list_secrets().unwrap().total, 1);
    assert_eq!(uv.retrieve_secret(0, 48).unwrap().expose().len(), 48);
    sandbox.machine.reboot().unwrap();
    uv.add_secret(&sandbox.association("x")).unwrap();
}

#[test]
fn the_first_request_fixes_the_extension_secret() {
    for first in [[0; 32], [5; 32]] {
        let sandbox = Sandbox::new("{}");
        let add = |extension_secret, kind: u16| {
            let mut draft = sandbox.draft(kind, "x", if kind == 1 { &[] } else { &[7; 32] });
            draft.extension_secret = extension_secret;
            draft.id = draft.id.filter(|_| kind != 1);
            sandbox.uv().add_secret(&sandbox.seal(&draft))
        };
        // A request that is refused fixes nothing.
        code(add([9; 32], 0x99));
        add(first, 1).unwrap();
        add(first, 2).unwrap();
        assert_eq!(code(add([6; 32], 2)), Refusal::AddExtensionSecret.code());
        add(first, 2).unwrap();
        sandbox.machine.reboot().unwrap();
        add([6; 32], 2).unwrap();
    }
}

#[test]
fn the_header_may_demand_the_extension_secret_of_the_cck_and_allow_to_replace_it() {
    let sandbox = Sandbox::new("guest: {cck_extension_secret: true, cck_update: true}");
    let image = &sandbox.machine.platform.image;
    let derived = |cck: &[u8; 32]| crate::ultravisor::extension_secret(cck, &image.tag).unwrap();
    let add = |kind, extension_secret| {
        let mut draft = sandbox.draft(kind, "x", &[7; 32]);
        draft.extension_secret = extension_secret;
        sandbox.uv().add_secret(&sandbox.seal(&draft))
    };
    let (old, new) = (derived(&image.secrets.cck), derived(&[7; 32]));
    assert_eq!(code(add(2, [0; 32])), Refusal::AddExtensionSecret.code());
    add(2, old).unwrap();
    add(0x16, old).unwrap();
    let guest = sandbox.machine.guest().unwrap();
    assert_eq!((guest.cck.0, guest.secrets.len(), guest.request_tags.len()), ([7; 32], 1, 2));
    assert_eq!(code(add(2, old)), Refusal::AddExtensionSecret.code());
    add(2, new).unwrap();
    assert_eq!(sandbox.machine.reboot().unwrap().cck.0, image.secrets.cck);
}

#[test]
fn a_request_can_be_for_one_boot_and_can_turn_dumps_off() {
    let sandbox = Sandbox::new("{}");
    let mut draft = sandbox.draft(2, "x", &[7; 32]);
    draft.cuid = sandbox.machine.guest().unwrap().cuid.0;
    draft.flags = 1 << 63;
    let request = sandbox.seal(&draft);
    assert!(sandbox.machine.guest().unwrap().dump_allowed);
    sandbox.uv().add_secret(&request).unwrap();
    assert!(!sandbox.machine.guest().unwrap().dump_allowed);
    assert!(sandbox.machine.reboot().unwrap().dump_allowed);
    assert_eq!(code(sandbox.uv().add_secret(&request)), Refusal::AddOtherGuest.code());
}

#[test]
fn gives_secrets_back_as_their_kind_has_it() {
    let kinds: [(u16, usize); 13] = [
        (3, 16),
        (4, 16),
        (5, 24),
        (6, 32),
        (7, 32),
        (8, 64),
        (9, 64),
        (0x0a, 128),
        (0x11, 32),
        (0x12, 48),
        (0x13, 80),
        (0x14, 32),
        (0x15, 64),
    ];
    let sandbox = Sandbox::new("{}");
    let uv = sandbox.uv();
    assert_eq!(code(uv.retrieve_secret(0, 32)), Refusal::RetrieveEmpty.code());
    for (kind, length) in kinds {
        uv.add_secret(&sandbox.seal(&sandbox.draft(kind, "k", &vec![0x5a; length]))).unwrap();
    }
    uv.add_secret(&sandbox.association("a")).unwrap();
    for (listed, (kind, length)) in uv.list_secrets().unwrap().secrets.into_iter().zip(kinds) {
        let secret = uv.retrieve_secret(listed.index, listed.length).unwrap();
        let is_plain = secret.expose().starts_with(&[0x5a; 16]);
        assert_eq!((is_plain, listed.kind.0), (kind == 3, kind));
        let protection = if kind == 3 { 0 } else { 32 };
        assert_eq!(secret.expose().len(), length + protection, "kind {kind:#x}");
        assert_eq!(code(uv.retrieve_secret(listed.index, listed.length - 1)), Refusal::RetrieveBuffer.code());
    }
    assert_eq!(code(uv.retrieve_secret(13, 32)), Refusal::RetrieveKind.code());
    assert_eq!(code(uv.retrieve_secret(14, 32)), Refusal::RetrieveIndex.code());
}

#[test]
fn a_long_store_is_listed_whole_or_as_far_as_the_kernel_can() {
    let secrets: Vec<_> = (0..700).map(|number| format!("s{number}")).collect();
    let inventory = |kernel| format!("guest: {{kernel: {kernel}}}\nsecrets: [{}]", secrets.join(","));
    let current = Sandbox::new(&inventory("current"));
    let list = current.uv().list_secrets().unwrap();
    assert_eq!((list.total, list.secrets.len()), (700, 700));
    assert!(list.secrets.iter().enumerate().all(|(number, secret)| usize::from(secret.index) == number));

    let ask = |sandbox: &Sandbox, pages: usize| {
        let mut buffer = vec![0xee; pages * 0x1000];
        let code = uvdevice::Driver::call(&InProcess(sandbox.machine.clone()), Command::ListSecrets, &mut buffer);
        code.map(|code| {
            (code.rc, u16::from_be_bytes([buffer[0], buffer[1]]), u16::from_be_bytes([buffer[4], buffer[5]]), buffer)
        })
    };
    let (rc, listed, next, buffer) = ask(&current, 8).unwrap();
    assert_eq!((rc, listed, next), (0x0100, 680, 680));
    assert!(buffer[16 + 680 * 48..].iter().all(|byte| *byte == 0xee), "written beyond the last entry");
    let (rc, listed, next, _) = ask(&current, 1).unwrap();
    assert_eq!((rc, listed, next), (0x0100, 85, 85));
    let (rc, listed, next, _) = ask(&current, 9).unwrap();
    assert_eq!((rc, listed, next), (0x0001, 700, 0));

    let old = Sandbox::new(&inventory("one-page-list"));
    let list = old.uv().list_secrets().unwrap();
    assert_eq!((list.total, list.secrets.len(), list.is_cut()), (700, 85, true));
    assert_eq!(ask(&old, 8).unwrap_err().raw_os_error(), Some(EINVAL));
}

#[test]
fn old_kernels_lack_commands() {
    let sandbox = Sandbox::new("guest: {kernel: one-page-list}");
    let missing = sandbox.uv().retrieve_secret(0, 32).unwrap_err();
    assert!(matches!(missing, uvdevice::Error::KernelTooOld(Command::RetrieveSecret)), "{missing}");
    let sandbox = Sandbox::new("guest: {kernel: attest-only}");
    for command in Command::ALL {
        let answer = call(&sandbox, command.request(), block(0, 0x1000, 0x1000), Some(vec![]), None);
        let expected = if command == Command::Attest { EINVAL } else { ENOTTY };
        assert_eq!(answer, IoctlAnswer::Errno(expected), "{}", command.name());
    }
}

fn block(flags: u32, argument_addr: u64, argument_len: u32) -> ControlBlock {
    ControlBlock { flags, uv_rc: 0, uv_rrc: 0, argument_addr, argument_len, reserved14: [0; 44] }
}

fn call(
    sandbox: &Sandbox,
    request: u32,
    block: ControlBlock,
    argument: Option<Vec<u8>>,
    arcb: Option<Vec<u8>>,
) -> IoctlAnswer {
    let control_block = Some(block.as_bytes().try_into().unwrap());
    sandbox.machine.ioctl(&IoctlCall { request, control_block, argument, arcb }).unwrap()
}

#[test]
fn the_driver_checks_what_the_kernel_checks() {
    let sandbox = Sandbox::new("{}");
    let [info, attest, add, list, lock, retrieve] = Command::ALL.map(Command::request);
    let plain = |length| block(0, 0x1000, length);
    let mut reserved = plain(16);
    reserved.reserved14[43] = 1;
    let argument = |change: fn(&mut AttestArgument)| {
        let mut argument = AttestArgument {
            arcb_addr: 0x2000,
            meas_addr: 0x3000,
            add_data_addr: 0x4000,
            user_data: [0; 256],
            config_uid: [0; 16],
            arcb_len: 400,
            meas_len: 64,
            add_data_len: 0,
            user_data_len: 0,
            reserved136: 0,
        };
        change(&mut argument);
        Some(argument.as_bytes().to_vec())
    };
    let some = |length: usize| Some(vec![0; length]);
    type Row = (&'static str, u32, ControlBlock, Option<Vec<u8>>, Option<Vec<u8>>, i32);
    let rows: Vec<Row> = vec![
        ("direction read alone", 0x8040_7500, plain(16), None, None, ENOTTY),
        ("another type", 0xc040_7600, plain(16), None, None, ENOTTY),
        ("another size", 0xc03f_7500, plain(16), None, None, ENOTTY),
        ("number 6", 0xc040_7506, plain(16), None, None, ENOTTY),
        ("flags", info, block(1, 0x1000, 16), None, None, EINVAL),
        ("reserved bytes", info, reserved, None, None, EINVAL),
        ("info of 15 bytes", info, plain(15), None, None, EINVAL),
        ("attest of another length", attest, plain(0x137), some(0x137), some(400), EINVAL),
        ("attest argument unreadable", attest, plain(0x138), None, some(400), EFAULT),
        ("no ARCB", attest, plain(0x138), argument(|a| a.arcb_len = 0), some(400), EINVAL),
        ("ARCB over 1 MiB", attest, plain(0x138), argument(|a| a.arcb_len = 0x10_0001), some(400), EINVAL),
        ("no measurement", attest, plain(0x138), argument(|a| a.meas_len = 0), some(400), EINVAL),
        ("measurement over 32 KiB", attest, plain(0x138), argument(|a| a.meas_len = 0x8001), some(400), EINVAL),
        ("additional over 32 KiB", attest, plain(0x138), argument(|a| a.add_data_len = 0x8001), some(400), EINVAL),
        ("reserved of attest", attest, plain(0x138), argument(|a| a.reserved136 = 1), some(400), EINVAL),
        ("ARCB unreadable", attest, plain(0x138), argument(|_| ()), None, EFAULT),
        ("add of nothing", add, plain(0), some(0), None, EINVAL),
        ("add over 1 MiB", add, plain(0x10_0001), some(0), None, EINVAL),
        ("add unreadable", add, plain(100), None, None, EFAULT),
        ("list of nothing", list, plain(0), None, None, EINVAL),
        ("list of half a page", list, plain(0x800), None, None, EINVAL),
        ("lock with an address", lock, block(0, 0x1000, 0), None, None, EINVAL),
        ("lock with a length", lock, block(0, 0, 1), None, None, EINVAL),
        ("retrieve of one byte", retrieve, plain(1), some(1), None, EINVAL),
        ("retrieve over 8 KiB", retrieve, plain(0x2001), some(2), None, EINVAL),
        ("retrieve unreadable", retrieve, plain(32), None, None, EFAULT),
    ];
    for (name, request, block, argument, arcb, errno) in rows {
        assert_eq!(call(&sandbox, request, block, argument, arcb), IoctlAnswer::Errno(errno), "{name}");
    }
    let unreadable = IoctlCall { request: info, control_block: None, argument: None, arcb: None };
    assert_eq!(sandbox.machine.ioctl(&unreadable).unwrap(), IoctlAnswer::Errno(EFAULT));
}

#[test]
fn a_refused_retrieval_wipes_the_whole_buffer() {
    let sandbox = Sandbox::new("secrets: [a]");
    let answer = call(&sandbox, Command::RetrieveSecret.request(), block(0, 0x1000, 40), Some(vec![0, 9]), None);
    let writes = vec![Copied { address: 0x1000, bytes: vec![0; 40] }];
    assert_eq!(answer, IoctlAnswer::Done { rc: 0x0110, rrc: 0, writes });
}

#[test]
fn measures_the_guest_with_all_that_was_asked_for() {
    let sandbox = Sandbox::new("{}");
    let uv = sandbox.uv();
    let request = sandbox.association("x");
    uv.add_secret(&request).unwrap();
    uv.lock_secrets().unwrap();
    let mut draft = AttestDraft::new([3; 64], [4; 16]);
    draft.flags |= 0xf << 58;
    let host = sandbox.machine.platform.host_key.clone();
    let sealed = draft.seal(&[&host]).unwrap();
    let input = AttestInput { request: &sealed, user_data: b"hello", measurement_size: 64, additional_size: 500 };
    let attested = uv.attest(&input).unwrap();

    let guest = sandbox.machine.guest().unwrap();
    assert_eq!(*attested.cuid.as_bytes(), guest.cuid.0);
    let tag = &request[request.len() - 16..];
    let store = openssl::sha::sha512(&[tag, &[1]].concat());
    let firmware = &sandbox.machine.platform.firmware_state;
    let additional = [&host.hash()[..], &host.hash(), &store, firmware].concat();
    assert_eq!(attested.additional, additional);
    let image = &sandbox.machine.platform.image;
    let items = [
        &image.digests[..],
        &image.tag,
        &guest.cuid.0,
        &[0, 5, 0, 0],
        &(additional.len() as u32).to_be_bytes(),
        b"hello",
        &[4; 16],
        &additional,
    ]
    .concat();
    let key = openssl::pkey::PKey::hmac(&[3; 64]).unwrap();
    let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha512(), &key).unwrap();
    assert_eq!(attested.measurement, signer.sign_oneshot_to_vec(&items).unwrap());
}

#[test]
fn every_refusal_of_an_attestation_has_its_code() {
    let sandbox = Sandbox::new("{}");
    let host = sandbox.machine.platform.host_key.clone();
    let other = HostKey::generate().unwrap();
    let attest = |spoil: fn(&mut AttestDraft), host: &HostKey, measurement_size, additional_size| {
        let mut draft = AttestDraft::new([3; 64], [4; 16]);
        spoil(&mut draft);
        let request = draft.seal(&[host]).unwrap();
        sandbox.uv().attest(&AttestInput { request: &request, user_data: &[], measurement_size, additional_size })
    };
    attest(|_| (), &host, 64, 0).unwrap();
    type Row<'a> = (Refusal, fn(&mut AttestDraft), &'a HostKey, usize, usize);
    let rows: [Row<'_>; 9] = [
        (Refusal::AttestVersion, |d| d.version = 0x200, &host, 64, 0),
        (Refusal::AttestKeySlots, |d| d.stated_slots = Some(0), &host, 64, 0),
        (Refusal::AttestSize, |d| d.stated_slots = Some(2), &host, 64, 0),
        (Refusal::AttestEncryptedSize, |d| d.flags = 0, &host, 64, 0),
        (Refusal::AttestFlags, |d| d.flags |= 1, &host, 64, 0),
        (Refusal::AttestAlgorithm, |d| d.algorithm = 2, &host, 64, 0),
        (Refusal::AttestWrongHost, |_| (), &other, 64, 0),
        (Refusal::AttestMeasurementArea, |_| (), &host, 63, 0),
        (Refusal::AttestAdditionalArea, |d| d.flags |= 1 << 58, &host, 64, 319),
    ];
    for (refusal, spoil, host, measurement, additional) in rows {
        assert_eq!(code(attest(spoil, host, measurement, additional)), refusal.code(), "{refusal:?}");
    }
    let mut tampered = AttestDraft::new([3; 64], [4; 16]).seal(&[&host]).unwrap();
    *tampered.last_mut().unwrap() ^= 1;
    let input = AttestInput { request: &tampered, user_data: &[], measurement_size: 64, additional_size: 0 };
    assert_eq!(code(sandbox.uv().attest(&input)), Refusal::AttestTampered.code());

    // The product never sends too much user data: only a program of its own does.
    let mut argument = AttestArgument {
        arcb_addr: 0x2000,
        meas_addr: 0x3000,
        add_data_addr: 0,
        user_data: [0; 256],
        config_uid: [0; 16],
        arcb_len: tampered.len() as u32,
        meas_len: 64,
        add_data_len: 0,
        user_data_len: 257,
        reserved136: 0,
    };
    let attest = |argument: &AttestArgument| {
        let bytes = Some(argument.as_bytes().to_vec());
        call(&sandbox, Command::Attest.request(), block(0, 0x1000, 0x138), bytes, Some(tampered.clone()))
    };
    let (rc, rrc) = Refusal::AttestUserData.code();
    assert_eq!(attest(&argument), IoctlAnswer::Done { rc, rrc, writes: vec![] });
    argument.user_data_len = 256;
    let (rc, rrc) = Refusal::AttestTampered.code();
    assert_eq!(attest(&argument), IoctlAnswer::Done { rc, rrc, writes: vec![] });
}

#[test]
fn the_table_of_refusals_has_each_once_and_only_documented_codes() {
    for (position, (refusal, rc, rrc)) in Refusal::TABLE.iter().enumerate() {
        assert_eq!(refusal.code(), (*rc, *rrc));
        assert!(Refusal::TABLE[..position].iter().all(|(other, ..)| other != refusal), "{refusal:?}");
        assert!(uvdevice::REASONS.iter().any(|row| row.rc == *rc), "{refusal:?}: {rc:#06x}");
    }
}

#[test]
fn orders_faults_that_last_from_process_to_process() {
    let sandbox = Sandbox::new("faults: [{op: uv, command: lock-secrets, act: EIO, skip: 0}]");
    let fault = |command: Option<&str>, op: &str, act: &str, skip| Fault {
        op: op.into(),
        command: command.map(Into::into),
        queue: None,
        act: act.into(),
        skip,
        count: 1,
    };
    sandbox.machine.order(fault(Some("add-secret"), "uv", "rc:0x010d,0x0007", 1)).unwrap();
    sandbox.machine.order(fault(None, "uv_open", "EACCES", 0)).unwrap();
    assert!(sandbox.machine.order(fault(Some("no-command"), "uv", "EIO", 0)).is_err());
    let machine = Machine::open(sandbox.machine.folder()).unwrap();
    assert_eq!(machine.open_device().unwrap(), Some(nix::libc::EACCES));
    assert_eq!(machine.open_device().unwrap(), None);
    let lock = || InProcess(machine.clone());
    let error = uvdevice::Driver::call(&lock(), Command::LockSecrets, &mut []).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EIO));
    assert!(!machine.guest().unwrap().locked);
    sandbox.uv().add_secret(&sandbox.association("a")).unwrap();
    assert_eq!(code(sandbox.uv().add_secret(&sandbox.association("b"))), (0x010d, 7));
    sandbox.uv().add_secret(&sandbox.association("b")).unwrap();
    sandbox.machine.order(fault(None, "uv", "ENOMEM", 0)).unwrap();
    assert_eq!(machine.faults().unwrap().len(), 1);
    sandbox.machine.clear_faults().unwrap();
    assert_eq!(machine.faults().unwrap(), []);
    sandbox.uv().lock_secrets().unwrap();
}

#[test]
fn slow_firmware_answers_late_and_right() {
    let sandbox = Sandbox::new("faults: [{op: uv, command: lock-secrets, act: 'delay:60'}]");
    let before = std::time::Instant::now();
    sandbox.uv().lock_secrets().unwrap();
    assert!(before.elapsed() >= Duration::from_millis(60));
    assert!(sandbox.machine.guest().unwrap().locked);
}

#[test]
fn a_folder_that_is_in_use_or_no_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Machine::open(folder.path()), Err(Error::NoMachine(_))));
    let inner = folder.path().join("a/b");
    Machine::init(&inner, None).unwrap();
    assert!(matches!(Machine::init(&inner, None), Err(Error::NotEmpty(_))));
    assert!(matches!(Machine::init(folder.path(), None), Err(Error::NotEmpty(_))));
    for wrong in ["guest: {no_such_key: 1}", "guest: {kernel: newest}", "faults: [{op: uv, act: EWRONG}]", "- a"] {
        let target = folder.path().join("wrong");
        assert!(Machine::init(&target, Some(wrong)).is_err(), "{wrong}");
        assert!(!target.exists(), "{wrong}: left something behind");
    }
}

#[test]
fn takes_the_rows_of_an_inventory_file_as_they_stand() {
    let sandbox = Sandbox::new(
        r#"
id: X
master_keys: {A: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001"}
inventory: {queues: {"28.0014": {mk: A}}}
secrets: [s1, {name: s2, index: 7}, {id: "0x1111111111111111111111111111111111111111111111111111111111111111"}]
faults: [{op: assoc, queue: "29.0014", act: async, count: 9}]
"#,
    );
    let secrets = sandbox.machine.guest().unwrap().secrets;
    let listed: Vec<_> = secrets.iter().map(|secret| (secret.index, secret.id.0)).collect();
    assert_eq!(listed, [(0, sha256(b"s1")), (7, sha256(b"s2")), (2, [0x11; 32])]);
    assert_eq!(sandbox.machine.faults().unwrap().len(), 1);
    sandbox.uv().list_secrets().unwrap();
    assert_eq!(sandbox.machine.show_bus().unwrap().queues.len(), 1);
}

#[test]
fn an_inventory_that_makes_no_sense_is_refused_and_leaves_nothing() {
    let rows = [
        ("queue: {}", "unknown field `queue`"),
        ("bus: {limits: 3}", "unknown field `limits`"),
        ("bus: {secret_twice: sometimes}", "unknown variant `sometimes`"),
        ("cards: {'28': {typ: CEX8P}}", "unknown field `typ`"),
        ("cards: {'28': {type: CEX9P}}", "CEX9P"),
        ("cards: {'028': {}}", "'028' is no card"),
        ("queues: {'28.0014': {sate: bound}}", "queues.28.0014: unknown field `sate`"),
        ("queues: {'28.14': {}}", "'28.14' is no queue"),
        ("queues: {'28.0014': {mk: A}}", "queue 28.0014: 'A' is neither"),
        ("queues: {'28.0014': {mk: abcd}}", "'abcd' is neither"),
        ("queues: {'28.0014': {state: busy}}", "'busy' is no state"),
        ("queues: {'28.0014': {assoc_end: soon}}", "'soon' is no end"),
        ("queues: {'28.0014': {reset: 5}}", "unknown field `reset`"),
        ("{cards: {'00': {type: CEX8A}}, queues: {'00.0001': {state: associated 1}}}", "00.0001"),
        ("{cards: {'08': {type: CEX8C}}, queues: {'08.0001': {state: bound}}}", "08.0001"),
        ("{inventory: {queues: {}}, queues: {}}", "not both"),
        ("faults: [{op: binding, act: EIO}]", "'binding' is no operation"),
        ("faults: [{op: bind, act: sometimes}]", "'sometimes'"),
        ("faults: [{op: bind, queue: '2800', act: EIO}]", "'2800'"),
        ("{queues: {'28.0014': {}}, events: [{at_ms: 5, event: leave, queue: '28.0014'}]}", "'leave'"),
        ("{queues: {'28.0014': {}}, events: [{event: take, queue: '28.0014'}]}", "needs 'at_ms' or 'after'"),
        ("{queues: {'28.0014': {}}, events: [{at_ms: 5, event: take}]}", "needs 'queue' or 'card'"),
        (
            "{queues: {'28.0014': {}}, events: [{at_ms: 5, event: take, queue: '28.0015'}]}",
            "'28.0015' is not on the bus",
        ),
        ("{queues: {'28.0014': {}}, events: [{at_ms: 5, event: mk B, queue: '28.0014'}]}", "'B' is neither"),
    ];
    for (inventory, words) in rows {
        let folder = tempfile::tempdir().unwrap();
        let error = Machine::init(folder.path(), Some(inventory)).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let text = format!("{error}: {cause}");
        assert!(text.contains(words), "{inventory}: {text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{inventory}");
    }
}

#[test]
fn the_files_with_secrets_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new("{}");
    for file in [HOST_KEY, CCK, GUEST] {
        let mode = fs::metadata(sandbox.machine.folder().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
