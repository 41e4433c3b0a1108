//! From a text to an expression, or to what is wrong with it and where.

use alloc::{borrow::ToOwned as _, boxed::Box, format, string::String, vec, vec::Vec};
use core::{iter::Peekable, str::Chars as Characters};

use super::{Expression, Node, Subject, WORDS, is_plain};

/// Longest expression in bytes.
const TEXT_MAX: usize = 4_096;

/// How deep parentheses and `not` may lie in each other.
const DEPTH_MAX: usize = 32;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at character {} of the selection `{text}`", at + 1)]
pub struct ExpressionError {
    /// What was expected, and what is there.
    pub what: String,
    /// Where, in characters from 0.
    pub at: usize,
    /// The text, shortened around that place.
    pub text: String,
}

impl core::str::FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let mut parser = Parser::new(text)?;
        let node = parser.any(0)?;
        match parser.peek() {
            Token::End => Ok(Self(node)),
            _ => Err(parser.expected("`and`, `or` or the end")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// In quotes, so that it is a value whatever it is called.
    Quoted(String),
    Open,
    Close,
    Comma,
    Equal,
    Differs,
    End,
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }
}

struct Parser<'a> {
    text: &'a str,
    /// With their places in characters.
    tokens: Vec<(usize, Token)>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, ExpressionError> {
        let mut parser = Self {
            text,
            tokens: Vec::new(),
            next: 0,
        };
        if text.len() > TEXT_MAX {
            let what = format!("it has {} bytes, at most {TEXT_MAX} are taken", text.len());
            return Err(parser.error(0, what));
        }
        let mut chars = text.chars().peekable();
        let mut at = 0;
        while let Some(char) = chars.peek().copied() {
            let start = at;
            let (token, taken) = match char {
                char if char.is_whitespace() => {
                    chars.next();
                    at += 1;
                    continue;
                }
                '(' => single(&mut chars, Token::Open),
                ')' => single(&mut chars, Token::Close),
                ',' => single(&mut chars, Token::Comma),
                '=' => single(&mut chars, Token::Equal),
                '!' => {
                    chars.next();
                    if chars.next_if_eq(&'=').is_none() {
                        return Err(parser
                            .error(start, "`!` stands only in `!=`; for others, `not`".into()));
                    }
                    (Token::Differs, 2)
                }
                '"' => match quoted(&mut chars) {
                    Some(token) => token,
                    None => return Err(parser.error(start, "a quote that does not end".into())),
                },
                char if is_plain(char) => word(&mut chars),
                char => {
                    let what = format!("`{char}` cannot stand here; values with it need quotes");
                    return Err(parser.error(start, what));
                }
            };
            at += taken;
            parser.tokens.push((start, token));
        }
        parser.tokens.push((at, Token::End));
        Ok(parser)
    }

    fn error(&self, at: usize, what: String) -> ExpressionError {
        const AROUND: usize = 60;
        let from = at.saturating_sub(AROUND);
        let text: String = self.text.chars().skip(from).take(2 * AROUND).collect();
        let before = if from > 0 { "…" } else { "" };
        let after = if self.text.chars().nth(from + 2 * AROUND).is_some() {
            "…"
        } else {
            ""
        };
        ExpressionError {
            what,
            at,
            text: format!("{before}{text}{after}"),
        }
    }

    fn peek(&self) -> &Token {
        // The last one is `End` and is never passed.
        self.tokens
            .get(self.next)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn take_if(&mut self, wanted: impl FnOnce(&Token) -> bool) -> bool {
        let found = wanted(self.peek());
        self.next += usize::from(found);
        found
    }

    /// What comes next is not what was expected.
    fn expected(&self, what: &str) -> ExpressionError {
        let at = self.tokens.get(self.next).map_or(0, |(at, _)| *at);
        let found = match self.peek() {
            Token::Word(word) => format!("`{word}`"),
            Token::Quoted(value) => format!("the value \"{value}\""),
            Token::Open => "`(`".into(),
            Token::Close => "`)`".into(),
            Token::Comma => "`,`".into(),
            Token::Equal => "`=`".into(),
            Token::Differs => "`!=`".into(),
            Token::End => "the end".into(),
        };
        self.error(at, format!("{what} is expected, not {found}"))
    }

    fn any(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        let mut nodes = vec![self.all(depth)?];
        while self.take_if(|token| token.is("or")) {
            nodes.push(self.all(depth)?);
        }
        Ok(only_or(nodes, Node::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        let mut nodes = vec![self.one(depth)?];
        while self.take_if(|token| token.is("and")) {
            nodes.push(self.one(depth)?);
        }
        Ok(only_or(nodes, Node::All))
    }

    fn one(&mut self, depth: usize) -> Result<Node, ExpressionError> {
        if depth > DEPTH_MAX {
            let at = self.tokens.get(self.next).map_or(0, |(at, _)| *at);
            return Err(self.error(
                at,
                format!("more than {DEPTH_MAX} of them lie in each other"),
            ));
        }
        if self.take_if(|token| token.is("not")) {
            return Ok(Node::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take_if(|token| *token == Token::Open) {
            let node = self.any(depth + 1)?;
            if !self.take_if(|token| *token == Token::Close) {
                return Err(self.expected("`and`, `or` or `)`"));
            }
            return Ok(node);
        }
        self.test()
    }

    fn test(&mut self) -> Result<Node, ExpressionError> {
        const SUBJECTS: &str = "`site`, `device` or `label.NAME`";
        let subject = match self.peek() {
            Token::Word(word) => subject(word),
            _ => None,
        };
        let Some(subject) = subject else {
            return Err(self.expected(SUBJECTS));
        };
        self.next += 1;
        let subject = match subject {
            // A name with spaces: `label."serial number"`.
            Subject::Label(name) if name.is_empty() => {
                let Token::Quoted(name) = self.peek() else {
                    return Err(self.expected("the name of a label after `label.`"));
                };
                let name = name.clone();
                self.next += 1;
                Subject::Label(name)
            }
            subject => subject,
        };
        match self.peek() {
            Token::Equal => {
                self.next += 1;
                Ok(Node::In(subject, vec![self.value()?]))
            }
            Token::Differs => {
                self.next += 1;
                Ok(Node::Not(Box::new(Node::In(subject, vec![self.value()?]))))
            }
            token if token.is("in") => {
                self.next += 1;
                Ok(Node::In(subject, self.values()?))
            }
            token if token.is("not") => {
                self.next += 1;
                if !self.take_if(|token| token.is("in")) {
                    return Err(self.expected("`in` after `not`"));
                }
                Ok(Node::Not(Box::new(Node::In(subject, self.values()?))))
            }
            _ => match subject {
                Subject::Label(name) => Ok(Node::Has(name)),
                _ => Err(self.expected("`=`, `!=`, `in` or `not in`")),
            },
        }
    }

    fn values(&mut self) -> Result<Vec<String>, ExpressionError> {
        if !self.take_if(|token| *token == Token::Open) {
            return Err(self.expected("`(` and the values"));
        }
        let mut values = vec![self.value()?];
        loop {
            if self.take_if(|token| *token == Token::Close) {
                return Ok(values);
            }
            if !self.take_if(|token| *token == Token::Comma) {
                return Err(self.expected("`,` or `)`"));
            }
            values.push(self.value()?);
        }
    }

    fn value(&mut self) -> Result<String, ExpressionError> {
        match self.peek() {
            Token::Quoted(value) => {
                let value = value.clone();
                self.next += 1;
                Ok(value)
            }
            Token::Word(word) if !WORDS.contains(&word.as_str()) => {
                let value = word.clone();
                self.next += 1;
                Ok(value)
            }
            _ => Err(self.expected("a value")),
        }
    }
}

fn subject(word: &str) -> Option<Subject> {
    match word {
        "site" => Some(Subject::Site),
        "device" => Some(Subject::Device),
        _ => word
            .strip_prefix("label.")
            .map(|name| Subject::Label(name.to_owned())),
    }
}

fn only_or(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => several(nodes),
    }
}

type Chars<'a> = Peekable<Characters<'a>>;

fn single(chars: &mut Chars<'_>, token: Token) -> (Token, usize) {
    chars.next();
    (token, 1)
}

fn word(chars: &mut Chars<'_>) -> (Token, usize) {
    let mut word = String::new();
    let mut taken = 0;
    while let Some(char) = chars.next_if(|char| is_plain(*char)) {
        word.push(char);
        taken += 1;
    }
    (Token::Word(word), taken)
}

/// A value in quotes, in which `\` lets the next character stand for itself; none if it does not end.
fn quoted(chars: &mut Chars<'_>) -> Option<(Token, usize)> {
    chars.next();
    let mut value = String::new();
    let mut taken = 1;
    loop {
        let char = chars.next()?;
        taken += 1;
        match char {
            '"' => return Some((Token::Quoted(value), taken)),
            '\\' => {
                value.push(chars.next()?);
                taken += 1;
            }
            char => value.push(char),
        }
    }
}
