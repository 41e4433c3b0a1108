//! How right a version is, and how labelling stands.

use tern_protocol::rest::{
    ClassTruth, EstimateBasis, EstimateView, Estimated, EstimatedQuantity, LabellingView,
    NumberTruth, TruthView,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{count, percent},
};

/// Mistakes that are listed: those that most predictions make.
const MISTAKES: usize = 12;

/// `tern truth`.
pub(crate) fn truth(view: &TruthView, look: Look) -> String {
    let mut text = format!(
        "{} v{}: {} labels",
        view.model,
        view.version,
        count(view.labels)
    );
    if !view.sources.is_empty() {
        let sources = view.sources.iter();
        let sources: Vec<_> = sources
            .map(|one| format!("{} by {}", count(one.labels), one.source.word()))
            .collect();
        text += &format!(" ({})", sources.join(", "));
    }
    if view.left_out > 0 {
        text += &format!(
            ", {} more left out: chosen by their value",
            count(view.left_out)
        );
    }
    if view.more {
        text += ", older ones not read";
    }
    text.push('\n');
    if let Some(classes) = &view.classes {
        text += &self::classes(classes, look);
    }
    if let Some(numbers) = &view.numbers {
        text += &self::numbers(numbers, look);
    }
    text += &estimate(&view.estimate, look);
    text
}

fn share(estimated: &Estimated) -> String {
    format!(
        "{} ({} to {})",
        percent(estimated.value),
        percent(estimated.low),
        percent(estimated.high)
    )
}

fn number(estimated: &Estimated) -> String {
    format!(
        "{:.4} ({:.4} to {:.4})",
        estimated.value, estimated.low, estimated.high
    )
}

fn classes(classes: &ClassTruth, look: Look) -> String {
    let mut text = format!(
        "\naccuracy {}, macro F1 {}\n",
        share(&classes.accuracy),
        percent(classes.macro_f1)
    );
    let calibration = &classes.calibration;
    if let (Some(error), Some(chance)) = (calibration.error, calibration.by_chance) {
        text += &format!(
            "calibration error {}, by chance alone {}",
            percent(error),
            percent(chance)
        );
        if let Some(brier) = &calibration.brier {
            text += &format!(", Brier score {:.4}", brier.value);
        }
        text.push('\n');
    }
    let mut table = Table::new(
        look,
        &["CLASS", "LABELS", "PREDICTED", "PRECISION", "RECALL", "F1"],
    );
    for rates in &classes.rates {
        let told = |rate: &Option<Estimated>| rate.as_ref().map_or_else(|| "–".into(), share);
        table.row([
            Cell::toned(rates.class.as_str(), Tone::Strong),
            Cell::number(count(rates.labels)),
            Cell::number(count(rates.predicted)),
            told(&rates.precision).into(),
            told(&rates.recall).into(),
            told(&rates.f1).into(),
        ]);
    }
    text += "\n";
    text += &table.text();
    let mut mistakes: Vec<_> = classes
        .confusion
        .iter()
        .filter(|cell| cell.truth != cell.predicted)
        .collect();
    mistakes.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    if !mistakes.is_empty() {
        let mut table = Table::new(
            look,
            &["IS", "SAID", "LABELS", "STANDS FOR", "OF THAT CLASS"],
        );
        for cell in mistakes.iter().take(MISTAKES) {
            table.row([
                cell.truth.as_str().into(),
                Cell::toned(cell.predicted.as_str(), Tone::Bad),
                Cell::number(count(cell.labels)),
                Cell::number(count(cell.weight.round() as u64)),
                Cell::number(percent(cell.share)),
            ]);
        }
        text += "\n";
        text += &table.text();
    }
    text
}

fn numbers(numbers: &NumberTruth, look: Look) -> String {
    let mut table = Table::new(look, &["FIGURE", "VALUE"]);
    for (name, value) in [
        ("mean absolute error", numbers.mae),
        ("root mean squared error", numbers.rmse),
        ("bias", numbers.bias),
    ] {
        let value = value.as_ref().map_or_else(|| "–".into(), number);
        table.row([name.into(), value.into()]);
    }
    if let Some(coverage) = &numbers.coverage {
        let promised = coverage
            .promised
            .map(|promised| format!(", promised {}", percent(promised)));
        let held = format!("{}{}", share(&coverage.held), promised.unwrap_or_default());
        table.row(["intervals that held the truth".into(), held.into()]);
    }
    format!("\n{}", table.text())
}

fn estimate(view: &EstimateView, look: Look) -> String {
    let (what, told): (_, fn(&Estimated) -> String) = match view.quantity {
        EstimatedQuantity::Accuracy => ("accuracy", share),
        EstimatedQuantity::MeanAbsoluteError => ("mean absolute error", number),
    };
    let mut text = format!("\nestimated {what} without labels");
    if let Some(lacks) = &view.lacks {
        return format!("{text}: none, {lacks}\n");
    }
    text.push('\n');
    let mut table = Table::new(
        look,
        &["DAY", "PREDICTIONS", "ESTIMATE", "STANDS ON", "LABELS SAY"],
    );
    for day in &view.days {
        let value = |value: &Option<Estimated>| value.as_ref().map_or_else(|| "–".into(), told);
        let basis = match day.basis {
            Some(EstimateBasis::Reference) => "validation",
            Some(EstimateBasis::Labels) => "earlier labels",
            None => "–",
        };
        table.row([
            super::words::day(day.from).into(),
            Cell::number(count(day.predictions)),
            value(&day.estimate).into(),
            basis.into(),
            value(&day.truth).into(),
        ]);
    }
    text += &table.text();
    if let Some(error) = view.mean_error {
        let off = match view.quantity {
            EstimatedQuantity::Accuracy => percent(error),
            EstimatedQuantity::MeanAbsoluteError => format!("{error:.4}"),
        };
        text += &format!(
            "off by {off} in the mean on {} with labels; on {} of them both agree\n",
            super::words::things(view.compared, "day"),
            count(view.agreed)
        );
    }
    text
}

/// `tern label show`.
pub(crate) fn labelling(view: &LabellingView, look: Look) -> String {
    let mut table = Table::new(look, &["", ""]);
    let people = match view.labellers {
        1 => "one person".to_owned(),
        n => format!("{n} people who agree"),
    };
    let rows = [
        ("a truth takes", people),
        ("wait for a label", count(view.waiting)),
        ("wait for a second person", count(view.half)),
        ("disagreed about", count(view.disagreed)),
        ("labelled by people", count(view.labelled)),
        ("of these by you", count(view.mine)),
    ];
    for (name, value) in rows {
        table.row([Cell::toned(name, Tone::Quiet), value.into()]);
    }
    if let Some(agreement) = &view.agreement {
        let kappa = agreement.kappa.as_ref().map_or_else(String::new, |kappa| {
            format!(
                ", kappa {:.2} ({:.2} to {:.2})",
                kappa.value, kappa.low, kappa.high
            )
        });
        let same = format!(
            "{} of {}{kappa}",
            count(agreement.same),
            count(agreement.both)
        );
        table.row([Cell::toned("two people agree on", Tone::Quiet), same.into()]);
    }
    table.text()
}
