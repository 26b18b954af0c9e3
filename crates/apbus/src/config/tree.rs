//! The one document of a YAML text as a tree, each node with its place.
//!
//! One pass over the events of a parser that says where each begins. Tags are passed over, and scalars stay the text that
//! stands there: what a value means, its key says.

use super::problem::{Fault, Location, Problem};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput};
use std::collections::HashMap;
use std::rc::Rc;

/// How deep nodes may be nested. An entry's values are at 3.
const MAX_DEPTH: usize = 64;

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Location,
    pub(super) value: Value,
}

/// What a node is. An alias is the node that it stands for.
#[derive(Debug)]
pub(super) enum Value {
    /// Not even quotes.
    Nothing,
    Text(String),
    List(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// Reads the only document of `text`; `None` if there is none.
pub(super) fn read(text: &str) -> Result<Option<Rc<Node>>, Problem> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchored: HashMap::new() };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(document),
            (Event::DocumentStart(_), _) => {
                let (event, at) = reader.next()?;
                if document.is_some() {
                    return Err(Problem::new(Fault::SecondDocument, Some(at)));
                }
                document = Some(reader.node(event, at, 1)?);
            }
            // The start of the stream, the end of the document.
            _ => {}
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// By the number that the parser gives to an anchor.
    anchored: HashMap<usize, Rc<Node>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Location), Problem> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, location(&span.start))),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Location { line: 1, column: 1 })),
        }
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'a>, at: Location, depth: usize) -> Result<Rc<Node>, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::new(Fault::Depth, Some(at)));
        }
        let (anchor, value) = match event {
            Event::Alias(anchor) => {
                let node = self.anchored.get(&anchor).map(Rc::clone);
                return node.ok_or_else(|| Problem::new(Fault::AliasInItself, Some(at)));
            }
            Event::Scalar(text, ScalarStyle::Plain, anchor, _) if text.is_empty() => (anchor, Value::Nothing),
            Event::Scalar(text, _, anchor, _) => (anchor, Value::Text(text.into_owned())),
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break (anchor, Value::List(items)),
                        (event, at) => items.push(self.node(event, at, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, _) => {
                let mut pairs = Vec::new();
                loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, _) => break (anchor, Value::Mapping(pairs)),
                        (event, at) => self.node(event, at, depth + 1)?,
                    };
                    let (event, at) = self.next()?;
                    pairs.push((key, self.node(event, at, depth + 1)?));
                }
            }
            // The parser gives no other event where a node begins.
            _ => (0, Value::Nothing),
        };
        let node = Rc::new(Node { at, value });
        // Those without an anchor have number 0.
        if anchor > 0 {
            self.anchored.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }
}

fn location(marker: &Marker) -> Location {
    Location { line: marker.line(), column: marker.col() + 1 }
}

fn syntax(error: &ScanError) -> Problem {
    Problem::new(Fault::Yaml(error.info().to_owned()), Some(location(error.marker())))
}
