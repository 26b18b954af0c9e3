//! pvapconfig, lszcrypt and chzcrypt on a simulated AP bus.

use crate::recorded;

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvapconfig", |_| true);
}
