//! A whole and its parts as one bar, with every part named and counted below.

use maud::{Markup, html};

use super::format;

/// One part of a bar.
pub(super) struct Part {
    /// Class of the stylesheet that gives its colour.
    pub(super) tone: &'static str,
    /// Its name, plain, for those who hear the bar.
    pub(super) name: String,
    /// Its name as shown below; may link.
    pub(super) label: Markup,
    /// How many.
    pub(super) count: u64,
}

/// Whether parts that are empty are named too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empties {
    /// They are: the list keeps its length while counts change.
    Named,
    /// They are left out.
    LeftOut,
}

/// Length of a bar in its own units.
const WHOLE: u64 = 1000;

/// A part that is not empty is at least this long, so that one failing device of ten thousand is
/// still seen.
const LEAST: u64 = 10;

/// The bar and, below it, its parts with their counts.
pub(super) fn with_legend(what: &str, parts: &[Part], empties: Empties) -> Markup {
    html! {
        (alone(what, parts))
        ul.legend {
            @for part in parts.iter().filter(|part| part.count > 0 || empties == Empties::Named) {
                li data-key=(part.name) {
                    span.swatch.(part.tone) {}
                    span.name { (part.label) }
                    b { (format::count(part.count)) }
                }
            }
        }
    }
}

/// The bar alone.
pub(super) fn alone(what: &str, parts: &[Part]) -> Markup {
    let said: Vec<String> = parts
        .iter()
        .filter(|part| part.count > 0)
        .map(|part| format!("{} {}", format::count(part.count), part.name))
        .collect();
    let said = if said.is_empty() {
        "none".into()
    } else {
        said.join(", ")
    };
    html! {
        svg.bar viewBox={ "0 0 " (WHOLE) " 10" } preserveAspectRatio="none" role="img"
            aria-label={ (what) ": " (said) } {
            @for (part, (start, length)) in parts.iter().zip(places(parts)) {
                rect.(part.tone) x=(start) width=(length) height="10" {
                    title { (format::count(part.count)) " " (part.name) }
                }
            }
        }
    }
}

/// Start and length of each part.
fn places(parts: &[Part]) -> Vec<(u64, u64)> {
    let total: u128 = parts.iter().map(|part| u128::from(part.count)).sum();
    let present = parts.iter().filter(|part| part.count > 0).count() as u64;
    // What is left after every part got its least is shared by count. With more parts than fit at
    // their least, the last ones lie beyond the end; the legend still names them.
    let shared = WHOLE.saturating_sub(present * LEAST);
    let mut start = 0;
    let mut place = |part: &Part| {
        if part.count == 0 {
            return (start, 0);
        }
        let share = u128::from(part.count) * u128::from(shared) / total;
        let length = LEAST + share as u64;
        start += length;
        (start - length, length)
    };
    parts.iter().map(&mut place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(counts: &[u64]) -> Vec<u64> {
        let part = |count: &u64| Part {
            tone: "ok",
            name: "x".into(),
            label: html! {},
            count: *count,
        };
        let parts: Vec<_> = counts.iter().map(part).collect();
        places(&parts)
            .into_iter()
            .map(|(_, length)| length)
            .collect()
    }

    #[test]
    fn parts_fill_the_bar_and_none_is_lost() {
        assert_eq!(lengths(&[]), [] as [u64; 0]);
        assert_eq!(lengths(&[0, 0]), [0, 0]);
        assert_eq!(lengths(&[7, 0]), [1000, 0]);
        assert_eq!(lengths(&[1, 1]), [500, 500]);
        let rare = lengths(&[99_999, 1]);
        assert!(
            rare[1] >= LEAST && rare.iter().sum::<u64>() >= 999,
            "{rare:?}"
        );
        assert_eq!(lengths(&[u64::MAX, u64::MAX]), [500, 500]);
    }
}
