//! Who made an output, when, and where.

use crate::shared::system::System;
use anyhow::Context;
use serde_json::{Value, json};
use std::time::UNIX_EPOCH;

pub(super) fn meta(system: &System) -> anyhow::Result<Value> {
    let epoch = (system.now)().duration_since(UNIX_EPOCH).context("The clock is set before 1970")?.as_secs();
    let host = std::fs::read_to_string(system.root.join("proc/sys/kernel/hostname")).unwrap_or_default();
    Ok(json!({
        "api_level": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "host": host.trim_end(),
        "time_epoch": epoch,
        "time": utc(epoch),
    }))
}

/// Date and time of a second, as `2026-01-15 09:30:45+0000`.
fn utc(epoch: u64) -> String {
    let (days, second) = (epoch / 86400, epoch % 86400);
    // Years that begin in March, counted from the year 0 in cycles of 400 years, end with the day that leap years add.
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, early) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = cycle * 400 + year + early;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let rows = [
            (0, "1970-01-01 00:00:00+0000"),
            (951_782_399, "2000-02-28 23:59:59+0000"),
            (951_782_400, "2000-02-29 00:00:00+0000"),
            (1_768_469_445, "2026-01-15 09:30:45+0000"),
            (4_107_542_400, "2100-03-01 00:00:00+0000"),
        ];
        for (epoch, expected) in rows {
            assert_eq!(utc(epoch), expected);
        }
    }
}
