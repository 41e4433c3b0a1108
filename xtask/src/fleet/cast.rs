//! Who and what is in a fleet: sites, meters, the model, the fog.
//!
//! Called by every other part. Facts only.

/// A site.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Its name.
    pub name: &'static str,
    /// Whether fog creeps over its lenses.
    pub foggy: bool,
}

/// The sites: two near the water, two that stay clear and show that it was the fog.
pub const SITES: [Site; 4] = [
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

/// The model that reads digits.
pub const MODEL: &str = "digit-reader";

/// The slot that it serves in.
pub const SLOT: &str = "digit-reader";

/// The dataset that its first version learns from; the first version of that, too.
pub const DATASET: &str = "digits";

/// How thick the fog gets.
pub const FOG: f64 = 0.6;

/// One meter with a camera and an agent.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its id.
    pub name: String,
    /// Where it is.
    pub site: &'static str,
}

/// So many meters at each site.
pub fn devices(at_each: usize) -> Vec<Device> {
    let sites = SITES.iter().flat_map(|site| vec![site.name; at_each]);
    let numbered = (1..).zip(sites);
    numbered
        .map(|(n, site)| Device {
            name: format!("meter-{n:02}"),
            site,
        })
        .collect()
}

/// The sites where fog comes.
pub fn foggy() -> Vec<&'static str> {
    SITES
        .iter()
        .filter(|site| site.foggy)
        .map(|site| site.name)
        .collect()
}
