//! Whether two versions said the same. Pure.

use tern_protocol::{shadow::agree, tensor::Tensor};

/// What a version said, as far as it is compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The class of each row.
    Classes(Vec<u32>),
    /// The outputs, of a model that is no classifier.
    Outputs(Vec<Tensor>),
}

impl Answer {
    /// Its bytes, for the bound of a queue.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len() * size_of::<u32>(),
            Self::Outputs(outputs) => outputs.iter().map(|tensor| tensor.data.len()).sum(),
        }
    }
}

/// Which class of one version is which of another: they may be in another order, or be others.
pub fn same_classes(live: &[String], candidate: &[String]) -> Vec<Option<u32>> {
    let place = |name: &String| candidate.iter().position(|known| known == name);
    let place = |name| place(name).and_then(|place| u32::try_from(place).ok());
    live.iter().map(place).collect()
}

/// Which of `rows` rows both answered alike. `classes`: what [`same_classes`] gave. Answers of different form differ in
/// all rows.
pub fn alike(
    live: &Answer,
    candidate: &Answer,
    rows: usize,
    classes: &[Option<u32>],
    tolerance: f32,
) -> Vec<bool> {
    match (live, candidate) {
        (Answer::Classes(live), Answer::Classes(candidate))
            if live.len() == rows && candidate.len() == rows =>
        {
            let same = |(live, candidate): (&u32, &u32)| {
                classes.get(*live as usize) == Some(&Some(*candidate))
            };
            live.iter().zip(candidate).map(same).collect()
        }
        (Answer::Outputs(live), Answer::Outputs(candidate)) => {
            let same = same_outputs(live, candidate, rows, tolerance);
            same.unwrap_or_else(|| vec![false; rows])
        }
        _ => vec![false; rows],
    }
}

/// `None` if they cannot be compared.
fn same_outputs(
    live: &[Tensor],
    candidate: &[Tensor],
    rows: usize,
    tolerance: f32,
) -> Option<Vec<bool>> {
    if live.len() != candidate.len() || rows == 0 {
        return None;
    }
    let mut same = vec![true; rows];
    for (live, candidate) in live.iter().zip(candidate) {
        let (live, candidate) = (live.to_f32()?, candidate.to_f32()?);
        if live.len() != candidate.len() || !live.len().is_multiple_of(rows) {
            return None;
        }
        let width = (live.len() / rows).max(1);
        let pairs = live.chunks(width).zip(candidate.chunks(width));
        for (same, (live, candidate)) in same.iter_mut().zip(pairs) {
            let mut elements = live.iter().zip(candidate);
            *same &= elements.all(|(live, candidate)| agree(*live, *candidate, tolerance));
        }
    }
    Some(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn classes_are_the_same_by_name_and_not_by_place() {
        let same = same_classes(&names(&["cat", "dog", "cow"]), &names(&["dog", "cat"]));
        assert_eq!(same, [Some(1), Some(0), None]);
        let said = |classes: &[u32]| Answer::Classes(classes.to_vec());
        let agreed = |live: &[u32], candidate: &[u32]| {
            let alike = alike(&said(live), &said(candidate), live.len(), &same, 0.0);
            alike.into_iter().filter(|same| *same).count()
        };
        assert_eq!(agreed(&[0, 1, 2], &[1, 0, 1]), 2);
        assert_eq!(agreed(&[0, 0], &[0, 1]), 1);
        assert_eq!(agreed(&[0, 0], &[1]), 0, "rows are missing");
        assert_eq!(agreed(&[9], &[0]), 0, "no class of the manifest");
    }

    #[test]
    fn outputs_are_the_same_row_by_row_within_the_tolerance() {
        let said = |values: &[f32]| {
            let other = Tensor::from_f32(&[2, 1], &[1.0, 1.0]);
            Answer::Outputs(vec![Tensor::from_f32(&[2, 2], values), other])
        };
        let live = said(&[1.0, 100.0, 0.0, -5.0]);
        let agreed = |candidate| {
            let alike = alike(&live, &candidate, 2, &[], 0.01);
            alike.into_iter().filter(|same| *same).count()
        };
        assert_eq!(agreed(said(&[1.0, 100.5, 0.005, -5.0])), 2);
        assert_eq!(agreed(said(&[1.0, 102.0, 0.0, -5.0])), 1);
        assert_eq!(agreed(said(&[1.0, f32::NAN, 0.0, 5.0])), 0);
        let short = Answer::Outputs(vec![Tensor::from_f32(&[2, 2], &[1.0; 4])]);
        assert_eq!(agreed(short), 0);
        let wide = Answer::Outputs(vec![Tensor::from_f32(&[2, 3], &[1.0; 6]); 2]);
        assert_eq!(agreed(wide), 0);
        assert_eq!(
            agreed(Answer::Classes(vec![0, 0])),
            0,
            "another kind of model"
        );
    }
}
