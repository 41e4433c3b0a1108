//! The numbers of a drawing as a table: for those who do not see it, and for `chart.js`.

use maud::{Markup, html};
use tern_protocol::{rest::Point, time::WallTime};

use super::{super::format, Drawn, draw::DAYS};

/// The table, closed until asked for. Newest last, as in the drawing.
pub(super) fn table(title: &str, drawn: &Drawn) -> Markup {
    html! {
        details {
            summary { "Values as a table" }
            div.scroll.tall tabindex="0" role="region" aria-label={ (title) ", values" } {
                table.numbers {
                    thead { tr {
                        th scope="col" { "From" }
                        @for line in &drawn.lines { th scope="col" { (line.name()) } }
                    } }
                    tbody {
                        @for index in 0..drawn.intervals {
                            @let start = WallTime(drawn.start_ms(index));
                            @let length = drawn.start_ms(drawn.intervals).saturating_sub(drawn.start_ms(0));
                            tr data-key=(start.0) {
                                th scope="row" {
                                    @if length > DAYS {
                                        time.moment datetime=(format::iso(start)) { (format::day_month(start)) " " (format::hour_minute(start)) }
                                    } @else {
                                        time.clock datetime=(format::iso(start)) { (format::hour_minute(start)) }
                                    }
                                }
                                @for line in &drawn.lines {
                                    td { (cell(line.series.points.get(index), &drawn.unit)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(point: Option<&Point>, unit: &str) -> Markup {
    let Some((point, value)) = point.and_then(|point| Some((point, point.value?))) else {
        return html! { (format::NOTHING) };
    };
    html! {
        (format::in_unit(value, unit))
        @if let (Some(low), Some(high)) = (point.low, point.high) {
            small { " " (format::in_unit(low, unit)) " to " (format::in_unit(high, unit)) ", n " (format::count(point.n)) }
        }
    }
}
