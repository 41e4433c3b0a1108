//! Where something comes from, and what became of it: a drawing from left to right, and the same as a table.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tern_protocol::rest::{LineageNode, LineageOf, LineageView, LineageWay};

use crate::dashboard::{
    layout::{self, Frame, Room},
    parts,
    scope::{Scope, query},
};

/// Size of a box, and the room between two, in units of the drawing.
const WIDTH: i64 = 190;
const HEIGHT: i64 = 44;
const GAP_X: i64 = 56;
const GAP_Y: i64 = 14;

/// Letters of a line in a box.
const LETTERS: usize = 27;

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, view: &LineageView, way: LineageWay) -> Markup {
    let scope = frame.scope;
    let ways = [
        (LineageWay::Both, "Both directions"),
        (LineageWay::Back, "Upstream: sources"),
        (LineageWay::Forward, "Downstream: results"),
    ];
    let ways = ways.map(|(one, name)| (link(scope, &view.of, one), name, one == way));
    let main = html! {
        (layout::heading(&html! { "Lineage of " (view.of.kind()) " " (view.of.name()) }, &html! {
            @match itself(scope, &view.of) { Some(page) => { a href=(page) { "Open its page" } }, None => {} }
        }, &html! {}))
        (layout::tabs("Direction", ways))
        @if view.cut {
            p.dim { "This is too large to be shown whole. Choose one of the outer boxes to go on from there." }
        }
        section.card aria-labelledby="drawn-title" {
            h2 #drawn-title { "Graph" }
            @if view.nodes.len() > 1 {
                div.lineage tabindex="0" role="region" aria-label="Graph, from sources on the left to results on the right; the table below says the same" { (drawing(scope, view)) }
            } @else {
                (parts::empty(&html! { "No sources are recorded, and nothing was made from it yet." }))
            }
        }
        section aria-labelledby="table-title" {
            h2.apart #table-title { "Links" }
            div.card.flush { (table(scope, view)) }
        }
    };
    layout::page(frame, room(&view.of), "Lineage", &main)
}

/// The way to the lineage of something.
pub(in crate::dashboard) fn path(scope: &Scope, of: &LineageOf) -> String {
    link(scope, of, LineageWay::Both)
}

/// The way there, as a fact of the thing's own page.
pub(in crate::dashboard) fn fact(scope: &Scope, of: &LineageOf) -> Markup {
    let link = html! { a href=(path(scope, of)) { "sources and results" } };
    parts::fact("Lineage", &link)
}

fn link(scope: &Scope, of: &LineageOf, way: LineageWay) -> String {
    let of = of.to_string();
    let way = (way != LineageWay::Both).then(|| way.word());
    scope.page(&format!(
        "/lineage{}",
        query(&[("of", Some(&of)), ("way", way)])
    ))
}

/// The page of the thing itself, if it has one.
fn itself(scope: &Scope, of: &LineageOf) -> Option<String> {
    let path = match of {
        LineageOf::Version(model, version) => format!("/models/{model}#v{version}"),
        LineageOf::Run(id) => format!("/runs/{id}"),
        LineageOf::Job(id) => format!("/jobs/{id}"),
        LineageOf::Dataset(..) => format!("/datasets/{}", of.name()),
        LineageOf::Rollout(id) => format!("/rollouts/{id}"),
        LineageOf::Device(id) => format!("/devices/{id}"),
        LineageOf::Round(model, _) => format!("/retraining/{model}"),
        _ => return None,
    };
    Some(scope.page(&path))
}

const fn room(of: &LineageOf) -> Room {
    match of {
        LineageOf::Version(..) | LineageOf::Prediction(..) => Room::Models,
        LineageOf::Run(_) | LineageOf::Code(_) => Room::Experiments,
        LineageOf::Job(_) => Room::Jobs,
        LineageOf::Dataset(..) | LineageOf::Captures(..) | LineageOf::Labels(..) => Room::Datasets,
        LineageOf::Round(..) => Room::Retraining,
        LineageOf::Rollout(_) => Room::Rollouts,
        LineageOf::Device(_) => Room::Devices,
        LineageOf::Person(_) => Room::Access,
    }
}

/// Where each box is: columns by how far away it is, each from the top.
fn places(view: &LineageView) -> (BTreeMap<&LineageOf, (i64, i64)>, i64, i64) {
    let first = view.nodes.iter().map(|node| node.step).min().unwrap_or(0);
    let mut filled: BTreeMap<i64, i64> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for node in &view.nodes {
        let row = filled.entry(node.step).or_insert(0);
        let x = (node.step - first) * (WIDTH + GAP_X);
        places.insert(&node.of, (x, *row * (HEIGHT + GAP_Y)));
        *row += 1;
    }
    let columns = view
        .nodes
        .iter()
        .map(|node| node.step - first + 1)
        .max()
        .unwrap_or(1);
    let rows = filled.values().max().copied().unwrap_or(1);
    (
        places,
        columns * (WIDTH + GAP_X) - GAP_X,
        rows * (HEIGHT + GAP_Y) - GAP_Y,
    )
}

