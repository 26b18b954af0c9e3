//! The YAML file that names a secret: `!Association` or `!Retrievable`.

use crate::report::{Field, FileKind, Report, Value};
use serde::Deserialize;

#[derive(Deserialize)]
enum Identity {
    Association(Names),
    Retrievable(Names),
}

#[derive(Deserialize)]
struct Names {
    kind: Option<String>,
    name: String,
    id: String,
}

pub(crate) fn explain(bytes: &[u8]) -> Option<Report> {
    let (secret, names) = match serde_yaml::from_slice(bytes).ok()? {
        Identity::Association(names) => ("association", names),
        Identity::Retrievable(names) => ("retrievable", names),
    };
    let rows =
        [("secret", Some(secret.to_owned())), ("kind", names.kind), ("name", Some(names.name)), ("id", Some(names.id))];
    let fields = rows.into_iter().filter_map(|(name, text)| Some(field(name, text?))).collect();
    Some(Report { kind: FileKind::SecretIdentity, size: bytes.len() as u64, fields, warnings: Vec::new() })
}

fn field(name: &str, text: String) -> Field {
    Field { offset: None, size: None, name: name.to_owned(), value: Value::Text(text), meaning: String::new() }
}
