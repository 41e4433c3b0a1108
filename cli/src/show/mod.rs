//! Answers as text for people: pure functions from REST types, the time and the [`Look`].
//!
//! Called by the commands. Must never break: texts that come from devices and hubs are printed
//! without their control characters, so nobody writes to a terminal through us.

pub(crate) mod admission;
pub(crate) mod alert;
pub(crate) mod captures;
pub(crate) mod chart;
pub(crate) mod dataset;
pub(crate) mod delivery;
pub(crate) mod device;
pub(crate) mod distances;
pub(crate) mod evidence;
pub(crate) mod finding;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod lineage;
pub(crate) mod measured;
pub(crate) mod model;
pub(crate) mod notify;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod problem;
pub(crate) mod quarantine;
pub(crate) mod rehearsal;
pub(crate) mod retrain;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod table;
pub(crate) mod truth;
pub(crate) mod words;

/// How text may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// A terminal reads it: tables fit its width. Otherwise each row is one line.
    pub(crate) terminal: bool,
    /// Colour is welcome.
    pub(crate) colour: bool,
}

impl Look {
    /// For whoever reads a pipe or a file.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        terminal: false,
        colour: false,
    };
}

/// What a text means; said by colour where there is colour, and always by words too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// On its way.
    Busy,
    /// Needs a person.
    Bad,
    /// Beside the point.
    Quiet,
    /// A heading.
    Strong,
}

impl Tone {
    /// The text in this tone (ECMA-48 "select graphic rendition").
    pub(crate) fn paint(self, text: &str, look: Look) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => "32",
            Self::Busy => "33",
            Self::Bad => "31",
            Self::Quiet => "2",
            Self::Strong => "1",
        };
        if look.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
