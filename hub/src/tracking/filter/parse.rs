//! From a text to a filter or an order, or to what is wrong with it and where.

use std::str::FromStr;

use super::{Comparison, Entity, Filter, Op, Operand, Order, Subject};
use crate::tracking::bounds::shown;

/// Longest filter in bytes: a few thousand ids of runs.
const TEXT: usize = 256 * 1024;

/// Comparisons of one filter.
const COMPARISONS: usize = 100;

/// Values of one list.
const LIST: usize = 5_000;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid filter or order: {what}, at {}", shown(.rest))]
pub struct FilterError {
    /// What was expected.
    pub what: String,
    /// The text from there on.
    pub rest: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A word, or a number.
    Word(String),
    /// In quotes, which were these.
    Quoted(char, String),
    /// `=`, `!=` and the like.
    Sign(Op),
    Open,
    Close,
    Comma,
    End,
}

/// A token, where it begins, and whether it follows the one before without a space.
struct Placed {
    token: Token,
    at: usize,
    joined: bool,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    next: usize,
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ':' | '@' | '+')
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, FilterError> {
        let mut parser = Self {
            text,
            tokens: Vec::new(),
            next: 0,
        };
        if text.len() > TEXT {
            let what = format!("it has {} bytes, at most {TEXT} are taken", text.len());
            return Err(parser.error(0, what));
        }
        let mut end = 0;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if c.is_whitespace() {
                at += c.len_utf8();
                continue;
            }
            let rest = &text[at..];
            let (token, len) = match c {
                '(' => (Token::Open, 1),
                ')' => (Token::Close, 1),
                ',' => (Token::Comma, 1),
                '\'' | '"' | '`' => {
                    let inside = rest[1..].find(c);
                    let Some(inside) = inside else {
                        return Err(parser.error(at, "a quote that does not end".into()));
                    };
                    let quoted = rest[1..=inside].to_owned();
                    (Token::Quoted(c, quoted), inside + 2)
                }
                '=' | '!' | '>' | '<' => {
                    let signs = [
                        ("!=", Op::Differs),
                        ("<>", Op::Differs),
                        (">=", Op::AtLeast),
                        ("<=", Op::AtMost),
                        ("==", Op::Equal),
                        ("=", Op::Equal),
                        (">", Op::Above),
                        ("<", Op::Below),
                    ];
                    let sign = signs.into_iter().find(|(sign, _)| rest.starts_with(sign));
                    let Some((sign, op)) = sign else {
                        return Err(parser.error(at, "`!` stands only in `!=`".into()));
                    };
                    (Token::Sign(op), sign.len())
                }
                c if is_plain(c) => {
                    let len = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
                    (Token::Word(rest[..len].to_owned()), len)
                }
                c => return Err(parser.error(at, format!("`{c}` cannot stand here"))),
            };
            let joined = at == end && at > 0;
            parser.tokens.push(Placed { token, at, joined });
            at += len;
            end = at;
        }
        let (token, at) = (Token::End, text.len());
        parser.tokens.push(Placed {
            token,
            at,
            joined: false,
        });
        Ok(parser)
    }

    fn error(&self, at: usize, what: String) -> FilterError {
        let rest = match self.text.get(at..) {
            None | Some("") => "the end".to_owned(),
            Some(rest) => rest.chars().take(60).collect(),
        };
        FilterError { what, rest }
    }

    /// What comes next is not what was expected.
    fn expected<T>(&self, what: &str) -> Result<T, FilterError> {
        let at = self.tokens.get(self.next).map_or(0, |placed| placed.at);
        Err(self.error(at, format!("{what} is expected")))
    }

    fn peek(&self) -> &Token {
        // The last one is `End` and is never passed.
        let placed = self.tokens.get(self.next);
        placed.map_or(&Token::End, |placed| &placed.token)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn take_if(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == wanted;
        self.next += usize::from(found);
        found
    }

    fn subject(&mut self) -> Result<Subject, FilterError> {
        const WHAT: &str = "`metrics.KEY`, `params.KEY`, `tags.KEY` or the name of an attribute";
        let attribute = |key: String| Subject {
            entity: Entity::Attribute,
            key,
        };
        let word = match self.peek().clone() {
            Token::Word(word) => word,
            // All of it may be in quotes.
            Token::Quoted('`' | '"', text) => {
                self.next += 1;
                return Ok(split(&text).unwrap_or_else(|| attribute(text)));
            }
            _ => return self.expected(WHAT),
        };
        self.next += 1;
        if let Some(entity) = word.strip_suffix('.').and_then(Entity::named) {
            let joined = self.tokens.get(self.next).is_some_and(|next| next.joined);
            return match self.peek().clone() {
                Token::Quoted('`' | '"', key) if joined => {
                    self.next += 1;
                    Ok(Subject { entity, key })
                }
                _ => self.expected("a key"),
            };
        }
        if word.starts_with(['\'', '.', '+', '-']) || word.is_empty() {
            self.next -= 1;
            return self.expected(WHAT);
        }
        Ok(split(&word).unwrap_or_else(|| attribute(word)))
    }

    fn value(&mut self) -> Result<Operand, FilterError> {
        match self.peek().clone() {
            Token::Quoted('\'' | '"', text) => {
                self.next += 1;
                Ok(Operand::Text(text))
            }
            Token::Word(word) => match word.parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    self.next += 1;
                    Ok(Operand::Number(number))
                }
                _ => self.expected("a number, or a text in quotes"),
            },
            _ => self.expected("a number, or a text in quotes"),
        }
    }

    fn list(&mut self) -> Result<Operand, FilterError> {
        if !self.take_if(&Token::Open) {
            return self.expected("`(`");
        }
        let mut texts = Vec::new();
        loop {
            match self.peek().clone() {
                Token::Quoted('\'' | '"', text) if texts.len() < LIST => {
                    self.next += 1;
                    texts.push(text);
                }
                Token::Quoted(..) => {
                    return self.expected(&format!("`)`, since a list has at most {LIST} texts,"));
                }
                _ => return self.expected("a text in quotes"),
            }
            if self.take_if(&Token::Close) {
                return Ok(Operand::List(texts));
            }
            if !self.take_if(&Token::Comma) {
                return self.expected("`,` or `)`");
            }
            // As Python writes a list of one.
            if self.take_if(&Token::Close) {
                return Ok(Operand::List(texts));
            }
        }
    }

    fn comparison(&mut self) -> Result<Comparison, FilterError> {
        let subject = self.subject()?;
        let (op, operand) = if let Token::Sign(op) = *self.peek() {
            self.next += 1;
            (op, self.value()?)
        } else if self.take_word("like") {
            (Op::Like, self.value()?)
        } else if self.take_word("ilike") {
            (Op::ILike, self.value()?)
        } else if self.take_word("in") {
            (Op::In, self.list()?)
        } else if self.take_word("not") {
            if !self.take_word("in") {
                return self.expected("`in`");
            }
            (Op::NotIn, self.list()?)
        } else if self.take_word("is") {
            let not = self.take_word("not");
            if !self.take_word("null") {
                return self.expected("`null`");
            }
            let op = if not { Op::IsNotNull } else { Op::IsNull };
            (op, Operand::None)
        } else {
            return self.expected("a comparison, as `=` or `LIKE`,");
        };
        Ok(Comparison {
            subject,
            op,
            operand,
        })
    }
}

