//! The interval that a model predicts beside its number.
//!
//! Called by the agent, which keeps its ends for feedback, and by the hub, which knows from it how often it promises to
//! hold. A convention of names, so that no manifest has to say more: an output named `qNN` or `qNNN` (`q05`, `q95`,
//! `q025`) is that quantile of the first output, in hundredths or thousandths. Must never break: outputs that are named
//! otherwise mean nothing here.

use crate::tensor::TensorSpec;

/// The outputs that are the ends of a predicted interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// Place of the lower end among the outputs.
    pub low: usize,
    /// Place of the upper end.
    pub high: usize,
    /// Share of truths that it promises to hold.
    pub share: f64,
}

/// The widest interval that outputs promise: of the lowest quantile under one half, and the highest over it.
pub fn ends(outputs: &[TensorSpec]) -> Option<Ends> {
    let named = |(place, output): (usize, &TensorSpec)| Some((place, quantile(&output.name)?));
    let all = || outputs.iter().enumerate().filter_map(named);
    let by = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
    let (low, from) = all().min_by(by).filter(|(_, at)| *at < 0.5)?;
    let (high, to) = all().max_by(by).filter(|(_, at)| *at > 0.5)?;
    Some(Ends {
        low,
        high,
        share: to - from,
    })
}

/// The quantile that an output is by its name, over 0 and under 1.
fn quantile(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('q')?;
    let whole = match digits.len() {
        2 => 100.0,
        3 => 1000.0,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u16 = digits.parse().ok()?;
    (number > 0).then(|| f64::from(number) / whole)
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;
    use crate::tensor::Dtype;

    fn outputs(names: &[&str]) -> Vec<TensorSpec> {
        let spec = |name: &&str| TensorSpec {
            name: (*name).into(),
            dtype: Dtype::F32,
            shape: vec![-1, 1],
        };
        names.iter().map(spec).collect()
    }

    #[test]
    fn the_widest_interval_is_found_by_names() {
        let found = ends(&outputs(&["level", "q90", "q25", "q025", "q50"])).expect("two ends");
        assert_eq!((found.low, found.high), (3, 1));
        assert!((found.share - 0.875).abs() < 1e-12);
    }

    #[test]
    fn other_names_promise_nothing() {
        for names in [
            &["level"][..],
            &["q05"],
            &["q05", "q10"],
            &["q60", "q90"],
            &["q5", "q9"],
            &["q00", "quality"],
            &["q-1", "q+9"],
        ] {
            assert_eq!(ends(&outputs(names)), None, "{names:?}");
        }
    }
}
