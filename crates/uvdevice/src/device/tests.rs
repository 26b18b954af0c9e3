use super::*;
use std::cell::RefCell;
use std::collections::VecDeque;

/// A driver that answers by a script and notes what it was asked.
#[derive(Default)]
struct Scripted {
    answers: RefCell<VecDeque<io::Result<ReturnCode>>>,
    fill: RefCell<VecDeque<Vec<u8>>>,
    asked: RefCell<Vec<(Command, Vec<u8>)>>,
    additional_len: u32,
}

impl Driver for Scripted {
    fn call(&self, command: Command, argument: &mut [u8]) -> io::Result<ReturnCode> {
        self.asked.borrow_mut().push((command, argument.to_vec()));
        let fill = self.fill.borrow_mut().pop_front().unwrap_or_default();
        argument[..fill.len()].copy_from_slice(&fill);
        self.answers.borrow_mut().pop_front().expect("a call that the script does not foresee")
    }

    fn attest(&self, call: &mut AttestCall<'_>) -> io::Result<ReturnCode> {
        self.asked.borrow_mut().push((Command::Attest, call.user_data[..call.user_data_len.into()].to_vec()));
        call.measurement.fill(0xaa);
        call.additional.fill(0xbb);
        call.additional_len = self.additional_len;
        call.config_uid = [0xcc; 16];
        self.answers.borrow_mut().pop_front().expect("a call that the script does not foresee")
    }
}

fn info(driver: u64, ultravisor: u64) -> Vec<u8> {
    [driver.to_ne_bytes(), ultravisor.to_ne_bytes()].concat()
}

/// A device whose info command names all commands, and which then answers as told.
fn device(answers: Vec<io::Result<ReturnCode>>, fill: Vec<Vec<u8>>) -> UvDevice<Scripted> {
    let mut driver = Scripted::default();
    driver.answers.get_mut().push_back(Ok(ReturnCode::SUCCESS));
    driver.answers.get_mut().extend(answers);
    driver.fill.get_mut().push_back(info(0x3f, 0x3e));
    driver.fill.get_mut().extend(fill);
    UvDevice::new(driver)
}

fn os(errno: Errno) -> io::Result<ReturnCode> {
    Err(errno.into())
}

fn asked(device: &UvDevice<Scripted>) -> Vec<(Command, usize)> {
    device.driver.asked.borrow().iter().map(|(command, argument)| (*command, argument.len())).collect()
}

fn list(listed: u16, total: u16) -> Vec<u8> {
    let mut bytes = [listed.to_be_bytes(), total.to_be_bytes()].concat();
    bytes.resize(16 + 48 * usize::from(listed), 0);
    bytes
}

#[test]
fn asks_once_which_commands_there_are() {
    let device = device(vec![Ok(ReturnCode::SUCCESS), Ok(ReturnCode::SUCCESS)], vec![]);
    device.add_secret(&[1, 2, 3]).unwrap();
    device.lock_secrets().unwrap();
    assert_eq!(asked(&device), [(Command::Info, 16), (Command::AddSecret, 3), (Command::LockSecrets, 0)]);
}

#[test]
fn uses_no_command_that_is_not_there() {
    type Call = fn(&UvDevice<Scripted>) -> Result<(), Error>;
    let all: [(Command, Call); 5] = [
        (Command::Attest, |uv| {
            let input = AttestInput { request: &[1], user_data: &[], measurement_size: 64, additional_size: 0 };
            uv.attest(&input).map(drop)
        }),
        (Command::AddSecret, |uv| uv.add_secret(&[1])),
        (Command::ListSecrets, |uv| uv.list_secrets().map(drop)),
        (Command::LockSecrets, |uv| uv.lock_secrets()),
        (Command::RetrieveSecret, |uv| uv.retrieve_secret(0, 32).map(drop)),
    ];
    for (command, call) in all {
        let name = command.name();
        let with = |driver: u64, ultravisor: u64| {
            let mut scripted = Scripted::default();
            scripted.answers.get_mut().push_back(Ok(ReturnCode::SUCCESS));
            scripted.fill.get_mut().push_back(info(driver, ultravisor));
            let device = UvDevice::new(scripted);
            let error = call(&device).expect_err(name);
            assert_eq!(asked(&device), [(Command::Info, 16)], "{name}");
            error
        };
        let error = with(0x3f & !command.bit(), 0x3e & !command.bit());
        assert!(matches!(error, Error::KernelTooOld(c) if c == command), "{name}: {error}");
        let error = with(0x3f, 0x3e & !command.bit());
        assert!(matches!(error, Error::UltravisorTooOld(c) if c == command), "{name}: {error}");
    }
}

#[test]
fn a_kernel_without_the_info_command_can_attest_alone() {
    let old = || {
        let mut driver = Scripted { additional_len: 2, ..Scripted::default() };
        driver.answers.get_mut().extend([os(Errno::ENOTTY), Ok(ReturnCode::SUCCESS)]);
        UvDevice::new(driver)
    };
    let input = AttestInput { request: &[1], user_data: b"ud", measurement_size: 4, additional_size: 3 };
    let device = old();
    let attested = device.attest(&input).unwrap();
    let expected = Attested { measurement: vec![0xaa; 4], additional: vec![0xbb; 2], cuid: Cuid::from([0xcc; 16]) };
    assert_eq!(attested, expected);
    assert_eq!(device.driver.asked.borrow()[1], (Command::Attest, b"ud".to_vec()));
    assert!(matches!(old().add_secret(&[1]), Err(Error::KernelTooOld(Command::AddSecret))));
}

