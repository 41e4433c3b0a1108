//! Where something comes from and what became of it, as two trees.

use std::{collections::BTreeSet, fmt::Write as _};

use tern_protocol::{
    rest::{LineageNode, LineageOf, LineageView, LineageWay},
    time::WallTime,
};

use super::words::ago;

/// `tern lineage`.
pub(crate) fn lineage(view: &LineageView, way: LineageWay, now: WallTime) -> String {
    let mut text = String::new();
    let tree = Tree { view, now };
    let _ = writeln!(text, "{}", tree.line(&view.of));
    for (wanted, heading, back) in [
        (way != LineageWay::Forward, "comes from", true),
        (way != LineageWay::Back, "led to", false),
    ] {
        if !wanted {
            continue;
        }
        let _ = writeln!(text, "{heading}");
        let before = text.len();
        let mut told = BTreeSet::from([view.of.clone()]);
        tree.branch(&view.of, back, 1, &mut told, &mut text);
        if text.len() == before {
            text.push_str("  nothing that is known\n");
        }
    }
    if view.cut {
        text.push_str("there is more than one answer holds; ask about what stands last\n");
    }
    text
}

struct Tree<'a> {
    view: &'a LineageView,
    now: WallTime,
}

impl Tree<'_> {
    fn node(&self, of: &LineageOf) -> Option<&LineageNode> {
        self.view.nodes.iter().find(|node| node.of == *of)
    }

    /// What it is, with what is known of it.
    fn line(&self, of: &LineageOf) -> String {
        let mut line = of.to_string();
        let Some(node) = self.node(of) else {
            return line;
        };
        let at = node.at.map(|at| ago(at, self.now));
        let facts: Vec<String> = node.facts.iter().cloned().chain(at).collect();
        if !facts.is_empty() {
            let _ = write!(line, "  ({})", facts.join(", "));
        }
        line
    }

    /// What it comes from, or led to, each once: what stands above already is only named.
    fn branch(
        &self,
        of: &LineageOf,
        back: bool,
        depth: usize,
        told: &mut BTreeSet<LineageOf>,
        text: &mut String,
    ) {
        let indent = "  ".repeat(depth);
        for edge in &self.view.edges {
            let (here, there) = if back {
                (&edge.to, &edge.from)
            } else {
                (&edge.from, &edge.to)
            };
            if here != of || !self.is_that_way(there, back) {
                continue;
            }
            let new = told.insert(there.clone());
            let shown = if new {
                self.line(there)
            } else {
                format!("{there}, as above")
            };
            let _ = writeln!(text, "{indent}{shown}: {}", edge.how);
            if new {
                self.branch(there, back, depth + 1, told, text);
            }
        }
        let more = self.node(of).map_or(0, |node| {
            if back {
                node.more_back
            } else {
                node.more.saturating_sub(node.more_back)
            }
        });
        if more > 0 && told.len() > 1 {
            let _ = writeln!(text, "{indent}and {more} more");
        }
    }

    fn is_that_way(&self, of: &LineageOf, back: bool) -> bool {
        self.node(of).is_some_and(|node| (node.step < 0) == back)
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::rest::LineageEdge;

    use super::*;

    #[test]
    fn both_ways_are_told_and_nothing_twice() {
        let of = |text: &str| text.parse::<LineageOf>().unwrap();
        let node = |text: &str, step| LineageNode {
            of: of(text),
            facts: vec!["known".into()],
            at: None,
            step,
            more: u64::from(step == 0) * 7,
            more_back: u64::from(step == 0) * 3,
        };
        let edge = |from: &str, to: &str, how: &str| LineageEdge {
            from: of(from),
            to: of(to),
            how: how.into(),
        };
        let view = LineageView {
            of: of("version:digits/2"),
            nodes: vec![
                node("version:digits/2", 0),
                node("run:ab", -1),
                node("dataset:digits@1", -1),
                node("rollout:4", 1),
            ],
            edges: vec![
                edge("run:ab", "version:digits/2", "trained it"),
                edge("dataset:digits@1", "run:ab", "was read by it"),
                edge("dataset:digits@1", "version:digits/2", "it was trained on"),
                edge("version:digits/2", "rollout:4", "rolled it out"),
            ],
            cut: false,
        };
        let text = lineage(&view, LineageWay::Both, WallTime(0));
        let want = "version:digits/2  (known)\ncomes from\n  run:ab  (known): trained it\n    dataset:digits@1  (known): \
                    was read by it\n  dataset:digits@1, as above: it was trained on\n  and 3 more\nled to\n  rollout:4  \
                    (known): rolled it out\n  and 4 more\n";
        assert_eq!(text, want);
        let alone = LineageView {
            nodes: vec![node("job:1", 0)],
            of: of("job:1"),
            edges: Vec::new(),
            cut: true,
        };
        let text = lineage(&alone, LineageWay::Back, WallTime(0));
        assert!(
            text.contains("nothing that is known") && text.contains("there is more"),
            "{text}"
        );
        assert!(!text.contains("led to"), "{text}");
    }
}
