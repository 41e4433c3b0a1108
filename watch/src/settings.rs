//! What an operator may set, and why it is what it is if nobody does.

use crate::column::Kind;

/// How carefully a model is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Years that lie between two false alarms in the mean, over the whole fleet and all that is watched of this
    /// model. One: somebody who watches ten models is woken for nothing about once in five weeks at most.
    pub years: f64,
    /// The least effect that matters, by kind of what is watched. Below it there is no alarm, however certain.
    pub matters: Matters,
    /// Days of a site that are learned from before anything is said of it. Seven, so that it has been every weekday.
    pub learn_days: u16,
    /// Days during which what a device does is held to be what its new version does. Fourteen: two of every weekday.
    pub young_days: u16,
    /// Devices of a site that have to report for one of them to be called unlike the others. Of two, nobody can say
    /// which one is wrong.
    pub peers: usize,
}

/// The least effects that matter; each is a difference of two numbers from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matters {
    /// Of the chance that a value is larger than one from before, which is a half where nothing moved; and of their
    /// spread. 0.06 is a shift by a fifth of a standard deviation, or a PSI of about 0.05.
    pub input: f64,
    /// Of the share of values that are missing or stuck.
    pub quality: f64,
    /// Of the share of a predicted class.
    pub prediction: f64,
    /// Of the mean confidence.
    pub confidence: f64,
    /// Of the share of requests that got an error.
    pub errors: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            years: 1.0,
            matters: Matters {
                input: 0.06,
                quality: 0.05,
                prediction: 0.05,
                confidence: 0.04,
                errors: 0.02,
            },
            learn_days: 7,
            young_days: 14,
            peers: 3,
        }
    }
}

impl Matters {
    /// That of a kind.
    pub fn of(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Input => self.input,
            Kind::Quality => self.quality,
            Kind::Prediction => self.prediction,
            Kind::Confidence => self.confidence,
            Kind::Errors => self.errors,
        }
    }
}
