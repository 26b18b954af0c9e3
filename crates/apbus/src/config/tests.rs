use super::*;
use crate::{Generation, Mkvp, Wanted};
use proptest::prelude::*;
use uvtypes::SecretId;

/// `SECRET1`, as *Crypto Express for Cloud Workloads* (SG24-8547) prints it.
const SECRET1: &str = "03153249db7ce46b0330ffb1a760b59710531af08ec4d7f8424a6870fae49360";

fn read(text: &str) -> Configuration {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The only entry of a file.
fn one(text: &str) -> Entry {
    let [entry] = <[Entry; 1]>::try_from(read(text).entries).unwrap();
    entry
}

fn problems(text: &str) -> Vec<String> {
    let error = parse(text.as_bytes()).expect_err(text);
    error.problems().iter().map(Problem::to_string).collect()
}

fn a_mkvp() -> String {
    "a".repeat(32)
}

#[test]
fn reads_both_kinds_of_entries() {
    let text = format!(
        "- name: SECRET1\n  description: of the book\n  mode: EP11\n  mkvp: 0x{}\n  serialnr: 93AADFK719460083\n  mingen: CEX8\n- mode: accel\n",
        "aB".repeat(32)
    );
    let read = read(&text);
    let wanted = Wanted::Ep11 {
        mkvp: Mkvp([0xab; 16]),
        serialnr: Some("93AADFK719460083".parse().unwrap()),
        secret: SECRET1.parse().unwrap(),
    };
    let ep11 = Entry { name: Some("SECRET1".to_owned()), mingen: Some(Generation::CEX8), wanted };
    let accelerator = Entry { name: None, mingen: None, wanted: Wanted::Accelerator };
    assert_eq!(read, Configuration { entries: vec![ep11, accelerator], warnings: Vec::new() });
}

#[test]
fn takes_files_without_entries() {
    for text in ["", "\n", "# only a comment\n", "[]", "---\n", "---\n...\n", "\u{feff}", "--- []\n"] {
        assert_eq!(read(text).entries, [], "{text:?}");
    }
}

#[test]
fn refuses_what_is_no_list_of_entries() {
    for (row, text, wanted) in [
        ("a mapping", "mode: accel", "a list of entries"),
        ("a word", "accel", "a list of entries"),
        (
            "a list of words",
            "- accel\n- ep11",
            "AP config entry #1: expected lines of the form 'key: value', found a text (line 1, column 3)",
        ),
        (
            "two documents",
            "- mode: accel\n---\n- mode: accel\n",
            "expected one list of entries, found a second YAML document (line 3, column 1)",
        ),
        ("a second empty document", "[]\n---\n", "found a second YAML document"),
        ("a tab as indentation", "- mode: accel\n\tmingen: cex8\n", "found a tab (line 1, column 9)"),
        ("an open bracket", "[{mode: accel}", "line"),
        (
            "a list as value",
            "- mode: accel\n  mingen: [cex8]\n",
            "AP config entry #1: mingen: expected a text, found a list (line 2, column 11)",
        ),
        (
            "a mapping as value",
            "- mode: {accel: 1}\n",
            "AP config entry #1: mode: expected a text, found a mapping (line 1, column 9)",
        ),
        ("an unknown anchor", "- mode: *accel\n", "unknown anchor (line 1, column 9)"),
        (
            "a control character",
            "- mode: accel\n- na\u{1}me: x\n",
            "expected a text file, found the character \\u{1} (line 2, column 5)",
        ),
        ("a byte order mark inside", "- mode: \u{feff}accel\n", "\\u{feff}"),
    ] {
        let error = parse(text.as_bytes()).expect_err(row).to_string();
        assert!(error.contains(wanted), "{row}: {error}");
        assert!(error.contains(" (line "), "{row}: {error}");
    }
}

#[test]
fn refuses_bytes_that_are_no_text() {
    let error = parse(b"- mode: accel\n  name: \xc3\xa4\xff\n").expect_err("no UTF-8");
    assert_eq!(error.to_string(), "expected a text file, found a byte that is not UTF-8 (line 2, column 10)");
    let error = parse(&vec![b'\n'; MAX_SIZE + 1]).expect_err("too large");
    assert_eq!(error.to_string(), "the file is larger than 1048576 bytes");
    assert_eq!(parse(&vec![b'\n'; MAX_SIZE]).map(|read| read.entries), Ok(Vec::new()));
}

#[test]
fn takes_every_way_to_write_a_file() {
    let accelerator = Entry { name: Some("a".to_owned()), mingen: Some(Generation(6)), wanted: Wanted::Accelerator };
    for (row, text) in [
        ("block", "- name: a\n  mode: accel\n  mingen: cex6\n"),
        ("JSON", r#"[{"name": "a", "mode": "accel", "mingen": "cex6"}]"#),
        ("CRLF", "- name: a\r\n  mode: accel\r\n  mingen: cex6\r\n"),
        ("byte order mark", "\u{feff}- name: a\n  mode: accel\n  mingen: cex6\n"),
        ("capitals and blanks", "- {name: ' a ', mode: ' ACCEL ', mingen: '\tCeX6 '}"),
        ("a tag", "- !entry {name: a, mode: accel, mingen: cex6}"),
        ("a tag on a value", "- {name: !!str a, mode: accel, mingen: cex6}"),
        ("an anchor on a value", "- {name: &n a, description: *n, mode: accel, mingen: cex6}"),
        ("a marked document", "--- # one\n- {name: a, mode: accel, mingen: cex6}\n...\n"),
        ("empty values", "- {name: a, mode: accel, mingen: cex6, description: , mkvp: , serialnr: '', secretid: ' '}"),
    ] {
        assert_eq!(read(text), Configuration { entries: vec![accelerator.clone()], warnings: Vec::new() }, "{row}");
    }
    assert_eq!(read("- &a {mode: accel}\n- *a\n").entries.len(), 2);
}

#[test]
fn takes_plain_values_as_they_are_written() {
    for value in ["123", "true", "null", "~", "12e10", "0x10", "1_000", "2026-01-01", ".inf", "no", "1:30"] {
        let entry = one(&format!("- {{mode: accel, name: {value}}}"));
        assert_eq!(entry.name.as_deref(), Some(value));
    }
    let digits = "01234567890123456789012345678901";
    let Wanted::Ep11 { mkvp, .. } = one(&format!("- {{mode: ep11, name: a, mkvp: {digits}}}")).wanted else {
        panic!("no EP11 entry");
    };
    assert_eq!(mkvp.to_string(), digits);
    let digits = "12e45678901234567890123456789012";
    let Wanted::Ep11 { mkvp, .. } = one(&format!("- {{mode: ep11, name: a, mkvp: {digits}}}")).wanted else {
        panic!("no EP11 entry");
    };
    assert_eq!(mkvp.to_string(), digits);
}

#[test]
fn takes_the_digest_of_the_name_for_the_id() {
    let secret = |fields: &str| match one(&format!("- {{mode: ep11, mkvp: {}, {fields}}}", a_mkvp())).wanted {
        Wanted::Ep11 { secret, .. } => secret,
        Wanted::Accelerator => panic!("no EP11 entry"),
    };
    let wanted: SecretId = SECRET1.parse().unwrap();
    assert_eq!(secret("name: SECRET1"), wanted);
    assert_eq!(secret("name: '  SECRET1 '"), wanted);
    assert_eq!(secret(&format!("secretid: 0x{}", SECRET1.to_uppercase())), wanted);
    assert_eq!(secret(&format!("name: SECRET1, secretid: '{SECRET1} '")), wanted);
    assert_ne!(secret("name: secret1"), wanted);
}

#[test]
fn says_which_value_is_wrong_and_where() {
    let ep11 = |fields: &str| format!("- mode: ep11\n  name: db\n  mkvp: {}\n  {fields}\n", a_mkvp());
    let accel = |fields: &str| format!("- mode: accel\n  {fields}\n");
    for (text, wanted) in [
        (
            "- {}".to_owned(),
            "AP config entry #1: Unknown or invalid mode '': expected accel or ep11 (line 1, column 3)",
        ),
        ("-\n".to_owned(), "AP config entry #1: Unknown or invalid mode '':"),
        (
            "- mode: cca".to_owned(),
            "AP config entry #1: Unknown or invalid mode 'cca': expected accel or ep11 (line 1, column 9)",
        ),
        ("- mode: ep11\n  name: db".to_owned(), "AP config entry #1 'db': Mkvp value missing: "),
        (
            "- mode: ep11\n  mkvp: 0xabc\n  name: db".to_owned(),
            "AP config entry #1 'db': Mkvp value '0xabc' is not valid: expected 32 or 64 hex digits (line 2, column 9)",
        ),
        (ep11("serialnr: 93AADFK71946008"), "AP config entry #1 'db': Serialnr value '93AADFK71946008' is not valid: "),
        (
            ep11("serialnr: 93AADFK7 9460083"),
            "AP config entry #1 'db': Serialnr value '93AADFK7 9460083' is not valid: ",
        ),
        (
            ep11("mingen: cex7"),
            "AP config entry #1 'db': Mingen value 'cex7' is not valid: expected cex8 (line 4, column 11)",
        ),
        (ep11("mingen: 8"), "AP config entry #1 'db': Mingen value '8' is not valid: "),
        (
            accel("mingen: cex3"),
            "AP config entry #1: Mingen value 'cex3' is not valid: expected one of cex4 to cex8 (line 2, column 11)",
        ),
        (accel("mingen: cex9"), "AP config entry #1: Mingen value 'cex9' is not valid: "),
        (
            ep11("secretid: 0x12"),
            "AP config entry #1 'db': Secretid value '0x12' is not valid: expected 64 hex digits (line 4, column 13)",
        ),
        (format!("- mode: ep11\n  mkvp: {}", a_mkvp()), "AP config entry #1: Neither secretid nor name given: "),
        (
            accel("mingent: cex8"),
            "AP config entry #1: unknown key 'mingent': did you mean 'mingen'? (line 2, column 3)",
        ),
        (accel("Mode: ep11"), "AP config entry #1: unknown key 'Mode': did you mean 'mode'? (line 2, column 3)"),
        (accel("secret-id: [1, 2]"), "AP config entry #1: unknown key 'secret-id': did you mean 'secretid'? "),
        (
            accel("<<: {mode: ep11}"),
            "AP config entry #1: unknown key '<<': the keys are name, description, mode, mkvp, serialnr, mingen, secretid (line 2, column 3)",
        ),
        (
            accel("mode: accel"),
            "AP config entry #1: duplicate key 'mode': an entry takes each key once (line 2, column 3)",
        ),
        (
            "- mode: accel\n- mode: accel\n- name: third\n".to_owned(),
            "AP config entry #3 'third': Unknown or invalid mode '': ",
        ),
        ("- mode: \"\\e[31m\"".to_owned(), "AP config entry #1: Unknown or invalid mode '\\u{1b}[31m': "),
    ] {
        let found = problems(&text);
        assert!(found.len() == 1 && found.iter().all(|found| found.starts_with(wanted)), "{text}: {found:?}");
        assert!(found.iter().all(|found| found.ends_with(')') && found.contains(" (line ")), "{text}: {found:?}");
    }
}

#[test]
fn says_all_that_is_wrong() {
    let text = "- {mode: ep11, mkvp: 1, serialnr: 2, mingen: 3, secretid: 4, colour: 5}\n- {mode: 6}\n";
    let found = problems(text);
    assert_eq!(found.len(), 6, "{found:?}");
    let error = parse(text.as_bytes()).expect_err("six problems");
    assert_eq!((error.problems().len(), error.more()), (6, 0));
    assert!(error.to_string().ends_with("(line 1, column 62), and 5 more"), "{error}");
    let error = parse("- {mode: 6}\n".repeat(150).as_bytes()).expect_err("150 problems");
    assert_eq!((error.problems().len(), error.more()), (100, 50));
}

/// One run says all of it, also of entries and values that are not what they should be.
#[test]
fn goes_on_after_what_is_no_text() {
    let found = problems(
        "- ep11\n- {mode: accel, mingen: [cex8], colour: red}\n- {[a]: b, mode: {}}\n- {mode: ep11, mkvp: {}}\n",
    );
    let wanted = [
        "AP config entry #1: expected lines of the form 'key: value', found a text (line 1, column 3)",
        "AP config entry #2: mingen: expected a text, found a list (line 2, column 25)",
        "AP config entry #2: unknown key 'colour': the keys are name, description, mode, mkvp, serialnr, mingen, secretid (line 2, column 33)",
        "AP config entry #3: expected a key, found a list (line 3, column 4)",
        "AP config entry #3: mode: expected a text, found a mapping (line 3, column 18)",
        "AP config entry #4: mkvp: expected a text, found a mapping (line 4, column 22)",
        "AP config entry #4: Neither secretid nor name given: one of them selects the association secret (line 4, column 3)",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn warns_of_what_is_probably_not_meant() {
    let (a, b, id) = ("a".repeat(32), "b".repeat(32), SECRET1);
    for (row, text, wanted) in [
        (
            "keys of EP11",
            "- {mode: accel, mkvp: x, serialnr: y, secretid: z}".to_owned(),
            vec![
                "#1: mkvp has no effect on an accelerator (line 1, column 23)",
                "#1: serialnr has no effect on an accelerator (line 1, column 36)",
                "#1: secretid has no effect on an accelerator (line 1, column 49)",
            ],
        ),
        (
            "a name of one's own",
            format!("- {{mode: ep11, mkvp: {a}, name: mine, secretid: {id}}}"),
            vec![
                "#1 'mine': the name does not match the secretid: its SHA-256 differs, and the secretid counts (line 1, column 62)",
            ],
        ),
        (
            "two master keys",
            format!("- {{mode: ep11, mkvp: {a}, secretid: {id}}}\n- {{mode: ep11, mkvp: {b}, name: SECRET1}}"),
            vec![
                "#2 'SECRET1': uses the secret of entry #1 with another master key: a secret is for one master key (line 2, column 3)",
            ],
        ),
        (
            "one card and master key",
            format!(
                "- {{mode: ep11, mkvp: {a}, name: s, serialnr: 93AADFK719460083}}\n- {{mode: ep11, mkvp: {a}, name: t, serialnr: 93AADFK719460083}}"
            ),
            vec![
                "#2 't': names the card and the master key of entry #1: no more than one of them can have its queue (line 2, column 3)",
            ],
        ),
        (
            "one card and secret",
            format!(
                "- {{mode: ep11, mkvp: {a}, name: s, serialnr: 93AADFK719460083}}\n- {{mode: ep11, mkvp: {b}, name: s, serialnr: 93AADFK719460083}}"
            ),
            vec![
                "#2 's': uses the secret of entry #1 with another master key: a secret is for one master key (line 2, column 3)",
                "#2 's': names the card and the secret of entry #1: a secret can be used only once on a card (line 2, column 3)",
            ],
        ),
        (
            "thirteen entries",
            "- {mode: accel}\n".repeat(13),
            vec!["expected at most 12 entries, one for each queue that a guest can use, found 13"],
        ),
        ("twelve entries", "- {mode: accel}\n".repeat(12), vec![]),
        ("a backup on any other card", format!("- {{mode: ep11, mkvp: {a}, name: s}}\n").repeat(2), vec![]),
    ] {
        let warnings: Vec<_> = read(&text).warnings.iter().map(Warning::to_string).collect();
        assert_eq!(warnings, wanted, "{row}");
    }
}

#[test]
fn refuses_files_made_to_be_expensive() {
    let laughs = (1..10).fold("- a: &a0 x\n".to_owned(), |text, level| {
        text + &format!("- a: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "))
    });
    for (row, text) in [
        ("aliases of aliases", laughs),
        ("deep lists", format!("- mode: accel\n  other: {}1{}\n", "[".repeat(500), "]".repeat(500))),
        ("deeper lists", "[".repeat(MAX_SIZE)),
        ("deep mappings", "{a: ".repeat(MAX_SIZE / 4)),
        ("mappings that hide how deep they are", "{a: '}', b: ".repeat(MAX_SIZE / 12)),
        ("a long key", format!("- {{{}: 1}}", "k".repeat(100_000))),
        ("a list in itself", "- &a [*a]".to_owned()),
        (
            "much text by aliases",
            format!("- &a {{mode: accel, name: {}}}\n{}", "n".repeat(100_000), "- *a\n".repeat(50)),
        ),
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{row}");
    }
}

/// The files that IBM's documents print, and what is wrong with the one that has a typing error.
#[test]
fn takes_the_files_of_the_documents() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/apconfig");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    let summary = |file: &str| -> String {
        match parse(&std::fs::read(format!("{folder}/{file}")).unwrap()) {
            Ok(read) => format!("{} entries, {} warnings", read.entries.len(), read.warnings.len()),
            Err(error) => error.to_string(),
        }
    };
    let found: Vec<_> = names.iter().map(|name| summary(name.to_str().unwrap())).collect();
    let wanted = [
        (
            "accelerator-typing-error.yaml",
            "AP config entry #1 'my Accelerator': unknown key 'mingent': did you mean 'mingen'? (line 4, column 3)",
        ),
        ("accelerator.yaml", "1 entries, 0 warnings"),
        ("backup-pair.yaml", "2 entries, 2 warnings"),
        ("ep11-named.yaml", "1 entries, 0 warnings"),
        ("ep11-secretid.yaml", "1 entries, 0 warnings"),
    ];
    assert_eq!(
        names.iter().map(|name| name.to_str().unwrap()).zip(found.iter().map(String::as_str)).collect::<Vec<_>>(),
        wanted
    );
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn points_into_the_text(words in prop::collection::vec(
        prop::sample::select(vec!["- ", "\n", "  ", "mode", ": ", "ep11", "accel", "mkvp", "name", "x", "&a ", "*a", "[", "]",
            "{", "}", ",", "'", "\"", "!t ", "---\n", "#", "? ", "|\n", "<<", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ä", "\u{85}"]),
        0..40,
    )) {
        let text = words.concat();
        if let Err(error) = parse(text.as_bytes()) {
            for problem in error.problems() {
                if let Some(Location { line, column }) = problem.location {
                    prop_assert!(line >= 1 && column >= 1);
                    // YAML has more line ends than LF. Their exact count is the reader's.
                    let ends = text.chars().filter(|c| ['\n', '\u{85}'].contains(c)).count();
                    prop_assert!(line <= ends + 2, "line {} of {}", line, ends);
                }
            }
        }
    }
}
