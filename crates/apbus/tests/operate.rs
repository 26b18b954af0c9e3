//! Waits and deadlines, on files that never react and a clock that only moves when somebody waits.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use apbus::{Apqn, Bus, Clock, Error, Mode, Operator, State, Waiting, timeout};
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

const APQN: Apqn = Apqn { card: 0x28, domain: 0x14 };

#[derive(Default)]
struct Patient {
    now: Mutex<Duration>,
    waits: Mutex<Vec<Duration>>,
}

impl Clock for Patient {
    fn elapsed(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
        self.waits.lock().unwrap().push(time);
    }
}

/// A queue with these bits.
fn bus(functions: &str) -> (tempfile::TempDir, Bus) {
    let sysfs = tempfile::tempdir().unwrap();
    fs::create_dir_all(sysfs.path().join("bus/ap")).unwrap();
    let folder = sysfs.path().join("devices/ap/card28/28.0014");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("ap_functions"), functions).unwrap();
    fs::write(folder.join("se_bind"), "").unwrap();
    let bus = Bus::open(sysfs.path()).unwrap();
    (sysfs, bus)
}

#[test]
fn gives_up_a_bind_and_an_unbind_at_their_deadlines() {
    for (functions, limit) in [("0x06808000\n", timeout::BIND), ("0x6A800000\n", timeout::UNBIND)] {
        let (_sysfs, bus) = bus(functions);
        let (clock, told) = (Patient::default(), Mutex::new(Vec::new()));
        let watch = |waiting: Waiting| told.lock().unwrap().push(waiting);
        let operator = Operator::new(&bus, &clock, &watch);
        let error = if limit == timeout::BIND {
            operator.bind(APQN, Mode::Ep11).unwrap_err()
        } else {
            operator.unbind(APQN, Mode::Accelerator).unwrap_err()
        };
        assert!(matches!(error, Error::TimeOut { waited, .. } if waited == limit), "{error}");
        assert_eq!(clock.elapsed(), limit, "the last wait ends at the deadline");
        let waits = clock.waits.lock().unwrap();
        assert_eq!(waits[..4], [1, 2, 4, 8].map(Duration::from_millis), "waits begin short and grow");
        assert_eq!(waits.iter().max(), Some(&Duration::from_millis(100)));
        assert_eq!(told.lock().unwrap().len(), waits.len(), "every wait is told");
    }
}

#[test]
fn does_not_wait_for_what_cannot_come() {
    for (functions, state) in [("0x0680C000\n", State::Illicit), ("0x00000000\n", State::Gone)] {
        let (_sysfs, bus) = bus(functions);
        let clock = Patient::default();
        let error = Operator::new(&bus, &clock, &|_| {}).bind(APQN, Mode::Ep11).unwrap_err();
        assert!(matches!(error, Error::WrongState { state: found, .. } if found == state), "{error}");
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }
}

#[test]
fn never_makes_an_attribute_that_is_not_there() {
    let (sysfs, bus) = bus("0x06808000\n");
    let path = sysfs.path().join("devices/ap/card28/28.0014/se_bind");
    fs::remove_file(&path).unwrap();
    let error = Operator::new(&bus, &Patient::default(), &|_| {}).bind(APQN, Mode::Ep11).unwrap_err();
    assert!(error.to_string().contains("se_bind (the queue has gone, or cannot be bound)"), "{error}");
    assert!(!path.exists());
}

#[test]
fn tells_what_became_of_a_queue_that_was_unbound() {
    for (functions, wanted) in
        [("0x06808000\n", State::Unbound), ("0x0680C000\n", State::Illicit), ("0x00000000\n", State::Gone)]
    {
        let (_sysfs, bus) = bus(functions);
        let state = Operator::new(&bus, &Patient::default(), &|_| {}).unbind(APQN, Mode::Ep11).unwrap();
        assert_eq!(state, wanted, "{functions}");
    }
    let (sysfs, bus) = bus("0x06808000\n");
    fs::remove_dir_all(sysfs.path().join("devices/ap/card28/28.0014")).unwrap();
    let state = Operator::new(&bus, &Patient::default(), &|_| {}).unbind(APQN, Mode::Ep11).unwrap();
    assert_eq!(state, State::Gone, "without its folder");
}

#[test]
fn a_write_that_never_returns_is_given_up() {
    let (sysfs, bus) = bus("0x06808000\n");
    let path = sysfs.path().join("devices/ap/card28/28.0014/se_bind");
    fs::remove_file(&path).unwrap();
    // Nobody reads from it, so opening it does not come back either.
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let clock = Patient::default();
    let operator = Operator::new(&bus, &clock, &|_| {});
    for error in [operator.bind(APQN, Mode::Ep11).unwrap_err(), operator.unbind(APQN, Mode::Ep11).unwrap_err()] {
        assert!(matches!(error, Error::Stuck { waited, .. } if waited == timeout::WRITE), "{error}");
        assert!(error.to_string().contains("se_bind for 60 s"), "{error}");
    }
}
