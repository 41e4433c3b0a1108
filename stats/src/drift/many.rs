//! Which of many: how often wrong ones are named is kept small, whatever they have to do with each other.

/// The claims that are refuted at a false discovery rate of `alpha`, by index, the strongest evidence first. `ln` are
/// natural logarithms of e-values; what is no number is none.
///
/// Source: R. Wang and A. Ramdas, "False discovery rate control with e-values", JRSS B 84(3), 2022 (e-BH): the k
/// largest are named, for the largest k of which the smallest is K/(αk) or more. Unlike with p-values, no assumption
/// on how they depend.
pub fn discoveries(ln: &[f64], alpha: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ln.len()).filter(|at| !ln[*at].is_nan()).collect();
    order.sort_by(|a, b| ln[*b].total_cmp(&ln[*a]).then(a.cmp(b)));
    let whole = ln.len() as f64;
    let enough = |rank: usize, at: usize| ln[at] >= (whole / (alpha * (rank + 1) as f64)).ln();
    let named = order
        .iter()
        .enumerate()
        .rev()
        .find(|(rank, at)| enough(*rank, **at));
    order.truncate(named.map_or(0, |(rank, _)| rank + 1));
    order
}

/// The claims that are refuted while the chance that any of them is true stays below `alpha`, by index, the smallest
/// p-value first. What is no number is not refuted.
///
/// Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2),
/// 1979: the smallest is held against α/K, the next against α/(K−1), until one is not small enough. No assumption on
/// how they depend.
pub fn refuted(p: &[f64], alpha: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).filter(|at| !p[*at].is_nan()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]).then(a.cmp(b)));
    let small = |rank: usize, at: usize| p[at] <= alpha / (p.len() - rank) as f64;
    let named = order
        .iter()
        .enumerate()
        .take_while(|(rank, at)| small(*rank, **at));
    let named = named.count();
    order.truncate(named);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_are_named_first_and_help_each_other() {
        let e = [1.0_f64, 45.0, 0.1, 100.0, f64::NAN].map(f64::ln);
        // 5/(0.05·1) = 100, 5/(0.05·2) = 50.
        assert_eq!(discoveries(&e, 0.05), [3]);
        let e = [1.0_f64, 51.0, 0.1, 60.0, 2.0].map(f64::ln);
        assert_eq!(discoveries(&e, 0.05), [3, 1]);
        assert!(discoveries(&[], 0.05).is_empty());
        assert!(discoveries(&[0.0, 0.0], 0.0).is_empty());
    }

    #[test]
    fn the_next_one_is_held_against_less() {
        assert_eq!(refuted(&[0.04, 0.01, 0.03, f64::NAN], 0.05), [1]);
        // 0.05/4, 0.05/3, 0.05/2, 0.05.
        assert_eq!(refuted(&[0.016, 0.012, 0.024, 0.05], 0.05), [1, 0, 2, 3]);
        assert!(refuted(&[], 0.05).is_empty());
        assert!(refuted(&[f64::NAN], 1.0).is_empty());
    }
}
