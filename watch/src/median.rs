//! The middle of values that do not all count the same.

/// The weighted median; not a number of nothing. Between two where the weight is split evenly.
pub(crate) fn median(values: &mut [(f32, f32)]) -> f32 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * values.iter().map(|(_, weight)| weight).sum::<f32>();
    let mut sum = 0.0;
    for (at, (value, weight)) in values.iter().enumerate() {
        sum += weight;
        if sum > half {
            return *value;
        }
        if sum >= half {
            return values
                .get(at + 1)
                .map_or(*value, |next| f32::midpoint(*value, next.0));
        }
    }
    values.last().map_or(f32::NAN, |last| last.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert!(median(&mut []).is_nan());
        assert!((median(&mut [(3.0, 1.0), (1.0, 1.0), (2.0, 1.0)]) - 2.0).abs() < 1e-6);
        assert!((median(&mut [(3.0, 1.0), (1.0, 1.0)]) - 2.0).abs() < 1e-6);
        assert!((median(&mut [(3.0, 5.0), (1.0, 1.0), (2.0, 1.0)]) - 3.0).abs() < 1e-6);
    }
}
