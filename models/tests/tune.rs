//! scratch
use tern_models::{corruption::Corruption, frames::{Images, Walk}, data::{self, Part}, train::{Config, evaluate, train}};
#[test]
fn tune() {
    let data = data::load().unwrap();
    let (base, validation, field) = (data.part(Part::Train), data.part(Part::Validation), data.part(Part::Field));
    let late = Walk::new(Images::Late.of(&field), 2).unwrap();
    for (epochs, lr) in [(60, 5e-3), (30, 2e-3), (40, 3e-3), (8, 0.01)] {
        for seed in 1..4 {
            let c = Config { seed, epochs, learning_rate: lr, ..Config::default() };
            let v1 = train(&c, &base, &[], &validation, |_| ()).unwrap();
            let mut line = format!("{epochs} {lr} {seed} val {:.3}:", v1.validation.accuracy);
            for fog in [0.0, 0.5, 0.6, 0.65, 0.7] {
                let f = late.frames(2 * late.round(), &Corruption { fog, ..Corruption::NONE });
                let e = evaluate(&v1.mlp, &f).unwrap();
                line += &format!(" {fog} {:.3} unsure {:.2}", e.accuracy, e.confidence[..14].iter().sum::<u64>() as f64 / e.images as f64);
            }
            eprintln!("{line}");
        }
    }
}
