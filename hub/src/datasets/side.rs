//! Which captures are kept out, to compare on. Pure.
//!
//! All captures of a device are on one side, since what one device sees is alike; of a site that has one device alone the
//! latest are kept out. A device that was kept out once stays so; one that was trained on is taken only where no other is
//! left.

use std::collections::{BTreeMap, HashMap, HashSet};

use tern_protocol::{
    digest::{Digest, Hasher},
    rest::Share,
};

/// Captures of sites that have one device alone are told apart by time: so many of one site at most.
const TIMES: usize = 1_000_000;

/// What is known of a device from earlier versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It was trained on.
    Trained,
    /// It was kept out.
    Kept,
}

/// Counts the captures that have no side yet.
#[derive(Debug, Default)]
pub(super) struct Count {
    sites: BTreeMap<String, Site>,
}

#[derive(Debug, Default)]
struct Site {
    devices: BTreeMap<String, u64>,
    /// Of the first device; of more, nobody needs them.
    times: Vec<i64>,
}

impl Count {
    /// One more.
    pub(super) fn add(&mut self, site: &str, device: &str, at: i64) {
        let site = match self.sites.get_mut(site) {
            Some(site) => site,
            None => self.sites.entry(site.to_owned()).or_default(),
        };
        match site.devices.get_mut(device) {
            Some(count) => *count += 1,
            None => {
                site.devices.insert(device.to_owned(), 1);
            }
        }
        if site.devices.len() > 1 {
            site.times = Vec::new();
        } else if site.times.len() < TIMES {
            site.times.push(at);
        }
    }

    /// Which are kept out.
    pub(super) fn sides(self, name: &str, share: Share, known: &HashMap<String, Known>) -> Sides {
        let mut sides = Sides::default();
        let was_kept = |device: &str| known.get(device) == Some(&Known::Kept);
        for (site, of) in self.sites {
            if share.millionths() == 0 {
                sides
                    .devices
                    .extend(of.devices.into_keys().filter(|device| was_kept(device)));
                continue;
            }
            if of.devices.len() == 1 {
                let device = of.devices.into_keys().next().expect("there is one");
                if was_kept(&device) {
                    sides.devices.insert(device);
                } else if let Some(from) = latest(of.times, share) {
                    sides.latest.insert(site, from);
                }
                continue;
            }
            let all: u64 = of.devices.values().sum();
            let wanted = share.of(all);
            let (mut kept, mut left) = (0, of.devices.len());
            let mut order: Vec<(u8, Digest, &String, u64)> = of
                .devices
                .iter()
                .map(|(device, count)| {
                    let rank = match known.get(device) {
                        Some(Known::Kept) => 0,
                        None => 1,
                        Some(Known::Trained) => 2,
                    };
                    (rank, hash(name, device), device, *count)
                })
                .collect();
            order.sort_unstable();
            for (rank, _, device, count) in order {
                // One is trained on, unless all were kept out before.
                let more = kept < wanted && left > 1;
                if rank == 0 || more {
                    sides.devices.insert(device.clone());
                    kept += count;
                    left -= 1;
                }
            }
        }
        sides
    }
}

fn hash(name: &str, device: &str) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(format!("tern-keep-out-1\n{name}\n{device}").as_bytes());
    hasher.finish()
}

/// From when on captures of a site's only device are kept out; never all of them.
fn latest(mut times: Vec<i64>, share: Share) -> Option<i64> {
    times.sort_unstable();
    let kept = usize::try_from(share.of(times.len() as u64)).unwrap_or(usize::MAX);
    let from = *times.get(times.len().checked_sub(kept)?)?;
    // All of one moment are on one side.
    (times.first() < Some(&from)).then_some(from)
}

/// What is kept out of the captures that had no side.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    devices: HashSet<String>,
    latest: HashMap<String, i64>,
}

impl Sides {
    /// Whether a capture is.
    pub(super) fn keep_out(&self, site: &str, device: &str, at: i64) -> bool {
        self.devices.contains(device) || self.latest.get(site).is_some_and(|from| at >= *from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sites: &[(&str, &[(&str, u64)])]) -> Count {
        let mut count = Count::default();
        for (site, devices) in sites {
            for (device, captures) in *devices {
                for at in 0..*captures {
                    count.add(site, device, at as i64);
                }
            }
        }
        count
    }

    fn kept(sides: &Sides) -> Vec<&str> {
        let mut kept: Vec<&str> = sides.devices.iter().map(String::as_str).collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn each_site_keeps_some_device_out_and_some_in() {
        let fleet: &[(&str, u64)] = &[("a", 10), ("b", 10), ("c", 10), ("d", 10), ("e", 10)];
        let sides = of(&[("north", fleet), ("south", &[("x", 5), ("y", 50)])]).sides(
            "digits",
            Share::percent(20),
            &HashMap::new(),
        );
        let kept = kept(&sides);
        assert_eq!(kept.iter().filter(|d| ["x", "y"].contains(d)).count(), 1);
        assert_eq!(kept.len(), 2, "{kept:?}");
        let again = of(&[("north", fleet), ("south", &[("x", 5), ("y", 50)])]).sides(
            "digits",
            Share::percent(20),
            &HashMap::new(),
        );
        assert_eq!(sides, again);
    }

    #[test]
    fn of_a_device_alone_the_latest_are_kept_out() {
        let sides =
            of(&[("north", &[("a", 10)])]).sides("digits", Share::percent(25), &HashMap::new());
        let kept = (0..10).filter(|at| sides.keep_out("north", "a", *at));
        assert_eq!(kept.collect::<Vec<_>>(), [7, 8, 9]);
        assert!(!sides.keep_out("south", "b", 9));
        // One capture is not both trained on and compared on.
        let one =
            of(&[("north", &[("a", 1)])]).sides("digits", Share::percent(25), &HashMap::new());
        assert!(!one.keep_out("north", "a", 0));
    }

    #[test]
    fn who_was_kept_out_stays_so_and_who_was_trained_on_comes_last() {
        let fleet: &[(&str, u64)] = &[("a", 10), ("b", 10), ("c", 10), ("d", 10)];
        let known: HashMap<String, Known> = [
            ("a".to_owned(), Known::Trained),
            ("b".to_owned(), Known::Trained),
            ("c".to_owned(), Known::Trained),
        ]
        .into();
        let sides = of(&[("north", fleet)]).sides("digits", Share::percent(20), &known);
        assert_eq!(kept(&sides), ["d"]);
        let known = [("b".to_owned(), Known::Kept)].into();
        let sides = of(&[("north", fleet)]).sides("digits", Share::percent(0), &known);
        assert_eq!(kept(&sides), ["b"]);
        // A second device that joins does not bring back the first.
        let known = [("a".to_owned(), Known::Kept)].into();
        let sides =
            of(&[("north", &[("a", 10), ("z", 90)])]).sides("digits", Share::percent(10), &known);
        assert_eq!(kept(&sides), ["a"]);
    }
}
