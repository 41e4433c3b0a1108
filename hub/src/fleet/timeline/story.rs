//! What an entry of a timeline says, in words. Pure.
//!
//! Said here once, so that the API, the command line and the dashboard tell the same story.

use std::time::Duration;

use super::news::kind;
use crate::fleet::rows::event;

/// What happened, in a few words that follow the version.
pub(super) fn says(row: &event::Model) -> String {
    let text = match row.kind.as_str() {
        kind::APPEARED => "was heard of for the first time",
        kind::ASSIGNED => return assigned(row),
        kind::UNASSIGNED => "nothing is wanted here any more",
        kind::FETCHED => "came whole",
        kind::WAITING => "is vetted and waits for its activation window",
        kind::UNSIGNED => "waits for signed metadata that list it",
        kind::PROVEN => "proved that it serves: the weights that were loaded are those published",
        kind::UNPROVEN => "serves other weights than were published",
        kind::REVOKED => "was revoked while it served here",
        kind::AWAY => return away(row),
        kind::SHADOW_ASSIGNED => return shadowed(row),
        kind::SHADOW_UNASSIGNED => "is not wanted beside what serves any more",
        "started" => "the agent started",
        "fetching" if row.slot.is_none() => "had trouble with fetching",
        "fetching" => "is being fetched",
        "verified" => "is there whole, and its digests hold",
        "vetted" => "reproduced its golden samples",
        "serving" => "took over the requests",
        "confirmed" => "served through its trial",
        "rejected" => "was refused; what served before serves on",
        "swapped-back" => "failed while it served, and was swapped back",
        "captures-dropped" => "dropped captures, since its outbox was full",
        "metadata" => "looked at newer signed metadata",
        "delta-applied" => "was made of a delta",
        "delta-failed" => "could not be made of a delta, and is fetched whole",
        "disk" => "told how full its disk is",
        "damage" => "found damage on its disk",
        "shadow" => "told of its shadow",
        other => return format!("told of `{other}`"),
    };
    text.into()
}

fn assigned(row: &event::Model) -> String {
    match (row.rollout, &row.actor) {
        (Some(rollout), Some(actor)) => {
            format!("was assigned by rollout {rollout}, which {actor} started")
        }
        (Some(rollout), None) => format!("was assigned by rollout {rollout}"),
        (None, _) => "was assigned".into(),
    }
}

fn shadowed(row: &event::Model) -> String {
    let wanted = "is wanted beside what serves";
    match row.rollout {
        Some(rollout) => format!("{wanted} by rollout {rollout}"),
        None => wanted.into(),
    }
}

fn away(row: &event::Model) -> String {
    let since = row.since.unwrap_or(row.at);
    let ms = row.at.saturating_sub(since).max(0).unsigned_abs();
    format!("was offline for {}", length(Duration::from_millis(ms)))
}

/// A length of time in its two largest units.
pub(crate) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, smaller: &str) -> String {
    match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {smaller}"),
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{log::EventKind, time::WallTime};

    use super::*;
    use crate::fleet::timeline::news::row;

    fn of(kind: &str) -> event::Model {
        row("default", "meter", WallTime(11_100_000), kind)
    }

    #[test]
    fn every_kind_has_words() {
        let told = (0..32).map(EventKind::from_number);
        let told = told.filter(|kind| !matches!(kind, EventKind::Unknown(_)));
        let told: Vec<_> = told.map(|kind| kind.to_string()).collect();
        assert!(told.len() >= 10);
        for name in kind::ALL.into_iter().chain(told.iter().map(String::as_str)) {
            let words = says(&of(name));
            assert!(!words.contains('`'), "{name}: {words}");
        }
        assert_eq!(says(&of("unknown-99")), "told of `unknown-99`");
    }

    #[test]
    fn assignments_and_absences_say_who_and_how_long() {
        let by = event::Model {
            rollout: Some(3),
            actor: Some("user anna".into()),
            ..of("assigned")
        };
        assert_eq!(
            says(&by),
            "was assigned by rollout 3, which user anna started"
        );
        let away = event::Model {
            since: Some(120_000),
            ..of("away")
        };
        assert_eq!(says(&away), "was offline for 3 h 3 min");
    }

    #[test]
    fn lengths_have_two_units() {
        for (s, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_725, "1 h 2 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(length(Duration::from_secs(s)), text);
        }
    }
}
