//! What people give on the command line, as types.

use std::{str::FromStr, time::Duration};

use jiff::{Timestamp, civil::Date, tz::Offset};
use tern_protocol::{
    id::{IdError, ModelName, ModelVersion},
    rest::Health,
    time::WallTime,
};

/// Why a text is not what an option takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GivenError {
    #[error("{0}")]
    Id(#[from] IdError),
    #[error("write MODEL@VERSION, for example {0}@2 or {0}@latest")]
    NoVersion(String),
    #[error("write a version's number from 1 up, or latest")]
    Version,
    #[error("write KEY=VALUE, for example lens=plastic")]
    KeyValue,
    #[error(
        "write a date as 2026-11-24, with a time as 2026-11-24T09:30:00Z, or how long ago as 90m, 24h \
         or 2d"
    )]
    Moment,
    #[error("write a length of time with its unit, for example 90s, 5m, 2h or 30d")]
    Duration,
    #[error("write cores as 2 or 0.5")]
    Cores,
    #[error("write a size as 512MiB or 4GiB")]
    Size,
}

/// A version as a person names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest one.
    Latest,
    /// This one.
    Number(ModelVersion),
}

impl FromStr for Which {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        text.parse()
            .map(Self::Number)
            .map_err(|_| GivenError::Version)
    }
}

/// `MODEL@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) model: ModelName,
    pub(crate) version: Which,
}

impl FromStr for Target {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        let (model, version) = text.split_once('@').ok_or_else(|| {
            let model = text.parse::<ModelName>();
            GivenError::NoVersion(model.map_or("digit-reader".into(), |model| model.to_string()))
        })?;
        Ok(Self {
            model: model.parse()?,
            version: version.parse()?,
        })
    }
}

/// `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), GivenError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(GivenError::KeyValue),
    }
}

/// `500ms`, `90s`, `5m`, `2h`, `30d`; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, GivenError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| GivenError::Duration)?;
    let ms = match unit.trim() {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1000),
        "m" | "min" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => None,
    };
    ms.map(Duration::from_millis).ok_or(GivenError::Duration)
}

/// `2` or `0.5`, in thousandths.
pub(crate) fn cores(text: &str) -> Result<u32, GivenError> {
    let cores = text.parse::<f64>().ok();
    let millis = cores.map(|cores| (cores * 1000.0).round());
    match millis {
        Some(millis) if (1.0..=1_024_000.0).contains(&millis) => Ok(millis as u32),
        _ => Err(GivenError::Cores),
    }
}

/// `512MiB`, `4GiB`, a bare number is bytes.
pub(crate) fn size(text: &str) -> Result<u64, GivenError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| GivenError::Size)?;
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" | "K" => 1024.0,
        "MiB" | "M" => 1024.0 * 1024.0,
        "GiB" | "G" => 1024.0 * 1024.0 * 1024.0,
        "TiB" | "T" => 1024.0_f64.powi(4),
        _ => return Err(GivenError::Size),
    };
    Ok((number * factor).round() as u64)
}

/// A date (its first moment, UTC), a date with a time (RFC 3339), or how long ago.
pub(crate) fn moment(text: &str, now: WallTime) -> Result<WallTime, GivenError> {
    if let Ok(ago) = duration(text) {
        // A bare number may be meant as anything.
        let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        let ago = i64::try_from(ago.as_millis()).ok().filter(|_| has_unit);
        let then = ago.and_then(|ago| now.0.checked_sub(ago));
        let then = then.filter(|then| *then >= 0);
        return then.map(WallTime).ok_or(GivenError::Moment);
    }
    let moment = text.parse::<Timestamp>().or_else(|_| {
        let day = Date::strptime("%Y-%m-%d", text)?;
        Offset::UTC.to_timestamp(day.at(0, 0, 0, 0))
    });
    let moment = moment.map_err(|_| GivenError::Moment)?;
    Ok(WallTime(moment.as_millisecond()))
}

/// Health as the command line spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HealthGiven {
    /// Connected and serving what it should
    Healthy,
    /// On its way to what it should serve
    Updating,
    /// Refused what it should serve, or serves nothing
    Failing,
    /// Not connected
    Offline,
}

impl From<HealthGiven> for Health {
    fn from(given: HealthGiven) -> Self {
        match given {
            HealthGiven::Healthy => Self::Healthy,
            HealthGiven::Updating => Self::Updating,
            HealthGiven::Failing => Self::Failing,
            HealthGiven::Offline => Self::Offline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now = WallTime(1_800_000_000_000);
        for (text, ms) in [
            ("2d", now.0 - 172_800_000),
            ("90m", now.0 - 5_400_000),
            ("1970-01-01", 0),
            ("2024-02-29", 1_709_164_800_000),
            ("2024-02-29T12:34:56.789Z", 1_709_210_096_789),
            ("2024-02-29T12:34Z", 1_709_210_040_000),
            ("2024-02-29T12Z", 1_709_208_000_000),
            ("2024-02-29 14:34:56.7+02:00", 1_709_210_096_700),
            ("2024-02-29T10:04:56-02:30", 1_709_210_096_000),
        ] {
            assert_eq!(moment(text, now), Ok(WallTime(ms)), "{text}");
        }
        for wrong in [
            "",
            "7",
            "yesterday",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-32",
            "2024-02-29T12:34",
            "2024-02-29T24:00Z",
            "2024-02-29T12:34:56.Z",
            "99999999999d",
            "9999999999-01-01",
        ] {
            assert_eq!(moment(wrong, now), Err(GivenError::Moment), "{wrong}");
        }
    }

    #[test]
    fn targets() {
        let target: Target = "digit-reader@v2".parse().expect("a target");
        assert_eq!(target.version, Which::Number(ModelVersion::FIRST.next()));
        let target: Target = "digit-reader@latest".parse().expect("a target");
        assert_eq!(target.version, Which::Latest);
        for (wrong, said) in [
            ("reader", "reader@latest"),
            ("reader@0", "from 1 up"),
            ("reader@", "from 1 up"),
            ("@1", "not a name"),
        ] {
            let err = wrong.parse::<Target>().expect_err(wrong);
            assert!(err.to_string().contains(said), "{wrong}: {err}");
        }
    }

    #[test]
    fn durations_and_pairs() {
        for (text, ms) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("2 h", 7_200_000),
            ("3", 3000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "5 days", "-3s", "99999999999999999999h"] {
            assert_eq!(duration(wrong), Err(GivenError::Duration), "{wrong}");
        }
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(key_value("=b"), Err(GivenError::KeyValue));
    }

    #[test]
    fn sizes_and_cores() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("4GiB", 4 << 30),
            ("1.5G", 3 << 29),
            ("7", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert!(size("lots").is_err() && size("4 parsecs").is_err());
        assert_eq!((cores("2"), cores("0.5")), (Ok(2000), Ok(500)));
        assert!(cores("0").is_err() && cores("NaN").is_err());
    }
}
