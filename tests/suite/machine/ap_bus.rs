//! What pvapconfig does on simulated AP buses: the scenarios of `tests/ap_scenarios.yaml`.

use pvsim::scenario::{self, Expect, List, Program, Row};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

/// Rows wait for firmware that takes its time.
const AT_ONCE: usize = 8;

#[test]
fn every_scenario_ends_as_it_should() {
    let list = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ap_scenarios.yaml")).unwrap();
    let list = List::parse(&list).unwrap();
    assert!(list.rows().len() >= 54, "rows were lost");
    let product = Path::new(env!("CARGO_BIN_EXE_pvtools")).parent().unwrap();
    let program = Program::in_folder(product).unwrap();
    let rows = Mutex::new(list.rows().iter());
    let failures = Mutex::new(vec![]);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let row = rows.lock().unwrap().next();
                    let Some(row) = row else { break };
                    let failure = failure(&list, row, &program);
                    failures.lock().unwrap().extend(failure);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} rows differ\n{}", failures.len(), list.rows().len(), failures.join("\n"));
}

fn failure(list: &List, row: &Row, program: &Program) -> Option<String> {
    let outcome = scenario::run(list, row, program, |error| panic!("the simulator itself failed: {error}")).unwrap();
    let differences = scenario::differences(&outcome, row.expectation(Expect::Ideal).unwrap());
    if differences.is_empty() {
        return None;
    }
    Some(format!("{} {}: {}\n{}", row.id, row.title, differences.join("; "), outcome.last))
}
