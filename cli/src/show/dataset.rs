//! Datasets and datastores.

use tern_protocol::{
    rest::{
        ColumnStatistics, DatasetDetail, DatasetDiff, DatasetInput, DatasetManifest, DatasetRow,
        DatasetState, DatasetView, DatastoreView, SplitCounts,
    },
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{ago, bytes, count, one_line, things},
};

/// Columns that are shown with their statistics.
const COLUMNS: usize = 40;

/// Elements of a tensor that a row shows.
const ELEMENTS: usize = 6;

fn state(view: &DatasetView) -> Cell {
    if view.withdrawn.is_some() {
        return Cell::toned("withdrawn", Tone::Bad);
    }
    let tone = match view.state {
        DatasetState::Running => Tone::Busy,
        DatasetState::Done => Tone::Good,
        DatasetState::Failed => Tone::Bad,
        DatasetState::Stopped | DatasetState::Removed => Tone::Quiet,
    };
    Cell::toned(view.state.word(), tone)
}

fn splits(view: &DatasetView) -> [Cell; 3] {
    match &view.rows {
        Some(rows) => [
            rows.splits.train,
            rows.splits.held_out,
            rows.splits.kept_out,
        ]
        .map(|rows| Cell::number(count(rows))),
        None => ["–", "–", "–"].map(Cell::number),
    }
}

/// `tern dataset list`.
pub(crate) fn list(all: &[DatasetView], now: WallTime, look: Look) -> String {
    let headings = [
        "DATASET", "ID", "STATE", "TRAIN", "HELD OUT", "KEPT OUT", "HOW", "BY", "ASKED",
    ];
    let mut table = Table::new(look, &headings);
    for one in all {
        let [train, held_out, kept_out] = splits(one);
        table.row([
            Cell::toned(one.title(), Tone::Strong),
            Cell::number(one.id.to_string()),
            state(one),
            train,
            held_out,
            kept_out,
            one.how.as_str().into(),
            one.by.as_str().into(),
            ago(one.at, now).into(),
        ]);
    }
    table.text()
}

/// What came of an order.
pub(crate) fn made(view: &DatasetView, look: Look) -> String {
    let title = view.title();
    match view.state {
        DatasetState::Running => format!("{title} is being made; tern dataset show {title}\n"),
        DatasetState::Done => {
            let mut text = format!("{title} is done");
            if let Some(rows) = &view.rows {
                text += &format!(": {}", in_words(&rows.splits));
            }
            text.push('\n');
            let rows = view.rows.as_ref();
            let as_called = rows.map_or(&[][..], |rows| &rows.as_called[..]);
            if let [first, ..] = as_called {
                text += &format!(
                    "{}, and is no feature; `--feature {first}` keeps it as one\n",
                    taken(as_called)
                );
            }
            if let Some(why) = &view.untrainable {
                text += &format!("nothing can be trained on it: {why}\n");
            }
            text
        }
        _ => {
            let mut facts = Facts::new(look);
            facts.fact("dataset", &title);
            facts.toned("state", view.state.word(), Tone::Bad);
            if let Some(reason) = &view.reason {
                facts.fact("reason", one_line(reason));
            }
            facts.text()
        }
    }
}

/// Columns that were taken as what they are called, in words.
fn taken(columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "{}: each was taken as what it is called",
        columns.join(", ")
    )
}

fn in_words(splits: &SplitCounts) -> String {
    let named = [
        (splits.train, "to train on"),
        (splits.held_out, "held out"),
        (splits.kept_out, "kept out"),
    ];
    let some: Vec<String> = named
        .into_iter()
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, what)| format!("{} {what}", count(rows)))
        .collect();
    if some.is_empty() {
        "no rows".into()
    } else {
        some.join(", ")
    }
}

