//! Splits Rego into words: comments, texts and numbers as the language has them.

/// A word with its place.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) word: Word,
    /// From 1.
    pub(super) line: usize,
    /// Brackets of any kind that are open.
    pub(super) depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    Name(String),
    Text(String),
    Number(f64),
    Symbol(String),
}

pub(super) fn split(policy: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut line, mut depth) = (1, 0_usize);
    let mut chars = policy.chars().peekable();
    while let Some(c) = chars.next() {
        let start = line;
        let mut collect = |first: char, accept: &dyn Fn(char) -> bool| {
            let mut word = String::from(first);
            while let Some(next) = chars.next_if(|c| accept(*c)) {
                word.push(next);
            }
            word
        };
        let word = match c {
            '\n' => {
                line += 1;
                continue;
            }
            c if c.is_whitespace() => continue,
            '#' => {
                collect(c, &|c| c != '\n');
                continue;
            }
            '`' => {
                let mut text = String::new();
                for next in chars.by_ref().take_while(|c| *c != '`') {
                    line += usize::from(next == '\n');
                    text.push(next);
                }
                Word::Text(text)
            }
            '"' => {
                let mut text = String::new();
                while let Some(next) = chars.next_if(|c| *c != '\n') {
                    match next {
                        '"' => break,
                        '\\' => text.extend(chars.next()),
                        other => text.push(other),
                    }
                }
                Word::Text(text)
            }
            c if c.is_ascii_digit() => {
                let digits = collect(c, &|c| c.is_ascii_alphanumeric() || c == '.');
                Word::Number(digits.parse().unwrap_or(f64::NAN))
            }
            c if c.is_alphabetic() || c == '_' => Word::Name(collect(c, &|c| c.is_alphanumeric() || c == '_')),
            ':' | '=' | '!' | '<' | '>' => Word::Symbol(collect(c, &|c| c == '=')),
            c => {
                if "([{".contains(c) {
                    depth += 1;
                } else if ")]}".contains(c) {
                    depth = depth.saturating_sub(1);
                }
                Word::Symbol(c.to_string())
            }
        };
        tokens.push(Token { word, line: start, depth });
    }
    tokens
}
