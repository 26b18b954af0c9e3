//! The edges of validity, to the second.

use crate::situation::{AS_IS, NOW, judge_at, variant};
use pvsim::pki::Plan;

/// The verdict at `unix_time` over what `change` made of the plan.
#[track_caller]
fn is(unix_time: i64, change: impl Fn(&mut Plan), expected: &str) {
    let found = judge_at(unix_time, change, AS_IS).map_or_else(|error| variant(&error), |()| "-");
    assert_eq!(found, expected, "at {unix_time}");
}

const START: i64 = NOW - 1000;
const END: i64 = NOW + 1000;

#[test]
fn document_is_valid_from_its_first_second_to_before_its_last() {
    let change = |plan: &mut Plan| (plan.host_key.not_before, plan.host_key.not_after) = (START, END);
    for (unix_time, expected) in [(START - 1, "NotYetValid"), (START, "-"), (END - 1, "-"), (END, "Expired")] {
        is(unix_time, change, expected);
    }
}

#[test]
fn crl_of_the_signing_key_is_usable_from_its_first_second_to_before_its_next_update() {
    let change = |plan: &mut Plan| {
        (plan.signing_key_crl.last_update, plan.signing_key_crl.next_update) = (START, Some(END));
    };
    for (unix_time, expected) in [(START - 1, "NoCrl"), (START, "-"), (END - 1, "-"), (END, "NoCrl")] {
        is(unix_time, change, expected);
    }
}

#[test]
fn crls_of_the_chain_have_the_same_edges() {
    let intermediate = |plan: &mut Plan| {
        (plan.intermediate_crl.last_update, plan.intermediate_crl.next_update) = (START, Some(END));
    };
    let root = |plan: &mut Plan| (plan.root_crl.last_update, plan.root_crl.next_update) = (START, Some(END));
    for (unix_time, expected) in [(START - 1, "ChainNoCrl"), (START, "-"), (END - 1, "-"), (END, "ChainNoCrl")] {
        is(unix_time, intermediate, expected);
        is(unix_time, root, expected);
    }
}

#[test]
fn certificates_of_the_chain_follow_openssl_at_their_ends() {
    let ends: [fn(&mut Plan); 3] = [
        |plan| (plan.signing_key.not_before, plan.signing_key.not_after) = (START, END),
        |plan| (plan.intermediate.not_before, plan.intermediate.not_after) = (START, END),
        |plan| (plan.root.not_before, plan.root.not_after) = (START, END),
    ];
    for change in ends {
        for (unix_time, expected) in [(START - 1, "Chain"), (START, "-"), (END - 1, "-"), (END + 1, "Chain")] {
            is(unix_time, change, expected);
        }
    }
}

#[test]
fn time_before_1970_and_far_ahead_is_a_time_like_others() {
    for unix_time in [i64::MIN, -1, 0, i64::MAX] {
        assert!(judge_at(unix_time, |_| {}, AS_IS).is_err(), "at {unix_time}");
    }
}