/// `tern dataset show`.
pub(crate) fn detail(detail: &DatasetDetail, now: WallTime, look: Look) -> String {
    let view = &detail.dataset;
    let mut facts = Facts::new(look);
    facts.fact("dataset", format!("{} (id {})", view.title(), view.id));
    facts.fact("state", view.state.word());
    if let Some(withdrawn) = &view.withdrawn {
        let text = format!("{}, {}", ago(withdrawn.at, now), withdrawn.reason);
        facts.toned("withdrawn", &text, Tone::Bad);
    }
    if let Some(reason) = &view.reason {
        facts.toned("reason", &one_line(reason), Tone::Bad);
    }
    if let Some(why) = view
        .untrainable
        .as_ref()
        .filter(|_| view.withdrawn.is_none())
    {
        facts.toned("no training", why, Tone::Quiet);
    }
    facts.fact(
        "made",
        format!("{} by {}, {}", view.how, view.by, ago(view.at, now)),
    );
    if let Some(rows) = &view.rows {
        facts.fact("rows", in_words(&rows.splits));
    }
    if view.bytes > 0 {
        facts.fact("size", bytes(view.bytes));
    }
    if let Some(digest) = &view.digest {
        facts.fact("digest", digest.to_string());
    }
    if let Some(manifest) = &detail.manifest {
        about(&mut facts, manifest);
    }
    let names = |all: &[DatasetView]| {
        let titles: Vec<String> = all.iter().map(DatasetView::title).collect();
        titles.join(", ")
    };
    if let Some(base) = view.base {
        facts.fact("begins with", format!("id {base}"));
    }
    if !detail.children.is_empty() {
        facts.fact("made of it", names(&detail.children));
    }
    if !detail.trained.is_empty() {
        let trained = detail.trained.iter();
        let trained: Vec<String> = trained
            .map(|of| format!("{} v{}", of.model, of.version))
            .collect();
        facts.fact("trained on it", trained.join(", "));
    }
    let mut text = facts.text();
    if let Some(manifest) = &detail.manifest {
        text.push('\n');
        text += &counts("CLASS", &manifest.statistics.classes, look);
        text += &counts("SITE", &manifest.statistics.sites, look);
        text += &columns(&manifest.statistics.columns, look);
    }
    text
}

fn about(facts: &mut Facts, manifest: &DatasetManifest) {
    match &manifest.input {
        DatasetInput::Tensor(form) => {
            let shape: Vec<String> = form.shape.iter().map(ToString::to_string).collect();
            facts.fact(
                "input",
                format!("{} {} {}", form.name, form.dtype, shape.join("×")),
            );
        }
        DatasetInput::Table { columns } => {
            facts.fact("input", things(columns.len() as u64, "column"));
        }
    }
    let made = &manifest.made_from;
    if made.captures > 0 || made.base_rows > 0 {
        facts.fact(
            "from",
            format!(
                "{} and {} of the version before",
                things(made.captures, "capture"),
                things(made.base_rows, "row")
            ),
        );
    }
    if made.moved > 0 {
        facts.fact(
            "moved",
            format!(
                "{} to the split that an earlier version has them in",
                things(made.moved, "row")
            ),
        );
    }
    if !made.as_called.is_empty() {
        facts.fact("no features", taken(&made.as_called));
    }
    for (why, rows) in &made.left_out {
        facts.fact("left out", format!("{}: {why}", things(*rows, "row")));
    }
    if let Some(prepared) = &manifest.prepared {
        for step in &prepared.done {
            let whom = if step.on_device {
                "and devices"
            } else {
                "training alone"
            };
            facts.fact("prepared", format!("{} ({whom})", step.text));
        }
    }
}

fn counts(
    heading: &str,
    of: &std::collections::BTreeMap<String, SplitCounts>,
    look: Look,
) -> String {
    // One site without a name says nothing.
    if of.is_empty() || of.len() == 1 && of.contains_key("") {
        return String::new();
    }
    let mut table = Table::new(look, &[heading, "TRAIN", "HELD OUT", "KEPT OUT"]);
    for (name, rows) in of {
        let name = if name.is_empty() { "–" } else { name };
        table.row([
            one_line(name).into(),
            Cell::number(count(rows.train)),
            Cell::number(count(rows.held_out)),
            Cell::number(count(rows.kept_out)),
        ]);
    }
    table.text() + "\n"
}

