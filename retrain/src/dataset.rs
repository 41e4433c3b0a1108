//! Whether a dataset can be trained on, and whether there are labels enough to make one. Pure.

use std::collections::BTreeMap;

use tern_protocol::id::SiteName;

use crate::{
    action::LabelOrder,
    fact::{Dataset, Labels, Rows},
    policy::Minimum,
    trigger::Evidence,
};

/// Classes of one order that are named, at most, and sites.
const NAMED_MAX: usize = 1_000;

/// Why a dataset cannot be trained on; nothing if it can.
pub(crate) fn refusal(dataset: &Dataset) -> Option<String> {
    match &dataset.rows {
        Rows::Classes(classes) => {
            let mut there = classes.iter().filter(|(_, rows)| **rows > 0);
            match (there.next(), there.next()) {
                (None, _) => Some("the dataset is empty".into()),
                (Some((class, rows)), None) => Some(format!(
                    "all {rows} rows of the dataset are of class {class}, so there is nothing to tell apart"
                )),
                _ => None,
            }
        }
        Rows::Numbers { rows: 0, .. } => Some("the dataset is empty".into()),
        Rows::Numbers { rows, different } if *different < 2 => Some(format!(
            "all {rows} rows of the dataset have the same number, so there is nothing to tell apart"
        )),
        Rows::Numbers { .. } => None,
    }
    .or_else(|| {
        let nothing = dataset.kept_out == 0;
        nothing.then(|| "no labelled capture was kept out, so nothing could be compared".into())
    })
}

/// Labels that lack until a dataset can be made; nothing if there are enough. Those that people were asked for already
/// lack as well.
pub(crate) fn lacking(
    minimum: &Minimum,
    labels: &Labels,
    evidence: &[Evidence],
) -> Option<LabelOrder> {
    let whole = minimum
        .labels
        .saturating_sub(labels.usable)
        .max(minimum.new.saturating_sub(labels.new));
    let classes: BTreeMap<String, u64> = labels
        .by_class
        .iter()
        .filter(|(_, there)| **there < minimum.per_class)
        .map(|(class, there)| (class.clone(), minimum.per_class - there))
        .take(NAMED_MAX)
        .collect();
    let moved = evidence.iter().flat_map(|one| &one.sites);
    let sites: BTreeMap<SiteName, u64> = moved
        .filter_map(|site| {
            let there = labels.by_site.get(site).copied().unwrap_or(0);
            let lack = minimum.per_site.saturating_sub(there);
            (lack > 0).then(|| (site.clone(), lack))
        })
        .take(NAMED_MAX)
        .collect();
    // A capture may serve all three, and which class it is of is known only when it is labelled.
    let of_classes: u64 = classes.values().sum();
    let of_sites: u64 = sites.values().sum();
    let captures = whole.max(of_classes).max(of_sites);
    (captures > 0).then_some(LabelOrder {
        captures,
        classes,
        sites,
    })
}

/// What lacks, in words.
pub(crate) fn lacking_in_words(order: &LabelOrder) -> String {
    let mut text = format!("{} more labels are needed", order.captures);
    let mut parts = Vec::new();
    for (site, lack) in order.sites.iter().take(3) {
        parts.push(format!("{lack} of site {site}"));
    }
    for (class, lack) in order.classes.iter().take(3) {
        parts.push(format!("{lack} of class {class}"));
    }
    let more = order.sites.len().saturating_sub(3) + order.classes.len().saturating_sub(3);
    if more > 0 {
        parts.push(format!("and of {more} more sites and classes"));
    }
    if !parts.is_empty() {
        text = format!("{text}: {}", parts.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(classes: &[(&str, u64)]) -> Dataset {
        let classes = classes.iter().map(|(name, rows)| ((*name).into(), *rows));
        Dataset {
            id: 1,
            rows: Rows::Classes(classes.collect()),
            kept_out: 10,
        }
    }

    #[test]
    fn empty_and_one_class_datasets_are_refused_with_a_reason() {
        assert_eq!(refusal(&of(&[("0", 4), ("1", 5)])), None);
        for empty in [of(&[]), of(&[("0", 0), ("1", 0)])] {
            assert!(refusal(&empty).unwrap().contains("empty"));
        }
        let one = refusal(&of(&[("0", 0), ("7", 12)])).unwrap();
        assert!(
            one.contains("all 12 rows") && one.contains("class 7"),
            "{one}"
        );
        let numbers = |rows, different| Dataset {
            rows: Rows::Numbers { rows, different },
            ..of(&[])
        };
        assert!(refusal(&numbers(0, 0)).unwrap().contains("empty"));
        assert!(refusal(&numbers(9, 1)).unwrap().contains("same number"));
        assert_eq!(refusal(&numbers(9, 2)), None);
        let nothing = Dataset {
            kept_out: 0,
            ..numbers(9, 2)
        };
        assert!(refusal(&nothing).unwrap().contains("kept out"));
    }

    #[test]
    fn what_lacks_is_named() {
        let minimum = Minimum {
            labels: 100,
            new: 10,
            per_class: 5,
            per_site: 30,
        };
        let labels = Labels {
            usable: 120,
            new: 12,
            by_class: [("0".to_string(), 5), ("1".to_string(), 2)].into(),
            ..Labels::default()
        };
        let order = lacking(&minimum, &labels, &[]).unwrap();
        assert_eq!((order.captures, order.classes["1"]), (3, 3));
        assert!(lacking_in_words(&order).contains("3 of class 1"));
        let enough = Labels {
            by_class: [("1".to_string(), 5)].into(),
            ..labels
        };
        assert_eq!(lacking(&minimum, &enough, &[]), None);
        let old = Labels { new: 3, ..enough };
        assert_eq!(lacking(&minimum, &old, &[]).unwrap().captures, 7);
    }
}
