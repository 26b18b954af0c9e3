//! The best matching of entries (rows) with places (slots) where each row and each slot is used at most once.
//!
//! Successive best augmenting paths (Busacker and Gowen 1961, Jewell 1958: minimum-cost flow): the matching of each
//! size is the best of that size. A row that has a slot keeps having one, so what a path adds to the set of rows is the
//! row that it starts from; that is why the order of rows need not be a number in the gain.
//!
//! An example: both of two entries fit card 0, a CEX8; only the first one fits card 1, a CEX7. The gain is the generation.
//!
//! ```text
//!           slot 0    slot 1
//! row 0       8         7
//! row 1       8         -
//!
//! 1st path: row 0 ─ slot 0                     gain 8             row 0 has slot 0
//! 2nd path: row 1 ─ slot 0 ─ row 0 ─ slot 1    gain 8 + (7 - 8)   row 1 has slot 0, row 0 has slot 1: 15 in all
//! ```
//!
//! Taking the rows one after another would have ended with row 0 on slot 0, and nothing for row 1. A [`Label`] is the best
//! way to a slot so far: after the first round of the second path, slot 0 has (gain 8, from row 1); its holder, row 0, could
//! move to slot 1, which gives slot 1 the label (gain 7, from row 1). Slot 1 is free, so the path ends there.

#![expect(
    clippy::indexing_slicing,
    reason = "rows, twins and taken have one length; there is a holder and a label for the slot of each edge"
)]

use std::ops::{Add, Sub};

/// A slot that a row may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) slot: usize,
    pub(super) gain: Gain,
}

/// What it is good for. The first part that differs decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gain {
    pub(super) kept: i32,
    pub(super) generation: i32,
    pub(super) tie: i128,
}

impl Add for Gain {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { kept: self.kept + other.kept, generation: self.generation + other.generation, tie: self.tie + other.tie }
    }
}

impl Sub for Gain {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { kept: self.kept - other.kept, generation: self.generation - other.generation, tie: self.tie - other.tie }
    }
}

/// The best path to a slot that was found so far.
#[derive(Clone, Copy)]
struct Label {
    gain: Gain,
    start: usize,
    /// The row that would have the slot, and by which of its edges.
    by: (usize, usize),
}

impl Label {
    fn is_better(&self, other: &Option<Self>) -> bool {
        other.is_none_or(|other| (self.gain, other.start) > (other.gain, self.start))
    }
}

/// For each row the position of the edge that it has, in a matching of at most `limit` of them that is first the
/// largest, then has the largest gain, then has the earlier rows.
///
/// `twins` names for each row the one before it that has the same edges, if any. That saves time only.
pub(super) fn best(rows: &[Vec<Edge>], twins: &[Option<usize>], limit: usize) -> Vec<Option<usize>> {
    let slots = rows.iter().flatten().map(|edge| edge.slot + 1).max().unwrap_or(0);
    let mut taken: Vec<Option<usize>> = vec![None; rows.len()];
    let mut holder: Vec<Option<usize>> = vec![None; slots];
    let mut labels: Vec<Option<Label>> = vec![None; slots];
    for _ in 0..limit {
        label_all(rows, twins, &taken, &holder, &mut labels);
        let ends = labels.iter().enumerate().filter(|(slot, _)| holder[*slot].is_none());
        let end = ends.fold(None, |best: Option<Label>, (_, label)| match label {
            Some(label) if label.is_better(&best) => Some(*label),
            _ => best,
        });
        let Some(mut label) = end else { break };
        loop {
            let (row, edge) = label.by;
            let before = taken[row].replace(edge).map(|before| rows[row][before].slot);
            holder[rows[row][edge].slot] = Some(row);
            match before.and_then(|slot| labels[slot]) {
                Some(previous) => label = previous,
                None => break,
            }
        }
    }
    taken
}

fn label_all(
    rows: &[Vec<Edge>],
    twins: &[Option<usize>],
    taken: &[Option<usize>],
    holder: &[Option<usize>],
    labels: &mut [Option<Label>],
) {
    labels.fill(None);
    let mut improved = Vec::new();
    // The first of equal rows is the one to start from.
    let is_start = |row: usize| taken[row].is_none() && twins[row].is_none_or(|twin| taken[twin].is_some());
    for (row, edges) in rows.iter().enumerate().filter(|(row, _)| is_start(*row)) {
        for (at, edge) in edges.iter().enumerate() {
            let label = Label { gain: edge.gain, start: row, by: (row, at) };
            if label.is_better(&labels[edge.slot]) {
                labels[edge.slot] = Some(label);
            }
        }
    }
    let is_held = |slot: &usize| holder[*slot].is_some();
    improved.extend((0..labels.len()).filter(|slot| labels[*slot].is_some()).filter(is_held));
    // No cycle improves a matching that is the best of its size, so this ends.
    while !improved.is_empty() {
        let mut next = Vec::new();
        for slot in improved {
            let (Some(row), Some(label)) = (holder[slot], labels[slot]) else { continue };
            let Some(current) = taken[row] else { continue };
            for (at, edge) in rows[row].iter().enumerate().filter(|(_, edge)| edge.slot != slot) {
                let gain = label.gain + edge.gain - rows[row][current].gain;
                let label = Label { gain, start: label.start, by: (row, at) };
                if label.is_better(&labels[edge.slot]) {
                    labels[edge.slot] = Some(label);
                    if is_held(&edge.slot) && !next.contains(&edge.slot) {
                        next.push(edge.slot);
                    }
                }
            }
        }
        improved = next;
    }
}
