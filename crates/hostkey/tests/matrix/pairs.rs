//! Two situations at once: a chain that is wrong in one way is refused whatever else is different, and two differences that
//! are each accepted are accepted together. The order of what is given changes no verdict.
//!
//! The rows' own verdicts are the oracle. Two rows that touch the same field have no meaning together: those are told by
//! the certificates, which then depend on who comes last.

use crate::situation::*;
use pvsim::pki::{Pki, Plan};
use std::cell::Cell;

/// With `PVTOOLS_EVERY_PAIR`, every pair is tried; else one of as many.
const STEP: usize = 23;

/// The CRL has the other name of the signing key, which with a row that gives this name to both is no difference.
const HEALED: &str = "no-crl-armonk-for-pok";

thread_local! {
    /// The changes of the pair that is being judged: a row's change is a plain function.
    static PAIR: Cell<[Change; 2]> = const { Cell::new([SOUND, SOUND]) };
}

fn both(plan: &mut Plan) {
    PAIR.get().into_iter().for_each(|change| change(plan));
}

/// All certificates and CRLs that come of two changes, in this order; none if they cannot be made.
fn made(first: Change, second: Change) -> Option<Vec<Vec<u8>>> {
    let mut plan = Plan::new(&POOL.keys, NOW);
    first(&mut plan);
    second(&mut plan);
    let Pki { root, intermediate, signing_key, host_key_document, crls, .. } = plan.build().ok()?;
    let authorities = [root, intermediate, signing_key].map(|authority| authority.certificate);
    let certificates = authorities.iter().chain([&host_key_document]).map(|certificate| certificate.to_der().unwrap());
    Some(certificates.chain(crls.iter().map(|crl| crl.to_der().unwrap())).collect())
}

fn reversed(_: &Plan, _: &Pki, files: &mut Files) {
    files.certs.reverse();
    files.crls.reverse();
}

#[test]
fn two_differences_are_refused_if_one_of_them_is() {
    let every = std::env::var_os("PVTOOLS_EVERY_PAIR").is_some();
    let rows: Vec<_> =
        crate::rows().filter(|row| row.2 as usize == AS_IS as usize && row.1 as usize != SOUND as usize).collect();
    let pairs =
        rows.iter().enumerate().flat_map(|(at, first)| rows[at + 1..].iter().map(move |second| (first, second)));
    let (mut refused, mut accepted, mut entangled, mut wrong) = (0, 0, 0, Vec::new());
    for (_, (first, second)) in pairs.enumerate().filter(|(number, _)| every || number % STEP == 0) {
        let order = made(first.1, second.1);
        let healed =
            [first.0, second.0].contains(&HEALED) && [first.0, second.0].iter().any(|id| id.starts_with("ok-armonk"));
        if healed || order.is_none() || order != made(second.1, first.1) {
            entangled += 1;
            continue;
        }
        PAIR.set([first.1, second.1]);
        let expected = first.3 == "-" && second.3 == "-";
        for (order, arrange) in [("as it is", AS_IS), ("reversed", reversed as Arrange)] {
            let found = judge_at(NOW, both, arrange);
            if found.is_ok() != expected {
                wrong.push(format!("{} and {}, {order}: {found:?}", first.0, second.0));
            }
        }
        if expected { accepted += 1 } else { refused += 1 }
    }
    println!("{accepted} pairs accepted, {refused} refused, {entangled} that touch the same field");
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(accepted > 3 && refused > 50);
}
