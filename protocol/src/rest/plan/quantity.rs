//! Quantities as people write them: `30m`, `5 %`, `64 MiB`.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::{fmt, str::FromStr, time::Duration};

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a length of time.
    #[error("`{0}` is no length of time; write it with its unit: 200ms, 90s, 30m, 6h or 7d")]
    Span(String),
    /// Not a share.
    #[error("`{0}` is no share; write it in percent, from 0% to 100%")]
    Share(String),
    /// Neither a share nor a number.
    #[error("`{0}` is neither a number of devices nor a share such as 10%")]
    Size(String),
    /// Not a number of bytes.
    #[error("`{0}` is no number of bytes; write it with its unit: 500kB, 64MiB or 2GB")]
    Bytes(String),
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A length of time, in milliseconds; written as `90s`, `30m`, `6h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

/// Units of time, the largest first, in milliseconds.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest that a plan may speak of: ten years.
const SPAN_MAX: u64 = 3_650 * 86_400_000;

impl Span {
    /// So many milliseconds.
    pub const fn millis(ms: u64) -> Self {
        Self(ms)
    }

    /// So many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes * 60_000)
    }

    /// In milliseconds.
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let parse = || {
            let text = text.trim();
            let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
            let (number, unit) = text.split_at(unit);
            let (_, ms) = TIMES.iter().find(|(name, _)| *name == unit)?;
            let number: u64 = number.trim().parse().ok()?;
            number.checked_mul(*ms).filter(|ms| *ms <= SPAN_MAX)
        };
        parse()
            .map(Self)
            .ok_or_else(|| QuantityError::Span(shown(text)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let unit = TIMES.iter().find(|(_, ms)| self.0.is_multiple_of(*ms));
        let (name, ms) = unit.unwrap_or(&TIMES[4]);
        write!(f, "{}{name}", self.0 / ms)
    }
}

/// A share from 0 to 1, in millionths so that equal texts are equal shares; written as `5%`, `0.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share(u32);

const WHOLE: u32 = 1_000_000;

impl Share {
    /// So many percent; more than 100 are 100.
    pub const fn percent(percent: u32) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        Self(percent * (WHOLE / 100))
    }

    /// From 0 to 1.
    pub const fn of_one(self) -> f64 {
        self.0 as f64 / WHOLE as f64
    }

    /// In millionths.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// This share of a number, rounded up.
    pub const fn of(self, number: u64) -> u64 {
        let product = self.0 as u128 * number as u128;
        product.div_ceil(WHOLE as u128) as u64
    }
}

impl FromStr for Share {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        // By hand, since a float would not give the same millionths everywhere.
        let parse = || {
            let number = text.trim().strip_suffix('%')?.trim();
            let (whole, part) = number.split_once('.').unwrap_or((number, ""));
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if whole.is_empty() || part.len() > 4 || !digits(whole) || !digits(part) {
                return None;
            }
            let whole: u32 = whole.parse().ok()?;
            let part: u32 = format!("{part:0<4}").parse().ok()?;
            let share = whole.checked_mul(WHOLE / 100)?.checked_add(part)?;
            (share <= WHOLE).then_some(Self(share))
        };
        parse().ok_or_else(|| QuantityError::Share(shown(text)))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / (WHOLE / 100), self.0 % (WHOLE / 100));
        if part == 0 {
            return write!(f, "{whole}%");
        }
        let part = format!("{part:04}");
        write!(f, "{whole}.{}%", part.trim_end_matches('0'))
    }
}

/// How many devices: a number, or a share such as `10%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    /// So many.
    Count(u64),
    /// This share.
    Share(Share),
}

impl Size {
    /// How many of so many; a share is rounded up.
    pub const fn of(self, number: u64) -> u64 {
        match self {
            Self::Count(count) => {
                if count < number {
                    count
                } else {
                    number
                }
            }
            Self::Share(share) => share.of(number),
        }
    }

    /// Whether it is nothing at all.
    pub const fn is_none(self) -> bool {
        match self {
            Self::Count(count) => count == 0,
            Self::Share(share) => share.millionths() == 0,
        }
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let size = match text.trim().parse() {
            Ok(count) => Some(Self::Count(count)),
            Err(_) => text.parse().map(Self::Share).ok(),
        };
        size.ok_or_else(|| QuantityError::Size(shown(text)))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl serde::Serialize for Size {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => s.serialize_u64(*count),
            Self::Share(share) => s.collect_str(share),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NumberOrText::<Self> {
            number: |number| Ok(Self::Count(number)),
            expected: "a number of devices or a share such as 10%",
        })
    }
}

/// Bytes; written as `64MiB`, `500kB`, or as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u64);

const BYTES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl Bytes {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let parse = || {
            let text = text.trim();
            let unit = text
                .find(|c: char| c.is_ascii_alphabetic())
                .unwrap_or(text.len());
            let (number, unit) = text.split_at(unit);
            let unit = if unit.is_empty() { "B" } else { unit };
            let (_, bytes) = BYTES.iter().find(|(name, _)| *name == unit)?;
            number.trim().parse::<u64>().ok()?.checked_mul(*bytes)
        };
        parse()
            .map(Self)
            .ok_or_else(|| QuantityError::Bytes(shown(text)))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bytes): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*bytes);
        let (name, bytes) = BYTES.iter().find(fits).unwrap_or(&BYTES[6]);
        write!(f, "{}{name}", self.0 / bytes)
    }
}

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(NumberOrText::<Self> {
            number: |number| Ok(Self(number)),
            expected: "a number of bytes with its unit, such as 64MiB",
        })
    }
}

/// Reads what may be written as a number or as text.
struct NumberOrText<T> {
    number: fn(u64) -> Result<T, QuantityError>,
    expected: &'static str,
}

impl<T: FromStr<Err = QuantityError>> serde::de::Visitor<'_> for NumberOrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        (self.number)(number).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        let unsigned = u64::try_from(number);
        match unsigned {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(QuantityError::Size(number.to_string()))),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

crate::id::serde_as_text!(Span);
crate::id::serde_as_text!(Share);
#[cfg(feature = "schema")]
crate::id::schema_as!(Span, String);
#[cfg(feature = "schema")]
crate::id::schema_as!(Share, String);
#[cfg(feature = "schema")]
crate::id::schema_as!(Bytes, String);

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Size {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema;
        schema::ObjectBuilder::new()
            .schema_type(schema::SchemaType::from_iter([
                schema::Type::String,
                schema::Type::Integer,
            ]))
            .description(Some("A number of devices, or a share such as `10%`."))
            .into()
    }
}
#[cfg(feature = "schema")]
impl utoipa::ToSchema for Size {}
