//! Situations of host-key verification, one a row, at a pinned time: each with its verdict, the variant of its error, and a
//! part of its words. Keys, certificates and CRLs are made anew by the simulator's generator. What is about files, and a
//! few of each sort, runs as a whole program, too: `tests/suite/certificate_matrix.rs`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says where")]

mod accepted;
mod chain;
mod clock;
mod crls;
mod documents;
mod pairs;
mod situation;
mod uses;

use situation::{Row, judge, variant};

fn rows() -> impl Iterator<Item = &'static Row> {
    [accepted::ROWS, documents::ROWS, chain::ROWS, crls::ROWS, uses::ROWS].into_iter().flatten()
}

/// `fixtures/certificate-matrix.txt`: the situations that the reference was tried with, and the wanted verdict.
#[test]
fn rows_are_those_of_the_matrix() {
    let rows: Vec<_> = rows().collect();
    let matrix = include_str!("../../../../fixtures/certificate-matrix.txt");
    let whole_program = include_str!("../../../../tests/suite/certificate_matrix.rs");
    for line in matrix.lines().filter(|line| !line.starts_with(['#', 'n']) || line.starts_with("no-")) {
        let (id, verdict) = line.split_once(' ').unwrap();
        match rows.iter().find(|row| row.0 == id) {
            Some(row) => assert_eq!(row.3 == "-", verdict == "accept", "{id}"),
            // What is about files alone.
            None => assert!(whole_program.contains(&format!("\"{id}\"")), "no row {id}"),
        }
    }
}

#[test]
fn every_situation_has_its_verdict_and_its_reason() {
    let mut wrong = Vec::new();
    for Row(id, change, arrange, expected, reason) in rows() {
        let (found, words) = match judge(id, *change, *arrange) {
            Ok(()) => ("-", String::new()),
            Err(error) => (variant(&error), error.to_string()),
        };
        if found != *expected || !words.contains(reason) {
            wrong.push(format!("{id}: expected {expected} '{reason}', found {found} '{words}'"));
        }
    }
    println!("{} situations", rows().count());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows().count(), wrong.join("\n"));
}