fn drawing(scope: &Scope, view: &LineageView) -> Markup {
    let (places, width, height) = places(view);
    html! {
        svg viewBox={ "-2 -2 " (width + 4) " " (height + 4) } width=(width + 4) height=(height + 4) role="group" {
            g.ties {
                @for edge in &view.edges {
                    @if let (Some(from), Some(to)) = (places.get(&edge.from), places.get(&edge.to)) {
                        path d=(tie(*from, *to)) { title { (edge.from.to_string()) " → " (edge.to.to_string()) ": " (edge.how) } }
                    }
                }
            }
            @for node in &view.nodes {
                @if let Some(place) = places.get(&node.of) { (a_box(scope, view, node, *place)) }
            }
        }
    }
}

/// A line from the right of one box to the left of another; of boxes in one column from side to side.
fn tie((x1, y1): (i64, i64), (x2, y2): (i64, i64)) -> String {
    let (a, b) = (y1 + HEIGHT / 2, y2 + HEIGHT / 2);
    if x1 < x2 {
        let half = GAP_X / 2;
        let (from, to) = (x1 + WIDTH, x2);
        format!("M{from} {a}C{} {a} {} {b} {to} {b}", from + half, to - half)
    } else {
        let (from, to) = (x1, x2 + WIDTH);
        let (from, to) = if x1 == x2 {
            (x1 + WIDTH, to)
        } else {
            (from, to)
        };
        format!(
            "M{from} {a}C{} {a} {} {b} {to} {b}",
            from + GAP_X / 2,
            to + GAP_X / 2
        )
    }
}

fn a_box(scope: &Scope, view: &LineageView, node: &LineageNode, (x, y): (i64, i64)) -> Markup {
    let asked = node.of == view.of;
    let name = cut(&node.of.name());
    let mut below: Vec<String> = node.facts.clone();
    if node.more > 0 {
        below.push(format!("{} more", node.more));
    }
    html! {
        a href=(path(scope, &node.of)) class={ "thing " (node.of.kind()) @if asked { " asked" } } {
            title { (node.of.to_string()) @for fact in &below { ", " (fact) } }
            rect x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="6" {}
            text x=(x + 10) y=(y + 18) { tspan.kind { (node.of.kind()) " " } (name) }
            text.below x=(x + 10) y=(y + 35) { (cut(&below.join(", "))) }
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LETTERS {
        return text.to_owned();
    }
    text.chars().take(LETTERS - 1).chain(['…']).collect()
}

fn table(scope: &Scope, view: &LineageView) -> Markup {
    let named = |of: &LineageOf| {
        html! {
            a href=(path(scope, of)) { (of.kind()) " " b { (of.name()) } }
            @if let Some(page) = itself(scope, of) { " " a.dim href=(page) { "open" } }
        }
    };
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "From" }
                th scope="col" { "To" }
                th scope="col" { "Relation" }
                th scope="col" { "Details of the target" }
            } }
            tbody {
                @for edge in &view.edges {
                    @let node = view.nodes.iter().find(|node| node.of == edge.to);
                    tr {
                        td data-name="From" { span { (named(&edge.from)) } }
                        td data-name="To" { span { (named(&edge.to)) } }
                        td data-name="Relation" { (edge.how) }
                        td data-name="Details" { span.text {
                            @if let Some(node) = node {
                                (node.facts.join(", "))
                                @if let Some(at) = node.at { " " span.dim { (parts::ago(at)) } }
                                @if node.more > 0 { " " span.dim { "and " (node.more) " more links" } }
                            }
                        } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_of_one_column_do_not_lie_on_each_other_and_ties_go_from_left_to_right() {
        let of = |id| LineageOf::Job(id);
        let node = |id, step| LineageNode {
            of: of(id),
            facts: Vec::new(),
            at: None,
            step,
            more: 0,
            more_back: 0,
        };
        let view = LineageView {
            of: of(1),
            nodes: vec![node(1, 0), node(2, -1), node(3, -1), node(4, 1)],
            edges: Vec::new(),
            cut: false,
        };
        let (places, width, height) = places(&view);
        assert_eq!(places[&of(2)], (0, 0));
        assert_eq!(places[&of(3)], (0, HEIGHT + GAP_Y));
        assert_eq!(places[&of(1)].0, WIDTH + GAP_X);
        assert_eq!(places[&of(4)].0, 2 * (WIDTH + GAP_X));
        assert_eq!((width, height), (3 * WIDTH + 2 * GAP_X, 2 * HEIGHT + GAP_Y));
        assert!(tie((0, 0), (WIDTH + GAP_X, 0)).starts_with(&format!("M{WIDTH} ")));
    }

    #[test]
    fn long_names_are_cut_in_the_drawing() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(40)).chars().count(), LETTERS);
    }
}