#[test]
fn lists_on_one_page_where_the_kernel_is_old() {
    let device = device(vec![os(Errno::EINVAL), Ok(ReturnCode::MORE_DATA)], vec![vec![], list(85, 90)]);
    let list = device.list_secrets().unwrap();
    assert_eq!((list.secrets.len(), list.is_cut()), (85, true));
    assert_eq!(asked(&device)[1..], [(Command::ListSecrets, 0x8000), (Command::ListSecrets, 0x1000)]);
}

#[test]
fn asks_again_with_more_room_when_the_store_is_large() {
    let device =
        device(vec![Ok(ReturnCode::MORE_DATA), Ok(ReturnCode::SUCCESS)], vec![list(680, 1000), list(1000, 1000)]);
    assert!(!device.list_secrets().unwrap().is_cut());
    assert_eq!(asked(&device)[1..], [(Command::ListSecrets, 0x8000), (Command::ListSecrets, 13 * 0x1000)]);
}

#[test]
fn gives_what_it_has_when_more_room_is_refused() {
    let device = device(vec![Ok(ReturnCode::MORE_DATA), os(Errno::ENOMEM)], vec![list(680, 1000)]);
    assert_eq!(device.list_secrets().unwrap().secrets.len(), 680);
}

#[test]
fn lists_again_for_no_other_reason() {
    for errno in [Errno::ENOMEM, Errno::EFAULT, Errno::EPERM] {
        let device = device(vec![os(errno)], vec![]);
        assert!(matches!(device.list_secrets(), Err(Error::Ioctl { .. })), "{errno}");
    }
}

fn device_that_succeeds() -> UvDevice<Scripted> {
    device(vec![Ok(ReturnCode::SUCCESS)], vec![])
}

#[test]
fn puts_the_index_in_front_and_takes_the_secret_from_the_same_buffer() {
    let device = device(vec![Ok(ReturnCode::SUCCESS)], vec![vec![9; 32]]);
    let secret = device.retrieve_secret(0x0102, 32).unwrap();
    assert!(secret.ct_eq(&[9; 32]));
    assert_eq!(device.driver.asked.borrow()[1].1[..3], [1, 2, 0]);
    // The index needs two bytes also where the secret has none.
    let empty = device_that_succeeds();
    assert_eq!(empty.retrieve_secret(0, 0).unwrap().expose().len(), 2);
}

#[test]
fn refuses_what_the_driver_never_takes() {
    let device = device(vec![], vec![]);
    let input = |request, user_data, measurement_size, additional_size| {
        device.attest(&AttestInput { request, user_data, measurement_size, additional_size }).map(drop)
    };
    let rows = [
        ("empty request", device.add_secret(&[])),
        ("request over 1 MiB", device.add_secret(&vec![0; 0x10_0001])),
        ("secret over 8 KiB", device.retrieve_secret(0, 0x2001).map(drop)),
        ("empty attestation request", input(&[], &[], 64, 0)),
        ("attestation request over 1 MiB", input(&vec![0; 0x10_0001], &[], 64, 0)),
        ("257 bytes of user data", input(&[1], &[0; 257], 64, 0)),
        ("no measurement", input(&[1], &[], 0, 0)),
        ("measurement over 32 KiB", input(&[1], &[], 0x8001, 0)),
        ("additional data over 32 KiB", input(&[1], &[], 64, 0x8001)),
    ];
    for (name, result) in rows {
        assert!(matches!(result, Err(Error::Length { .. })), "{name}: {result:?}");
    }
    assert_eq!(asked(&device), []);
}

#[test]
fn does_not_believe_an_impossible_length() {
    let mut driver = Scripted { additional_len: 9, ..Scripted::default() };
    driver.answers.get_mut().extend([os(Errno::ENOTTY), Ok(ReturnCode::SUCCESS)]);
    let input = AttestInput { request: &[1], user_data: &[], measurement_size: 64, additional_size: 8 };
    let result = UvDevice::new(driver).attest(&input);
    assert!(matches!(result, Err(Error::Overrun { said: 9, room: 8 })), "{result:?}");
}

#[test]
fn a_refusal_of_the_ultravisor_is_an_error_although_the_ioctl_succeeds() {
    let device = device(vec![Ok(ReturnCode { rc: 0x0102, rrc: 0 })], vec![]);
    let error = device.add_secret(&[1]).unwrap_err();
    assert_eq!(error.to_string(), "Ultravisor: 'secret store locked' (0x0102,0x0000)");
}

#[test]
fn says_what_is_wrong_with_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("uv");
    let error = UvDevice::open(&path).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "uv: no such device: not a Secure Execution guest, or the kernel module 'uvdevice' is not loaded"
        ),
        "{error}"
    );
    assert!(matches!(UvDevice::open(folder.path()), Err(Error::Open { .. })));
    // A file that is there, but is no uvdevice: every command is unknown.
    std::fs::write(&path, "").unwrap();
    assert!(matches!(UvDevice::open(&path).unwrap().lock_secrets(), Err(Error::KernelTooOld(_))));
}

#[test]
fn says_in_words_why_the_device_cannot_be_opened() {
    let rows = [
        (Errno::ENOENT, "/dev/uv: no such device: not a Secure Execution guest"),
        (Errno::ENXIO, "/dev/uv: no such device: not a Secure Execution guest"),
        (Errno::ENODEV, "the kernel module 'uvdevice' is not loaded"),
        (Errno::EACCES, "/dev/uv: permission denied: only root may use it"),
        (Errno::EPERM, "/dev/uv: permission denied: only root may use it"),
        (Errno::EMFILE, "cannot open /dev/uv"),
    ];
    for (errno, words) in rows {
        let error = Error::of_opening(Path::new("/dev/uv"), errno.into()).to_string();
        assert!(error.contains(words), "{errno}: {error}");
    }
}
