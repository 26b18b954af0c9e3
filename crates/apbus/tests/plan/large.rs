//! Plans too large for an exhaustive search: they keep the rules, and do not depend on what does not matter.

use crate::rules::{Value, World, scaled, violations};
use apbus::plan::{Step, plan};
use apbus::{Mode, Queue, State};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// What becomes of the queues if all steps succeed, or what is wrong with one.
fn outcome(world: &World, steps: &[Step]) -> Result<HashMap<apbus::Apqn, State>, String> {
    let mut states: HashMap<_, _> = world.queues.iter().map(|queue| (queue.apqn, queue.state)).collect();
    let mut built = false;
    for step in steps {
        let next = match *step {
            Step::Unbind(_) => State::Unbound,
            Step::Bind { .. } => State::Bound,
            Step::Associate { index, .. } => State::Associated(index),
            other => return Err(format!("{other}: no step of a plan")),
        };
        let state = states.get_mut(&step.queue()).ok_or("no such queue")?;
        let is_right = match (step, *state) {
            (Step::Unbind(_), State::Bound | State::Pending | State::Associated(_) | State::Broken) => !built,
            (Step::Bind { .. }, State::Unbound) | (Step::Associate { .. }, State::Bound) => {
                built = true;
                true
            }
            _ => false,
        };
        if !is_right {
            return Err(format!("{step}: it is {state:?}"));
        }
        *state = next;
    }
    Ok(states)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: scaled(300), ..ProptestConfig::default() })]

    #[test]
    fn keeps_the_rules_and_reaches_what_it_says(world in World::of_size(0..=40, 0..=60, 8)) {
        let found = plan(&world.problem());
        let chosen = world.chosen(&found);
        prop_assert_eq!(violations(&world, &chosen), Vec::<String>::new());
        let states = outcome(&world, &found.steps).map_err(TestCaseError::fail)?;

        let mut used = HashSet::new();
        for (entry, assignment) in world.entries.iter().zip(&found.assignments) {
            let Ok(assignment) = assignment else { continue };
            used.insert(assignment.queue);
            let queue = world.queues.iter().find(|queue| queue.apqn == assignment.queue).unwrap();
            let after = Queue { state: states[&assignment.queue], ..queue.clone() };
            prop_assert!(world.keeps(entry, &after), "{:?} does not satisfy {:?}", after, entry);
            prop_assert_eq!(assignment.kept, world.keeps(entry, queue));
            prop_assert_eq!(assignment.secret, world.index(entry, queue));
            let touched = found.steps.iter().any(|step| step.queue() == queue.apqn);
            prop_assert_eq!(touched, !assignment.kept);
        }
        // Each queue is either used or explained, and nothing else stays bound.
        let explained: Vec<_> = found.unused.iter().map(|(queue, _)| *queue).collect();
        prop_assert!(explained.is_sorted());
        prop_assert_eq!(explained.len() + used.len(), world.queues.len());
        for queue in world.queues.iter().filter(|queue| !used.contains(&queue.apqn)) {
            let is_unbound = !matches!(
                states[&queue.apqn], State::Bound | State::Pending | State::Associated(_) | State::Broken
            );
            prop_assert!(is_unbound || used.is_empty() || queue.mode == Mode::Cca, "{} stays bound", queue.apqn);
        }

        // What is done is not done again.
        let mut after = world.clone();
        after.queues.iter_mut().for_each(|queue| queue.state = states[&queue.apqn]);
        let again = plan(&after.problem());
        if found.exact && again.exact {
            prop_assert_eq!(&again.steps, &[]);
            prop_assert_eq!(again.assignments.iter().flatten().count(), used.len());
        }
    }

    #[test]
    fn does_not_depend_on_the_order_of_queues_and_secrets(
        (world, other) in World::of_size(0..=20, 0..=30, 6).prop_flat_map(|world| {
            let shuffled = (Just(world.queues.clone()).prop_shuffle(), Just(world.secrets.clone()).prop_shuffle());
            (Just(world.clone()), shuffled.prop_map(move |(queues, secrets)| World { queues, secrets, ..world.clone() }))
        })
    ) {
        prop_assert_eq!(plan(&world.problem()), plan(&other.problem()));
    }

    /// Whoever wants more gets at least as much.
    #[test]
    fn gets_no_worse_with_one_more_queue(mut world in World::of_size(1..=12, 1..=20, 6)) {
        let with = plan(&world.problem());
        let with_value = Value::of(&world, &world.chosen(&with));
        let removed = world.queues.pop();
        let without = plan(&world.problem());
        let without_value = Value::of(&world, &world.chosen(&without));
        if with.exact && without.exact {
            prop_assert!(with_value >= without_value, "worse with {:?}", removed);
        }
    }
}
