//! Which of several things no other beats in everything: the Pareto front. Pure.

/// The places of those that are on the front, where less is better in each of the `N` figures, in their order. One is
/// off it if another is as good in all figures and better in one; of such that are the same all are on it. What has a
/// figure that is no number is never on it.
pub fn front<const N: usize>(points: &[[f64; N]]) -> Vec<usize> {
    let beats = |one: &[f64; N], other: &[f64; N]| {
        let pairs = || one.iter().zip(other);
        pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
    };
    let known = |point: &[f64; N]| point.iter().all(|figure| !figure.is_nan());
    // By the first figure, what beats a point stands before it, so each is compared with the front so far alone.
    let mut order: Vec<usize> = (0..points.len()).filter(|at| known(&points[*at])).collect();
    order.sort_by(|a, b| {
        let figures = points[*a].iter().zip(&points[*b]);
        let mut orders = figures.map(|(a, b)| a.total_cmp(b));
        orders
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut front: Vec<usize> = Vec::new();
    for at in order {
        if !front.iter().any(|kept| beats(&points[*kept], &points[at])) {
            front.push(at);
        }
    }
    front.sort_unstable();
    front
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_another_beats_is_off_the_front() {
        let points = [
            [1.0, 5.0],
            [2.0, 4.0],
            [2.0, 5.0],
            [1.0, 5.0],
            [0.5, f64::NAN],
            [3.0, 4.0],
        ];
        assert_eq!(front(&points), [0, 1, 3]);
        assert_eq!(front::<2>(&[]), Vec::<usize>::new());
    }

    fn points() -> impl Strategy<Value = Vec<[f64; 3]>> {
        let figure = (0..6_i32).prop_map(f64::from);
        prop::collection::vec([figure.clone(), figure.clone(), figure], 0..40)
    }

    proptest! {
        #[test]
        fn the_front_is_what_nothing_beats(points in points()) {
            let on = front(&points);
            for (i, one) in points.iter().enumerate() {
                let beaten = points.iter().any(|other| {
                    let pairs = || other.iter().zip(one);
                    pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
                });
                prop_assert_eq!(on.contains(&i), !beaten);
            }
        }
    }
}
