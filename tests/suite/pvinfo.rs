//! pvinfo on a workstation and in a simulated guest.

use crate::recorded;

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvinfo", |_| true);
}
