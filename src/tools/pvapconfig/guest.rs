//! What the guest must have before its queues can be configured.

use super::narrator::Narrator;
use crate::shared::system::System;
use anyhow::{Context, bail};
use apbus::{AssociationSecret, Bus, Clock};
use std::time::Duration;
use uvdevice::Query;
use uvtypes::SecretKind;
use uvtypes::flags::facilities;

/// Three scans of the bus, which come every 30 seconds.
const BINDINGS_TIMEOUT: Duration = Duration::from_secs(90);

/// Is this a guest whose ultravisor lists secrets?
pub(super) fn check(system: &System) -> anyhow::Result<()> {
    if !system.is_guest() {
        bail!("this is not a SE guest: queues are bound from within a Secure Execution guest");
    }
    let known = match Query::below(&system.root.join("sys")) {
        Some(query) => query.bits("facilities").context("Failure parsing UV facilities entry")?,
        None => None,
    };
    if !known.is_some_and(|known| known.has(facilities::LIST_SECRETS.bit)) {
        bail!(
            "The 'list secret' feature is missing on this UV: the machine needs firmware that supports EP11 association"
        );
    }
    Ok(())
}

/// The secrets that queues can be associated with.
pub(super) fn association_secrets(narrator: &mut Narrator<'_>) -> anyhow::Result<Vec<AssociationSecret>> {
    let list = (narrator.system.uv)()?.list_secrets()?;
    if list.is_cut() {
        narrator.note("Warning: the ultravisor has more secrets than the uvdevice of this kernel can list");
    }
    let association = list.secrets.iter().filter(|secret| secret.kind == SecretKind::ASSOCIATION);
    Ok(association.map(|secret| AssociationSecret { id: secret.id, index: secret.index }).collect())
}

/// Waits until every queue has its driver; without end would be too long.
pub(super) fn wait_for_bindings(bus: &Bus, clock: &dyn Clock, narrator: &mut Narrator<'_>) -> Result<(), apbus::Error> {
    const LONGEST: Duration = Duration::from_millis(200);
    const REMINDER: Duration = Duration::from_secs(5);
    let mut pause = Duration::from_millis(1);
    let mut reminded = Duration::ZERO;
    let began = clock.elapsed();
    loop {
        let bindings = bus.bindings()?;
        let waited = clock.elapsed().saturating_sub(began);
        if bindings.are_complete() {
            return Ok(());
        }
        if waited >= BINDINGS_TIMEOUT {
            narrator.note(&format!(
                "Warning: only {} of the AP bus devices have a driver after {} s; going on with these",
                bindings.text,
                waited.as_secs()
            ));
            return Ok(());
        }
        if waited - reminded >= REMINDER {
            reminded = waited;
            narrator.remind(&format!("Waiting for AP bus bindings complete ({}).", bindings.text));
        }
        clock.sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::pvapconfig::Arguments;
    use clap::Parser;
    use std::cell::Cell;
    use std::fs;
    use std::io;
    use std::sync::Mutex;

    /// Time that passes only when somebody waits.
    #[derive(Default)]
    struct Patient(Mutex<Duration>);

    impl Clock for Patient {
        fn elapsed(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, time: Duration) {
            *self.0.lock().unwrap() += time;
        }
    }

    #[test]
    fn gives_the_bus_ninety_seconds_and_goes_on_with_what_it_has() {
        thread_local!(static SAID: Cell<usize> = const { Cell::new(0) });
        struct Count;
        impl io::Write for Count {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                SAID.set(SAID.get() + String::from_utf8_lossy(bytes).matches("(2/3)").count());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sysfs = tempfile::tempdir().unwrap();
        fs::create_dir_all(sysfs.path().join("bus/ap")).unwrap();
        fs::write(sysfs.path().join("bus/ap/bindings"), "2/3\n").unwrap();
        let bus = Bus::open(sysfs.path()).unwrap();
        let args = Arguments::parse_from(["pvapconfig"]);
        let mut system = System::new(Box::new(io::empty()), Box::new(Count), Box::new(io::sink()));
        let clock = Patient::default();
        wait_for_bindings(&bus, &clock, &mut Narrator::new(&args, &mut system)).unwrap();
        let waited = clock.elapsed();
        assert!(waited >= BINDINGS_TIMEOUT && waited < BINDINGS_TIMEOUT + Duration::from_secs(1), "{waited:?}");
        assert_eq!(SAID.get(), 17, "a reminder every five seconds");

        fs::write(sysfs.path().join("bus/ap/bindings"), "3/3 (complete)\n").unwrap();
        wait_for_bindings(&bus, &clock, &mut Narrator::new(&args, &mut system)).unwrap();
        assert_eq!(clock.elapsed(), waited);
    }
}
