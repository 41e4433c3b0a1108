//! Who and what is in the story: sites, meters, the model, the fog.
//!
//! Called by every other part of the demo. Facts only.

/// A site of the story.
pub(super) struct Site {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether fog creeps over its lenses.
    pub(super) foggy: bool,
}

/// The sites: two near the water, two that stay clear and show that it was the fog.
pub(super) const SITES: [Site; 4] = [
    Site {
        name: "harbour",
        foggy: true,
    },
    Site {
        name: "hillside",
        foggy: false,
    },
    Site {
        name: "riverside",
        foggy: true,
    },
    Site {
        name: "station",
        foggy: false,
    },
];

/// Meters at each site.
const METERS: usize = 3;

/// The model that reads digits.
pub(super) const MODEL: &str = "digit-reader";

/// The slot that it serves in.
pub(super) const SLOT: &str = "digit-reader";

/// How thick the fog gets.
pub(super) const FOG: f64 = 0.6;

/// One meter with a camera and an agent.
#[derive(Debug, Clone)]
pub(super) struct Device {
    /// Its id.
    pub(super) name: String,
    /// Where it is.
    pub(super) site: &'static str,
}

/// All meters of the story.
pub(super) fn devices() -> Vec<Device> {
    let sites = SITES.iter().flat_map(|site| [site.name; METERS]);
    let numbered = (1..).zip(sites);
    numbered
        .map(|(n, site)| Device {
            name: format!("meter-{n:02}"),
            site,
        })
        .collect()
}

/// The sites where fog comes.
pub(super) fn foggy() -> Vec<&'static str> {
    SITES
        .iter()
        .filter(|site| site.foggy)
        .map(|site| site.name)
        .collect()
}
