//! The walk: what was seen, what is next, where it ends. Pure.

use std::collections::{BTreeMap, VecDeque};

use tern_protocol::rest::{LineageEdge, LineageNode, LineageOf, LineageView};

use super::Neighbours;

/// Things of one answer.
const NODES: usize = 150;

/// Steps from what was asked. A model that was trained anew fifty times has a long past, and each of its versions can be
/// asked about by itself.
const STEPS: i64 = 12;

/// Which way is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Back,
    Forward,
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Graph {
    of: LineageOf,
    direction: Direction,
    nodes: Vec<LineageNode>,
    places: BTreeMap<LineageOf, usize>,
    edges: Vec<LineageEdge>,
    /// What has still to be asked about, and how far away it is.
    waiting: VecDeque<(LineageOf, i64)>,
    cut: bool,
}

impl Graph {
    pub(super) fn new(of: LineageOf) -> Self {
        let mut graph = Self {
            of: of.clone(),
            direction: Direction::Back,
            nodes: Vec::new(),
            places: BTreeMap::new(),
            edges: Vec::new(),
            waiting: VecDeque::new(),
            cut: false,
        };
        graph.put(of, 0);
        graph
    }

    /// Goes this way from what was asked about.
    pub(super) fn begin(&mut self, direction: Direction) {
        self.direction = direction;
        self.waiting.clear();
        self.waiting.push_back((self.of.clone(), 0));
    }

    /// What is to be asked about next.
    pub(super) fn next(&mut self) -> Option<LineageOf> {
        self.waiting.front().map(|(of, _)| of.clone())
    }

    /// Takes what was found beside it.
    pub(super) fn add(&mut self, beside: &LineageOf, found: Neighbours) {
        let Some((_, away)) = self.waiting.pop_front() else {
            return;
        };
        if let Some(place) = self.places.get(beside) {
            let node = &mut self.nodes[*place];
            node.more += found.more;
            if self.direction == Direction::Back {
                node.more_back += found.more;
            }
        }
        for neighbour in found.list {
            let known = self.places.contains_key(&neighbour.of);
            if !known {
                if self.nodes.len() >= NODES {
                    self.cut = true;
                    continue;
                }
                let step = match self.direction {
                    Direction::Back => -(away + 1),
                    Direction::Forward => away + 1,
                };
                self.put(neighbour.of.clone(), step);
                if away + 1 < STEPS {
                    self.waiting.push_back((neighbour.of.clone(), away + 1));
                } else {
                    self.cut = true;
                }
            }
            let (from, to) = match self.direction {
                Direction::Back => (neighbour.of, beside.clone()),
                Direction::Forward => (beside.clone(), neighbour.of),
            };
            let how = neighbour.how;
            let there = |edge: &LineageEdge| edge.from == from && edge.to == to;
            if !self.edges.iter().any(there) {
                self.edges.push(LineageEdge { from, to, how });
            }
        }
    }

    fn put(&mut self, of: LineageOf, step: i64) {
        self.places.insert(of.clone(), self.nodes.len());
        self.nodes.push(LineageNode {
            of,
            facts: Vec::new(),
            at: None,
            step,
            more: 0,
            more_back: 0,
        });
    }

    /// All of it, the nearest first.
    pub(super) fn view(mut self) -> LineageView {
        self.nodes.sort_by_key(|node| (node.step.abs(), node.step));
        LineageView {
            of: self.of,
            nodes: self.nodes,
            edges: self.edges,
            cut: self.cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u64) -> LineageOf {
        LineageOf::Job(id)
    }

    fn to(ids: impl IntoIterator<Item = u64>) -> Neighbours {
        let mut found = Neighbours::default();
        for id in ids {
            found.add(job(id), "led to");
        }
        found
    }

    #[test]
    fn what_comes_from_itself_ends() {
        let mut graph = Graph::new(job(1));
        graph.begin(Direction::Forward);
        let mut asked = Vec::new();
        while let Some(of) = graph.next() {
            asked.push(of.clone());
            let LineageOf::Job(id) = of else {
                panic!("a job")
            };
            graph.add(&of, to([id % 3 + 1, id]));
        }
        assert_eq!(asked, [job(1), job(2), job(3)]);
        let view = graph.view();
        assert!(!view.cut);
        assert_eq!(view.nodes.len(), 3);
        // Each to the next and to itself.
        assert_eq!(view.edges.len(), 6);
    }

    #[test]
    fn both_ways_meet_in_what_was_asked_and_the_nearest_comes_first() {
        let mut graph = Graph::new(job(10));
        for (direction, end) in [(Direction::Back, 8), (Direction::Forward, 12)] {
            graph.begin(direction);
            while let Some(of) = graph.next() {
                let LineageOf::Job(id) = of else {
                    panic!("a job")
                };
                let next = match direction {
                    Direction::Back => id - 1,
                    Direction::Forward => id + 1,
                };
                graph.add(
                    &of,
                    if id == end {
                        Neighbours::default()
                    } else {
                        to([next])
                    },
                );
            }
        }
        let view = graph.view();
        let steps: Vec<_> = view
            .nodes
            .iter()
            .map(|node| (node.of.clone(), node.step))
            .collect();
        let want = [(10, 0), (9, -1), (11, 1), (8, -2), (12, 2)].map(|(id, step)| (job(id), step));
        assert_eq!(steps, want);
        let edges: Vec<_> = view
            .edges
            .iter()
            .map(|edge| (&edge.from, &edge.to))
            .collect();
        assert!(edges.contains(&(&job(9), &job(10))) && edges.contains(&(&job(10), &job(11))));
    }

    #[test]
    fn an_answer_is_bounded_and_says_so() {
        let mut graph = Graph::new(job(0));
        graph.begin(Direction::Forward);
        let mut asked = 0_u64;
        while let Some(of) = graph.next() {
            asked += 1;
            graph.add(&of, to((0..20).map(|n| asked * 20 + n)));
        }
        let view = graph.view();
        assert!(view.cut);
        assert_eq!(view.nodes.len(), NODES);

        let mut chain = Graph::new(job(0));
        chain.begin(Direction::Back);
        while let Some(of) = chain.next() {
            let LineageOf::Job(id) = of else {
                panic!("a job")
            };
            chain.add(&of, to([id + 1]));
        }
        let view = chain.view();
        assert!(view.cut);
        assert_eq!(view.nodes.len() as i64, STEPS + 1);
    }

    #[test]
    fn of_one_thing_so_many_are_listed_and_the_rest_is_counted_once() {
        let mut found = to(0..30);
        assert_eq!((found.list.len(), found.more), (20, 10));
        // Listed, counted, and new.
        for id in [3, 25, 40] {
            found.add(job(id), "led to");
        }
        assert_eq!((found.list.len(), found.more), (20, 11));
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let mut found = Neighbours::default();
        found.add(job(1), "led to");
        found.more = 480;
        let mut before = to([2]);
        before.more = 3;
        let mut graph = Graph::new(job(99));
        graph.begin(Direction::Back);
        graph.add(&job(99), before);
        graph.begin(Direction::Forward);
        graph.add(&job(99), found);
        let view = graph.view();
        let asked = &view.nodes[0];
        assert_eq!((asked.more, asked.more_back), (483, 3));
    }
}
