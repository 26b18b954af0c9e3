//! The planner against all assignments there are.

use crate::rules::{Value, World, scaled, violations};
use apbus::plan::plan;
use apbus::{Entry, Queue, State, Wanted};
use proptest::prelude::*;

/// The best value of any assignment that keeps the rules: tries them all.
fn best(world: &World) -> Value {
    fn go(world: &World, chosen: &mut Vec<Option<usize>>, best: &mut Option<Value>) {
        if chosen.len() == world.entries.len() {
            let value = Value::of(world, chosen);
            if best.as_ref().is_none_or(|best| value > *best) {
                *best = Some(value);
            }
            return;
        }
        let entry = &world.entries[chosen.len()];
        for option in std::iter::once(None).chain((0..world.queues.len()).map(Some)) {
            if option.is_none_or(|queue| serves(world, entry, &world.queues[queue])) {
                chosen.push(option);
                if violations(world, chosen).is_empty() {
                    go(world, chosen, best);
                }
                chosen.pop();
            }
        }
    }
    let mut best = None;
    go(world, &mut Vec::new(), &mut best);
    best.unwrap()
}

/// Whether a queue can serve an entry if nothing else is wanted.
fn serves(world: &World, entry: &Entry, queue: &Queue) -> bool {
    let usable =
        matches!(queue.state, State::Unbound | State::Bound | State::Pending | State::Associated(_) | State::Broken);
    usable
        && world.fits(entry, queue)
        && match entry.wanted {
            Wanted::Accelerator => true,
            Wanted::Ep11 { .. } => world.index(entry, queue).is_some(),
        }
}

fn compare(world: &World) -> Result<(), TestCaseError> {
    let plan = plan(&world.problem());
    let chosen = world.chosen(&plan);
    prop_assert_eq!(violations(world, &chosen), Vec::<String>::new());
    prop_assert!(plan.exact);
    prop_assert_eq!(Value::of(world, &chosen), best(world));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: scaled(10_000), ..ProptestConfig::default() })]

    #[test]
    fn is_never_beaten_by_any_assignment(world in World::small()) {
        compare(&world)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: scaled(600), ..ProptestConfig::default() })]

    #[test]
    fn is_never_beaten_where_secrets_and_master_keys_cross(world in World::crossed()) {
        compare(&world)?;
    }
}
