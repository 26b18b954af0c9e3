use super::*;
use Mode::{Accelerator, Cca, Ep11};
use nix::errno::Errno::{EBUSY, EINVAL, EIO};

const TIMES: Times = Times { bind: 0, reset: 20, driver: 40, association: 100, rescan: 30_000 };

fn queue(mode: Mode, start: Start) -> Queue {
    Queue::new(mode, TIMES, End::Ok, start)
}

/// What was done to a queue before the time 10, and at what time it is tried.
type Row = (&'static str, Mode, Start, fn(&mut Queue), Millis, Result<(), Errno>);

fn nothing(_: &mut Queue) {}

fn unbind(queue: &mut Queue) {
    queue.unbind(0).unwrap();
}

fn fail_to_associate(queue: &mut Queue) {
    queue.times.association = 0;
    queue.associate(0, 3, End::Asynchronous);
}

#[test]
fn a_bind_is_refused_as_by_the_kernel() {
    let rows: [Row; 19] = [
        ("accelerator", Accelerator, Start::Unbound, nothing, 10, Ok(())),
        ("EP11", Ep11, Start::Unbound, nothing, 10, Ok(())),
        ("CCA", Cca, Start::Illicit, nothing, 10, Err(EINVAL)),
        ("CCA, check-stopped", Cca, Start::Illicit, |q| q.check_stopped = true, 10, Err(EINVAL)),
        ("reset in progress", Ep11, Start::Bound, unbind, 19, Err(EIO)),
        ("driver not ready after the reset", Ep11, Start::Bound, unbind, 20, Err(EBUSY)),
        ("driver still not ready", Ep11, Start::Bound, unbind, 59, Err(EBUSY)),
        ("driver ready", Ep11, Start::Bound, unbind, 60, Ok(())),
        ("unbound once more", Ep11, Start::Unbound, unbind, 10, Err(EIO)),
        (
            "busy with a bind",
            Ep11,
            Start::Unbound,
            |q| {
                q.times.bind = 50;
                q.bind(0);
            },
            10,
            Err(EIO),
        ),
        ("deconfigured", Ep11, Start::Unbound, |q| q.configured = false, 10, Err(EIO)),
        ("check-stopped", Ep11, Start::Bound, |q| q.check_stopped = true, 10, Err(EIO)),
        ("taken by the host", Ep11, Start::Unbound, |q| q.take(0), 10, Err(EIO)),
        ("asynchronous error", Ep11, Start::Bound, fail_to_associate, 10, Err(EIO)),
        ("bound accelerator", Accelerator, Start::Bound, nothing, 10, Err(EINVAL)),
        ("bound", Ep11, Start::Bound, nothing, 10, Err(EINVAL)),
        ("pending", Ep11, Start::Pending(0, None), nothing, 10, Err(EINVAL)),
        ("associated", Ep11, Start::Associated(0), nothing, 10, Err(EINVAL)),
        ("illicit", Ep11, Start::Illicit, nothing, 10, Err(EINVAL)),
    ];
    check(&rows, |queue, now| queue.may_bind(now));
}

#[test]
fn an_association_is_refused_as_by_the_kernel() {
    let rows: [Row; 16] = [
        ("bound", Ep11, Start::Bound, nothing, 10, Ok(())),
        ("accelerator", Accelerator, Start::Bound, nothing, 10, Err(EINVAL)),
        ("CCA", Cca, Start::Illicit, nothing, 10, Err(EINVAL)),
        ("reset in progress", Ep11, Start::Bound, unbind, 10, Err(EIO)),
        ("deconfigured", Ep11, Start::Bound, |q| q.configured = false, 10, Err(EIO)),
        ("check-stopped", Ep11, Start::Bound, |q| q.check_stopped = true, 10, Err(EIO)),
        ("taken by the host", Ep11, Start::Bound, |q| q.take(0), 10, Err(EIO)),
        ("asynchronous error", Ep11, Start::Bound, fail_to_associate, 10, Err(EIO)),
        ("unbound", Ep11, Start::Unbound, nothing, 10, Err(EINVAL)),
        ("unbound by the host", Ep11, Start::Bound, |q| q.reset_by_host(0), 10, Err(EINVAL)),
        ("associated", Ep11, Start::Associated(0), nothing, 10, Err(EINVAL)),
        ("illicit", Ep11, Start::Illicit, nothing, 10, Err(EINVAL)),
        ("one is running", Ep11, Start::Bound, |q| q.associate(0, 1, End::Ok), 10, Err(EBUSY)),
        ("one never ends", Ep11, Start::Bound, |q| q.associate(0, 1, End::Never), 1_000_000, Err(EBUSY)),
        ("driver not ready after a reset", Ep11, Start::Bound, |q| q.reset_here(0), 20, Err(EBUSY)),
        ("driver ready", Ep11, Start::Bound, |q| q.reset_here(0), 60, Ok(())),
    ];
    check(&rows, |queue, now| queue.may_associate(now));
}

#[test]
fn an_unbind_is_accepted_in_every_state() {
    let rows: [Row; 8] = [
        ("CCA", Cca, Start::Illicit, nothing, 10, Err(EINVAL)),
        ("unbound", Ep11, Start::Unbound, nothing, 10, Ok(())),
        ("accelerator", Accelerator, Start::Bound, nothing, 10, Ok(())),
        ("pending", Ep11, Start::Pending(0, None), nothing, 10, Ok(())),
        ("illicit", Ep11, Start::Illicit, nothing, 10, Ok(())),
        ("reset in progress", Ep11, Start::Bound, unbind, 10, Ok(())),
        ("taken by the host", Ep11, Start::Bound, |q| q.take(0), 10, Ok(())),
        ("asynchronous error", Ep11, Start::Bound, fail_to_associate, 10, Ok(())),
    ];
    check(&rows, Queue::unbind);
}

fn check(rows: &[Row], attempt: impl Fn(&mut Queue, Millis) -> Result<(), Errno>) {
    for (name, mode, start, prepare, at, expected) in rows {
        let mut queue = queue(*mode, *start);
        prepare(&mut queue);
        queue.advance(*at);
        assert_eq!(attempt(&mut queue, *at), *expected, "{name}");
    }
}

/// What `se_bind` and `se_associate` read.
fn texts(queue: &Queue) -> (String, String) {
    let text = |text: Result<String, Errno>| text.unwrap_or_else(|errno| format!("{errno:?}"));
    (text(queue.se_bind().map(String::from)), text(queue.se_associate()))
}

#[track_caller]
fn reads(queue: &mut Queue, at: Millis, se_bind: &str, se_associate: &str) {
    queue.advance(at);
    assert_eq!(texts(queue), (se_bind.into(), se_associate.into()), "at {at}");
}

#[test]
fn an_ep11_queue_is_bound_associated_and_unbound() {
    let mut queue = queue(Ep11, Start::Unbound);
    reads(&mut queue, 0, "unbound", "unassociated");
    assert_eq!(queue.bind(0), 0);
    assert_eq!(queue.is_bound(), Ok(()));
    reads(&mut queue, 0, "bound", "unassociated");
    assert_eq!(queue.bind_state(), BindState::Bound);
    queue.associate(5, 65_535, End::Ok);
    reads(&mut queue, 104, "bound", "association pending");
    assert_eq!((queue.situation(), queue.bind_state()), (Situation::Pending(65_535), BindState::Bound));
    reads(&mut queue, 105, "bound", "associated 65535");
    assert_eq!((queue.situation(), queue.bind_state()), (Situation::Associated(65_535), BindState::Usable));
    assert!(!queue.is_driver_idle(144) && queue.is_driver_idle(145));
    queue.unbind(200).unwrap();
    // The hardware is still as it was, but the driver has forgotten the index.
    reads(&mut queue, 219, "bound", "EIO");
    assert_eq!(queue.situation(), Situation::Unbinding);
    reads(&mut queue, 220, "unbound", "unassociated");
    assert_eq!((queue.situation(), queue.bind_state()), (Situation::Unbound, BindState::Unbound));
}

#[test]
fn an_accelerator_is_usable_at_once() {
    let mut queue = queue(Accelerator, Start::Unbound);
    queue.bind(0);
    assert_eq!((queue.bind_state(), queue.situation()), (BindState::Usable, Situation::Bound));
    queue.reset_here(10);
    queue.advance(100);
    assert_eq!(queue.situation(), Situation::Bound);
    queue.unbind(100).unwrap();
    queue.advance(120);
    assert_eq!(queue.situation(), Situation::Unbound);
}

#[test]
fn a_slow_bind_is_over_when_its_time_is() {
    let mut queue = queue(Ep11, Start::Unbound);
    queue.times.bind = 30;
    assert_eq!(queue.bind(10), 30);
    queue.advance(39);
    assert_eq!((queue.situation(), queue.is_bound()), (Situation::Binding, Err(EIO)));
    assert!(queue.takes_a_place());
    queue.advance(40);
    assert_eq!((queue.situation(), queue.is_bound()), (Situation::Bound, Ok(())));
    // Something came between.
    queue.unbind(41).unwrap();
    queue.advance(100);
    assert_eq!(queue.is_bound(), Err(EIO));
}

#[test]
fn an_association_ends_as_it_is_ordered() {
    let rows = [
        (End::Ok, "bound", "associated 3", Situation::Associated(3)),
        (End::Other(4), "bound", "associated 4", Situation::Associated(4)),
        (End::Never, "bound", "association pending", Situation::Pending(3)),
        (End::Dropped, "bound", "unassociated", Situation::Bound),
        (End::Asynchronous, "EIO", "EIO", Situation::Error),
        (End::Reset, "unbound", "unassociated", Situation::Unbound),
    ];
    for (end, se_bind, se_associate, situation) in rows {
        let mut queue = queue(Ep11, Start::Bound);
        queue.associate(0, 3, end);
        reads(&mut queue, 99, "bound", "association pending");
        assert_eq!(queue.settled(), situation, "{end:?}");
        queue.advance(100);
        assert_eq!(texts(&queue), (se_bind.into(), se_associate.into()), "{end:?}");
        assert_eq!(queue.situation(), situation, "{end:?}");
    }
}

#[test]
fn an_asynchronous_error_lasts_until_the_scan_or_an_unbind() {
    for unbinds in [false, true] {
        let mut queue = queue(Ep11, Start::Bound);
        queue.associate(0, 3, End::Asynchronous);
        reads(&mut queue, 30_099, "EIO", "EIO");
        if unbinds {
            queue.unbind(30_099).unwrap();
            reads(&mut queue, 30_119, "unbound", "unassociated");
        } else {
            reads(&mut queue, 30_120, "bound", "unassociated");
            assert_eq!(queue.may_associate(30_120), Err(EBUSY));
            assert_eq!(queue.may_associate(30_160), Ok(()));
        }
    }
}

#[test]
fn a_queue_that_was_taken_is_a_ghost_until_the_scan() {
    let rows = [(Start::Unbound, "EIO"), (Start::Bound, "EIO"), (Start::Associated(3), "associated 3")];
    for (start, se_associate) in rows {
        let mut queue = queue(Ep11, start);
        queue.take(50);
        reads(&mut queue, 60, "bound", se_associate);
        assert!(queue.is_listed() && !queue.takes_a_place() && !queue.answers_requests());
        // Accepted, and nothing changes.
        queue.unbind(70).unwrap();
        reads(&mut queue, 30_049, "bound", se_associate);
        assert_eq!(queue.settled(), Situation::Gone);
        queue.advance(30_050);
        assert!(!queue.is_listed());
        assert_eq!(queue.situation(), Situation::Gone);

        queue.give(40_000);
        queue.advance(69_999);
        assert!(!queue.is_listed());
        reads(&mut queue, 70_000, "unbound", "unassociated");
        assert_eq!((queue.may_bind(70_039), queue.may_bind(70_040)), (Err(EBUSY), Ok(())));
    }
}

#[test]
fn a_scan_notices_at_once() {
    let mut ghost = queue(Ep11, Start::Ghost(Some(0)));
    assert_eq!(texts(&ghost), ("bound".into(), "associated 0".into()));
    ghost.scan(1);
    assert!(!ghost.is_listed());
    ghost.give(2);
    ghost.scan(3);
    assert!(ghost.is_here());
    let mut broken = queue(Ep11, Start::Bound);
    broken.associate(0, 1, End::Never);
    broken.reset_by_host(50);
    assert_eq!(broken.may_bind(50), Ok(()), "the driver is not in the middle of a reset");
    broken.scan(60);
    assert_eq!(broken.may_bind(60), Err(EIO));
    broken.advance(120);
    assert_eq!((broken.may_bind(120), broken.situation()), (Ok(()), Situation::Unbound));
}

#[test]
fn the_driver_does_not_hear_of_a_reset_by_the_host() {
    let mut queue = queue(Ep11, Start::Associated(2));
    queue.reset_by_host(10);
    reads(&mut queue, 10, "unbound", "unassociated");
    assert_eq!(queue.may_bind(10), Ok(()));
}

#[test]
fn a_device_that_is_made_anew_does_not_know_its_secret() {
    let mut queue = queue(Ep11, Start::Associated(2));
    queue.forget();
    reads(&mut queue, 10, "bound", "EIO");
    assert_eq!(queue.situation(), Situation::Associated(2));
}

#[test]
fn a_restart_of_the_guest_unbinds() {
    let starts = [Start::Bound, Start::Associated(1), Start::Pending(1, None), Start::Unbound];
    for start in starts {
        let mut queue = queue(Ep11, start);
        queue.advance(50);
        queue.reboot();
        assert_eq!((queue.situation(), queue.may_bind(0)), (Situation::Unbound, Ok(())), "{start:?}");
    }
    let mut illicit = queue(Ep11, Start::Illicit);
    illicit.reboot();
    assert_eq!(illicit.situation(), Situation::Illicit);
    let mut ghost = queue(Ep11, Start::Ghost(None));
    ghost.reboot();
    assert_eq!(ghost.situation(), Situation::Gone);
}
