//! What came out of a row, compared with what must.

use super::file::{Exit, Expectation, States};
use super::run::Outcome;

/// All differences, in words.
pub fn differences(outcome: &Outcome, expected: &Expectation) -> Vec<String> {
    let mut found = vec![];
    let mut check = |good: bool, what: &dyn Fn() -> String| {
        if !good {
            found.push(what());
        }
    };
    let exit = outcome.exits.last().copied();
    let ended = exit.map_or_else(|| "nothing".into(), |exit| exit.to_string());
    if let Some(expected) = expected.exit {
        check(exit == Some(expected), &|| format!("exit {ended} instead of {expected}"));
    }
    if let Some(expected) = &expected.exit_in {
        check(exit.is_some_and(|exit| expected.contains(&exit)), &|| {
            format!("exit {ended} is none of {}", list(expected))
        });
    }
    if let Some(expected) = &expected.exits {
        check(outcome.exits == *expected, &|| format!("exits {} instead of {}", list(&outcome.exits), list(expected)));
    }
    if let (Some(expected), Some(said)) = (expected.applied, applied(&outcome.last)) {
        check(said == expected, &|| format!("says that {said} entries are applied, not {expected}"));
    }
    let ends = expected.end.as_slice().iter().chain(expected.end_one_of.iter().flatten());
    let ends: Vec<_> = ends.collect();
    if !ends.is_empty() {
        // With several, that one which is nearest is talked about.
        let wrong = ends.iter().map(|states| wrong_states(&outcome.states, states));
        let nearest = wrong.min_by_key(Vec::len).unwrap_or_default();
        check(nearest.is_empty(), &|| nearest.join(", "));
    }
    let writes = outcome.writes.len();
    if let Some(expected) = expected.writes {
        check(writes == expected, &|| format!("{writes} writes instead of {expected}"));
    }
    if let Some(most) = expected.writes_max {
        check(writes <= most, &|| format!("{writes} writes, more than {most}"));
    }
    if let Some(most) = expected.ms_max {
        let took = outcome.took.as_millis();
        check(took <= most, &|| format!("took {took} ms, more than {most}"));
    }
    for queue in &expected.untouched {
        let touched = outcome.writes.iter().any(|write| write.path.split('/').any(|part| part == queue));
        check(!touched, &|| format!("{queue} was written to"));
    }
    for (stream, name, parts) in
        [(&outcome.stdout, "stdout", &expected.stdout_has), (&outcome.stderr, "stderr", &expected.stderr_has)]
    {
        for part in parts {
            check(stream.contains(part), &|| format!("'{part}' is not on {name}"));
        }
    }
    if let Some(expected) = expected.lock_left {
        let word = if outcome.lock_left { "is" } else { "is not" };
        check(outcome.lock_left == expected, &|| format!("the lock file {word} left"));
    }
    found
}

fn list(exits: &[Exit]) -> String {
    exits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn wrong_states(found: &States, expected: &States) -> Vec<String> {
    let differs = |(queue, state): (&String, &String)| {
        let found = found.get(queue).map_or("not there", String::as_str);
        (found != state).then(|| format!("{queue} {found} instead of {state}"))
    };
    expected.iter().filter_map(differs).collect()
}

/// How many entries the program says that it satisfied, if it says so as s390-tools do: `Successfully applied 1 out of`,
/// `only 1 out of`, `None out of`.
fn applied(text: &str) -> Option<u64> {
    if text.contains("None out of ") {
        return Some(0);
    }
    let after = |words: &str| text.split_once(words).and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    after("Successfully applied ").or_else(|| after("and only "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ap::LoggedWrite;
    use std::time::Duration;

    fn outcome() -> Outcome {
        let write = |path: &str| LoggedWrite { ms: 1, path: path.into(), text: "1".into(), result: "ok".into() };
        Outcome {
            exits: vec![Exit::Status(0), Exit::Status(1)],
            took: Duration::from_millis(12),
            stdout: "Successfully applied 1 out of 2 AP config entries.\n".into(),
            stderr: "warning: this\n".into(),
            last: "Successfully applied 1 out of 2 AP config entries.\n".into(),
            states: [("28.0014", "associated 0"), ("29.0014", "unbound")].map(|(q, s)| (q.into(), s.into())).into(),
            writes: vec![write("/sys/devices/ap/card28/28.0014/se_bind")],
            lock_left: false,
        }
    }

    #[test]
    fn every_key_is_checked() {
        let rows = [
            ("{}", ""),
            ("{exit: 1, exit_in: [1, hangs], exits: [0, 1], applied: 1, writes: 1, writes_max: 1, ms_max: 12}", ""),
            ("{final: {'28.0014': associated 0}, untouched: ['29.0014'], lock_left: false}", ""),
            ("{stdout_has: [applied 1], stderr_has: ['warning:'], proposal: true}", ""),
            ("{final_one_of: [{'28.0014': bound}, {'28.0014': associated 0}]}", ""),
            ("exit: 0", "exit 1 instead of 0"),
            ("exit: killed", "exit 1 instead of killed"),
            ("exit_in: [0, hangs]", "exit 1 is none of 0, hangs"),
            ("exits: [1]", "exits 0, 1 instead of 1"),
            ("applied: 2", "says that 1 entries are applied, not 2"),
            ("final: {'28.0014': bound}", "28.0014 associated 0 instead of bound"),
            ("final: {'2a.0014': gone}", "2a.0014 not there instead of gone"),
            (
                "final_one_of: [{'28.0014': bound, '29.0014': bound}, {'29.0014': error}]",
                "29.0014 unbound instead of error",
            ),
            ("writes: 0", "1 writes instead of 0"),
            ("writes_max: 0", "1 writes, more than 0"),
            ("ms_max: 11", "took 12 ms, more than 11"),
            ("untouched: ['28.0014']", "28.0014 was written to"),
            ("stdout_has: [warning]", "'warning' is not on stdout"),
            ("stderr_has: [Successfully]", "'Successfully' is not on stderr"),
            ("lock_left: true", "the lock file is not left"),
        ];
        for (yaml, expected) in rows {
            let expectation = serde_yaml::from_str(yaml).unwrap();
            assert_eq!(differences(&outcome(), &expectation).join("; "), expected, "{yaml}");
        }
        assert!(serde_yaml::from_str::<Expectation>("exits_in: [0]").is_err());
    }

    #[test]
    fn the_number_of_entries_is_read_in_the_words_of_s390_tools() {
        let rows = [
            ("Successfully applied 3 out of 4 AP config entries.", Some(3)),
            ("None out of 2 AP config entries could be applied.", Some(0)),
            ("Strict flag given and only 1 out of 2 AP config entries have been applied.", Some(1)),
            ("2 of 3 entries are satisfied", None),
        ];
        for (text, expected) in rows {
            assert_eq!(applied(text), expected, "{text}");
        }
    }
}
