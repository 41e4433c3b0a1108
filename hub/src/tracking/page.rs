//! Pages of lists: a token says how many were on those before, and of which question. Pure.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::TrackingError;

/// Items on a page of runs at most.
pub const RUNS: i64 = 50_000;

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The token of the next page.
    pub next: Option<String>,
}

/// How many, and after how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// On this page at most.
    pub limit: i64,
    /// On those before.
    pub offset: i64,
}

impl Window {
    /// From what a client asks. Nothing, and 0 for lists that take it for that, is the default.
    pub fn new(
        asked: Option<i64>,
        default: i64,
        most: i64,
        token: &str,
    ) -> Result<Self, TrackingError> {
        let limit = asked.unwrap_or(default);
        if !(1..=most).contains(&limit) {
            return Err(TrackingError::Invalid(format!(
                "Invalid value {limit} for parameter 'max_results': it must be a number from 1 to {most}."
            )));
        }
        Ok(Self {
            limit,
            offset: offset(token)?,
        })
    }

    /// How many rows to read: one more tells whether there is another page.
    pub fn rows(self) -> i64 {
        self.limit + 1
    }

    /// The page, of at most [`Self::rows`] items.
    pub fn page<T>(self, mut items: Vec<T>) -> Page<T> {
        let more = items.len() as i64 > self.limit;
        items.truncate(self.limit as usize);
        let next = more.then(|| token(self.offset + self.limit));
        Page { items, next }
    }
}

fn token(offset: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("after:{offset}"))
}

fn offset(token: &str) -> Result<i64, TrackingError> {
    if token.is_empty() {
        return Ok(0);
    }
    let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let text = text.and_then(|text| String::from_utf8(text).ok());
    let offset = text.and_then(|text| text.strip_prefix("after:")?.parse().ok());
    let offset = offset.filter(|offset: &i64| (0..=i64::MAX / 2).contains(offset));
    offset
        .ok_or_else(|| TrackingError::Invalid("Invalid page token, it is not one of ours.".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_begins() {
        let first = Window::new(Some(2), 100, 1000, "").expect("a window");
        let page = first.page(vec![1, 2, 3]);
        assert_eq!(page.items, [1, 2]);
        let token = page.next.expect("there is more");
        let second = Window::new(Some(2), 100, 1000, &token).expect("a window");
        assert_eq!(second.offset, 2);
        assert_eq!(second.page(vec![3]).next, None);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for bad in ["x", "YWZ0ZXI6", "YWZ0ZXI6LTE", "////"] {
            assert!(Window::new(None, 1, 1, bad).is_err(), "{bad}");
        }
        assert!(Window::new(Some(0), 1, 1, "").is_err());
        assert!(Window::new(Some(2), 1, 1, "").is_err());
    }
}
