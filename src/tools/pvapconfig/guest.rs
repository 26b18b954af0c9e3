//! What the guest must have before its queues can be configured.

use super::reporter::Reporter;
use crate::shared::system::{UvOpener, is_guest};
use anyhow::{Context, bail};
use apbus::{AssociationSecret, Backoff, Bus, Clock};
use std::path::Path;
use std::time::Duration;
use uvdevice::UvInfo;
use uvtypes::SecretKind;
use uvtypes::flags::facilities;

/// Three scans of the bus, which come every 30 seconds.
const BINDINGS_TIMEOUT: Duration = Duration::from_secs(90);

/// Is this a guest whose ultravisor lists secrets?
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    if !is_guest(root) {
        bail!("this is not a SE guest: queues are bound from within a Secure Execution guest");
    }
    let known = match UvInfo::at_sysfs(&root.join("sys")) {
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
pub(super) fn association_secrets(
    uv: &UvOpener,
    reporter: &mut Reporter<'_>,
) -> anyhow::Result<Vec<AssociationSecret>> {
    let list = uv()?.list_secrets()?;
    if list.is_cut() {
        reporter.warning("Warning: the ultravisor has more secrets than the uvdevice of this kernel can list");
    }
    let association = list.secrets.iter().filter(|secret| secret.kind == SecretKind::ASSOCIATION);
    Ok(association.map(|secret| AssociationSecret { id: secret.id, index: secret.index }).collect())
}

/// Waits until every queue has its driver; without end would be too long.
pub(super) fn wait_for_bindings(bus: &Bus, clock: &dyn Clock, reporter: &mut Reporter<'_>) -> Result<(), apbus::Error> {
    const REMINDER: Duration = Duration::from_secs(5);
    let mut reminded = Duration::ZERO;
    let mut backoff = Backoff::new(clock, BINDINGS_TIMEOUT);
    loop {
        let bindings = bus.bindings()?;
        let waited = backoff.waited();
        if bindings.are_complete() {
            return Ok(());
        }
        if !backoff.is_left() {
            reporter.warning(&format!(
                "Warning: only {} of the AP bus devices have a driver after {} s; going on with these",
                bindings.text,
                waited.as_secs()
            ));
            return Ok(());
        }
        if waited - reminded >= REMINDER {
            reminded = waited;
            reporter.notice(&format!("Waiting for AP bus bindings complete ({}).", bindings.text));
        }
        backoff.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::cli::Format;
    use crate::tools::pvapconfig::reporter::Style;
    use std::fs;
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
        let sysfs = tempfile::tempdir().unwrap();
        fs::create_dir_all(sysfs.path().join("bus/ap")).unwrap();
        fs::write(sysfs.path().join("bus/ap/bindings"), "2/3\n").unwrap();
        let bus = Bus::open(sysfs.path()).unwrap();
        let style = Style { format: Format::Text, verbose: false, dry_run: false, shows_waits: false };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut reporter = Reporter::new(style, &mut out, &mut err);
        let clock = Patient::default();
        wait_for_bindings(&bus, &clock, &mut reporter).unwrap();
        let waited = clock.elapsed();
        assert!(waited >= BINDINGS_TIMEOUT && waited < BINDINGS_TIMEOUT + Duration::from_secs(1), "{waited:?}");

        fs::write(sysfs.path().join("bus/ap/bindings"), "3/3 (complete)\n").unwrap();
        wait_for_bindings(&bus, &clock, &mut reporter).unwrap();
        assert_eq!(clock.elapsed(), waited);
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said.matches("(2/3)").count(), 17, "a reminder every five seconds: {said}");
        let warned = String::from_utf8(err).unwrap();
        assert!(warned.contains("only 2/3 of the AP bus devices have a driver after 90 s"), "{warned}");
    }
}
