//! Intervals whose unit is the device.
//!
//! A thousand inferences of one device say little more than ten: they saw the same place with the same sensor. What an
//! interval has to allow for is that other devices might have been there, so devices are left out one at a time.

use super::distance::{CountsError, Distance, Effect, distance, total};
use crate::{drift::tail::student_quantile, interval::Z_95};

/// The distance of all devices together from the reference, with a 95 % interval in which the device is the unit;
/// `None` with fewer than three devices that counted anything, which say nothing of how devices differ.
///
/// Source: the delete-one jackknife of J. Tukey, 1958, with Student's quantile for few devices.
pub fn by_device(
    kind: Distance,
    reference: &[u64],
    devices: &[&[u64]],
) -> Result<Option<Effect>, CountsError> {
    let mut all = vec![0_u64; reference.len()];
    for device in devices {
        if device.len() != reference.len() {
            return Err(CountsError::Lengths {
                reference: reference.len(),
                current: device.len(),
            });
        }
        for (sum, count) in all.iter_mut().zip(*device) {
            *sum = sum.saturating_add(*count);
        }
    }
    let value = distance(kind, reference, &all)?;
    let mut without = Vec::with_capacity(devices.len());
    for device in devices.iter().filter(|device| total(device) > 0) {
        let rest: Vec<u64> = all
            .iter()
            .zip(*device)
            .map(|(a, b)| a.saturating_sub(*b))
            .collect();
        if let Ok(value) = distance(kind, reference, &rest) {
            without.push(value);
        }
    }
    if without.len() < 3 {
        return Ok(None);
    }
    let g = without.len() as f64;
    let mean = without.iter().sum::<f64>() / g;
    let variance = (g - 1.0) / g * without.iter().map(|one| (one - mean).powi(2)).sum::<f64>();
    // Leaving out changes the distance by more than nothing in the mean: that is its bias.
    let bias = (g - 1.0) * (mean - value);
    let half = student_quantile(Z_95, g - 1.0) * variance.sqrt();
    Ok(Some(Effect {
        value,
        low: (value - bias.max(0.0) - half).clamp(0.0, value),
        high: value + half,
        n: total(&all),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_differ_widen_it() {
        let reference = [250, 250, 250, 250];
        let same: Vec<[u64; 4]> = vec![[10, 20, 30, 40]; 8];
        let of = |devices: &[[u64; 4]]| {
            let devices: Vec<&[u64]> = devices.iter().map(<[u64; 4]>::as_slice).collect();
            by_device(Distance::Psi, &reference, &devices)
                .unwrap()
                .unwrap()
        };
        let alike = of(&same);
        assert!(alike.low > 0.1, "{alike:?}");
        let mut differ = same;
        for (turn, device) in differ.iter_mut().enumerate() {
            device.rotate_left(usize::from(turn % 3 == 0) * 2);
        }
        let differ = of(&differ);
        assert!(differ.low < 1e-9, "{differ:?}");
        assert!(differ.high - differ.value > alike.high - alike.value);
        let one: &[u64] = &[1, 1, 1, 1];
        assert_eq!(by_device(Distance::Psi, &reference, &[one, one]), Ok(None));
        assert_eq!(
            by_device(Distance::Psi, &reference, &[]),
            Err(CountsError::Empty)
        );
        assert!(by_device(Distance::Psi, &reference, &[&[1, 2]]).is_err());
    }
}