/// `entity.key` in one piece.
fn split(text: &str) -> Option<Subject> {
    let (entity, key) = text.split_once('.')?;
    let entity = Entity::named(entity)?;
    let bare = key
        .strip_prefix('`')
        .and_then(|key| key.strip_suffix('`'))
        .or_else(|| key.strip_prefix('"').and_then(|key| key.strip_suffix('"')));
    let key = bare.unwrap_or(key);
    (!key.is_empty()).then(|| Subject {
        entity,
        key: key.to_owned(),
    })
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser::new(text)?;
        let mut all = Vec::new();
        if *parser.peek() == Token::End {
            return Ok(Self(all));
        }
        loop {
            if all.len() >= COMPARISONS {
                return parser.expected(&format!("the end, after {COMPARISONS} comparisons,"));
            }
            all.push(parser.comparison()?);
            if parser.take_word("and") {
                continue;
            }
            return if *parser.peek() == Token::End {
                Ok(Self(all))
            } else {
                parser.expected("`AND` or the end")
            };
        }
    }
}

impl FromStr for Order {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser::new(text)?;
        let subject = parser.subject()?;
        let ascending = parser.take_word("asc") || !parser.take_word("desc");
        match parser.peek() {
            Token::End => Ok(Self { subject, ascending }),
            _ => parser.expected("`ASC`, `DESC` or the end"),
        }
    }
}
