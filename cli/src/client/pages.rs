//! A long list, page by page.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use tern_protocol::rest::Page;

use super::{error::ClientError, http::Http, query::Parameters};

/// Pages of one list. The largest list that a hub keeps is a few million captures; more pages than
/// this is a hub that goes round in circles.
const PAGES: u32 = 50_000;

/// Items of a list, fetched as they are asked for. After an error it ends.
#[derive(Debug)]
pub struct Pages<T> {
    http: Http,
    path: String,
    parameters: Parameters,
    here: VecDeque<T>,
    next: Next,
    fetched: u32,
}

#[derive(Debug)]
enum Next {
    First,
    After(String),
    End,
}

impl<T> Pages<T> {
    pub(super) fn new(http: Http, path: String, parameters: Parameters) -> Self {
        Self {
            http,
            path,
            parameters,
            here: VecDeque::new(),
            next: Next::First,
            fetched: 0,
        }
    }
}

impl<T> Pages<T> {
    /// The same, from after this item on.
    pub(super) fn after(self, item: Option<u64>) -> Self {
        let next = item.map_or(Next::First, |item| Next::After(item.to_string()));
        Self { next, ..self }
    }
}

impl<T: DeserializeOwned> Pages<T> {
    /// All items.
    pub fn all(self) -> Result<Vec<T>, ClientError> {
        self.collect()
    }

    fn fetch(&mut self) -> Result<(), ClientError> {
        let endless = || ClientError::Endless {
            path: self.path.clone(),
        };
        if self.fetched == PAGES {
            return Err(endless());
        }
        self.fetched += 1;
        let mut parameters = self.parameters.clone();
        if let Next::After(after) = &self.next {
            parameters.push(("after", after.clone()));
        }
        let page: Page<T> = self.http.get(&self.path, &parameters)?;
        self.next = match (page.next, &self.next) {
            (None, _) => Next::End,
            (Some(next), Next::After(this)) if next == *this => return Err(endless()),
            (Some(next), _) => Next::After(next),
        };
        self.here = VecDeque::from(page.items);
        Ok(())
    }
}

impl<T: DeserializeOwned> Iterator for Pages<T> {
    type Item = Result<T, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.here.pop_front() {
                return Some(Ok(item));
            }
            if matches!(self.next, Next::End) {
                return None;
            }
            if let Err(err) = self.fetch() {
                self.next = Next::End;
                return Some(Err(err));
            }
        }
    }
}
