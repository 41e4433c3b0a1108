//! Stretches of time that windows are added to. Pure.

/// How long a stretch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day, from midnight UTC.
    Day,
}

impl Level {
    /// All, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length in milliseconds.
    pub const fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// As it is stored.
    pub const fn number(self) -> i64 {
        match self {
            Self::Minute => 0,
            Self::Hour => 1,
            Self::Day => 2,
        }
    }

    /// Where the stretch begins that a moment lies in, in milliseconds since 1970.
    pub const fn start(self, at: i64) -> i64 {
        at.div_euclid(self.ms()) * self.ms()
    }
}

/// Where a window counts: in its middle. What is longer than a minute, since its device had to merge it, is on one
/// minute and in one hour and not spread, so that all of it is counted once.
pub const fn middle(opened: i64, closed: i64) -> i64 {
    opened + closed.saturating_sub(opened) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lies_where_its_middle_is() {
        let noon = 1_790_000_000_000 / 86_400_000 * 86_400_000 + 43_200_000;
        let at = middle(noon - 20_000, noon + 40_000);
        assert_eq!(Level::Minute.start(at), noon);
        let at = middle(noon - 40_001, noon + 20_000);
        assert_eq!(Level::Minute.start(at), noon - 60_000);
        assert_eq!(Level::Hour.start(at), noon - 3_600_000);
        assert_eq!(Level::Day.start(at), noon - 43_200_000);
        assert_eq!(Level::Day.start(-1), -86_400_000);
        assert_eq!(middle(5, 5), 5);
        assert_eq!(middle(i64::MIN, i64::MAX), i64::MIN + i64::MAX / 2);
    }
}