fn columns(all: &[ColumnStatistics], look: Look) -> String {
    let headings = [
        "COLUMN", "VALUES", "MISSING", "LEAST", "MEDIAN", "MOST", "MEAN",
    ];
    let mut table = Table::new(look, &headings);
    for column in all.iter().take(COLUMNS) {
        let number = |value: Option<f64>| Cell::or_none(value.map(figure)).right();
        let of = column.number.as_ref();
        table.row([
            one_line(&column.name).into(),
            Cell::number(count(column.count)),
            Cell::number(count(column.missing)),
            number(of.map(|of| of.min)),
            number(of.and_then(|of| of.quantiles.get(2).copied())),
            number(of.map(|of| of.max)),
            match column.categories.first() {
                Some(most) => Cell::from(format!("mostly {}", one_line(&most.name))),
                None => number(of.map(|of| of.mean)),
            },
        ]);
    }
    let mut text = table.text();
    if all.len() > COLUMNS {
        text += &format!("and {} columns more\n", all.len() - COLUMNS);
    }
    text
}

fn figure(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// `tern dataset rows`.
pub(crate) fn rows(all: &[DatasetRow], look: Look) -> String {
    let mut table = Table::new(look, &["ROW", "SITE", "LABEL", "FROM", "WEIGHT", "VALUES"]);
    for row in all {
        let mut values: Vec<String> = row
            .values
            .iter()
            .take(ELEMENTS)
            .map(|value| value.map_or_else(|| "–".into(), |value| figure(f64::from(value))))
            .collect();
        if row.values.len() > ELEMENTS {
            values.push(format!("… {} more", row.values.len() - ELEMENTS));
        }
        table.row([
            Cell::toned(one_line(&row.id), Tone::Strong),
            row.site.as_str().into(),
            one_line(&row.label).into(),
            row.source.as_str().into(),
            Cell::number(figure(row.weight)),
            values.join(" ").into(),
        ]);
    }
    table.text()
}

/// `tern dataset diff`.
pub(crate) fn diff(diff: &DatasetDiff, look: Look) -> String {
    let mut facts = Facts::new(look);
    facts.fact("from", diff.from.title());
    facts.fact("to", diff.to.title());
    facts.fact("new rows", in_words(&diff.added));
    facts.fact("gone rows", in_words(&diff.removed));
    facts.fact("in both", count(diff.common));
    facts.fact("another truth", count(diff.relabelled));
    for text in &diff.schema {
        facts.fact("schema", text);
    }
    let mut table = Table::new(look, &["CLASS", "TRAIN BEFORE", "TRAIN AFTER"]);
    for (name, change) in &diff.classes {
        table.row([
            one_line(name).into(),
            Cell::number(count(change.from)),
            Cell::number(count(change.to)),
        ]);
    }
    let classes = if diff.classes.is_empty() {
        String::new()
    } else {
        format!("\n{}", table.text())
    };
    facts.text() + &classes
}

/// `tern datastore list`.
pub(crate) fn datastores(all: &[DatastoreView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["DATASTORE", "WHERE", "TOKEN", "BY", "SINCE"]);
    for one in all {
        table.row([
            Cell::toned(one.name.as_str(), Tone::Strong),
            one_line(&one.place.to_string()).into(),
            (if one.token { "yes" } else { "–" }).into(),
            one.by.as_str().into(),
            ago(one.at, now).into(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_as_what_it_is_called_is_told() {
        let view = serde_json::json!({
            "id": 4, "name": "parcels", "number": 1, "state": "done", "how": "import", "by": "anna", "at": 0, "bytes": 9,
            "rows": {"splits": {"train": 2, "held-out": 0, "kept-out": 0}, "classes": {"no": 1, "yes": 1},
                "as_called": ["weight", "site"]},
        });
        let mut view: DatasetView = serde_json::from_value(view).expect("a version");
        assert_eq!(
            made(&view, Look::PLAIN),
            "parcels@1 is done: 2 to train on\n`weight`, `site`: each was taken as what it is called, and is no \
             feature; `--feature weight` keeps it as one\n"
        );
        view.rows.as_mut().expect("rows").as_called.clear();
        assert_eq!(
            made(&view, Look::PLAIN),
            "parcels@1 is done: 2 to train on\n"
        );
    }
}
