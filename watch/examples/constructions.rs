//! Ways to turn daily deviations of one stream into evidence, side by side: which keeps its promise, and how soon a
//! shift is found. `cargo run --release -p tern-watch --example constructions -- STREAMS`.
//!
//! Deviations have weather: 0.7 of a day is left on the next. Innovations are normal, or have heavy tails (t with four
//! degrees). Forty days are learned from, as one site would have to alone. All promise one false alarm in 20,000 days.

use tern_stats::{
    chance::Chance,
    drift::{
        bets::ln_student,
        conformal::{ln_power, p_value},
        detector::{Cusum, ShiryaevRoberts, threshold},
    },
};

const STAYS: f64 = 0.7;
const LEARNED: usize = 40;
const DAYS: usize = 120;
const SHIFTS: [f64; 3] = [0.7, 2.0, 6.0];
/// What matters, in standard deviations of days.
const MATTERS: f64 = 1.0;
const PROMISE: f64 = 20_000.0;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// What the day before left is taken off, Student's t, Shiryaev and Roberts.
    Engine,
    /// That, and what the engine asks for besides: half of what matters and what may be
    /// wrong of what is usual are borne, and the effect has to be above what
    /// matters, which is 1 here, by more than its interval, in which what is usual was learned too.
    Gated,
    /// The same with Page's maximum.
    Page,
    /// The same with normal tails.
    Normal,
    /// Deviations as they are, as if days were independent.
    Raw,
    /// As they are, with a scale that is widened for their dependence.
    Widened,
    /// Ranks among the days learned from.
    Conformal,
}

const WAYS: [(Way, &str); 7] = [
    (
        Way::Gated,
        "innovations, Student's t, sum, and an effect that matters (the engine)",
    ),
    (Way::Engine, "innovations, Student's t, sum"),
    (Way::Page, "innovations, Student's t, maximum"),
    (Way::Normal, "innovations, normal, sum"),
    (Way::Raw, "deviations as they are, Student's t, sum"),
    (Way::Widened, "deviations, widened scale, Student's t, sum"),
    (Way::Conformal, "conformal ranks, power bets, sum"),
];

fn main() {
    let streams = std::env::args()
        .nth(1)
        .and_then(|arg| arg.parse::<u32>().ok())
        .unwrap_or(4_000);
    println!(
        "| construction | false alarms in 20,000 days: normal | heavy tails | found of a jump by 2, days | by 4, days | by 6, days | of a drift by 6 in 20 days, days |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (way, name) in WAYS {
        let wrong = |heavy| {
            let found = (0..streams).map(|seed| alarm(way, seed, heavy, |_| 0.0));
            let (mut alarms, mut days) = (0.0, 0.0);
            for found in found {
                alarms += f64::from(u8::from(found.is_some()));
                days += found.unwrap_or(DAYS) as f64;
            }
            alarms * PROMISE / days
        };
        let found = |shift: fn(usize) -> f64| {
            let mut delays: Vec<usize> = (0..streams / 4)
                .filter_map(|seed| alarm(way, seed + 1_000_000, true, shift))
                .collect();
            delays.sort_unstable();
            let share = 100.0 * delays.len() as f64 / f64::from(streams / 4);
            format!(
                "{share:.0} %, {}",
                delays
                    .get(delays.len() / 2)
                    .map_or("–".into(), |day| (day + 1).to_string())
            )
        };
        println!(
            "| {name} | {:.1} | {:.1} | {} | {} | {} | {} |",
            wrong(false),
            wrong(true),
            found(|_| 2.0),
            found(|_| 4.0),
            found(|_| 6.0),
            found(|day| 6.0 * (day as f64 / 20.0).min(1.0))
        );
    }
}

/// The day of the first alarm after those learned from; the standard deviation of what days are is 1.
fn alarm(way: Way, seed: u32, heavy: bool, shift: impl Fn(usize) -> f64) -> Option<usize> {
    let mut chance = Chance::new(u64::from(seed) * 7 + u64::from(heavy));
    let fresh = (1.0 - STAYS * STAYS).sqrt();
    let mut weather = 0.0;
    let mut next = || {
        weather = STAYS * weather + fresh * noise(&mut chance, heavy);
        weather
    };
    let history: Vec<f64> = (0..LEARNED).map(|_| next()).collect();
    let mean = history.iter().sum::<f64>() / LEARNED as f64;
    let centred: Vec<f64> = history.iter().map(|value| value - mean).collect();
    let square = centred.iter().map(|value| value * value).sum::<f64>() / (LEARNED - 1) as f64;
    let products: f64 = centred.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let stays = (products / (LEARNED - 1) as f64 / square).clamp(0.0, 0.9);
    let innovation = square * (1.0 - stays * stays);
    let sizes: Vec<f64> = centred.iter().map(|value| value.abs()).collect();
    let mut last = centred[LEARNED - 1];
    let mut sums = [ShiryaevRoberts::default(); 6];
    let mut best = [Cusum::default(); 6];
    for day in 0..DAYS {
        let value = next() + shift(day) - mean;
        for (at, (sum, best)) in sums.iter_mut().zip(&mut best).enumerate() {
            let (sign, size) = (if at < 3 { 1.0 } else { -1.0 }, SHIFTS[at % 3]);
            let ln = match way {
                Way::Engine | Way::Page => ln_student(
                    sign * (value - stays * last) / innovation.sqrt(),
                    size,
                    12.0,
                ),
                Way::Gated => {
                    let usual = (innovation / (1.0 - stays).powi(2) / LEARNED as f64).sqrt();
                    let news =
                        sign * (value - stays * last) - (1.0 - stays) * (0.5 * MATTERS + usual);
                    ln_student(news / innovation.sqrt(), size, 12.0)
                }
                Way::Normal => {
                    let z = sign * (value - stays * last) / innovation.sqrt();
                    size * z - 0.5 * size * size
                }
                Way::Raw => ln_student(sign * value / square.sqrt(), size, 12.0),
                Way::Widened => {
                    let wide = square * (1.0 + stays) / (1.0 - stays);
                    ln_student(sign * value / wide.sqrt(), size, 12.0)
                }
                // No sides and no sizes.
                Way::Conformal => ln_power(p_value(&sizes, value.abs(), 0.5)),
            };
            sum.step(ln);
            best.step(ln);
        }
        last = value;
        let long = innovation / (1.0 - stays).powi(2) / LEARNED as f64;
        let large = value.abs() - 1.96 * (square + long.min(square)).sqrt() > MATTERS;
        if way == Way::Gated && !large {
            continue;
        }
        let ln = sums.iter().zip(&best).map(|(sum, best)| {
            if way == Way::Page {
                best.ln()
            } else {
                sum.ln()
            }
        });
        let ln: Vec<f64> = ln.collect();
        let largest = ln.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = largest + (ln.iter().map(|ln| (ln - largest).exp()).sum::<f64>() / 6.0).ln();
        if mean >= threshold(PROMISE, 1.0) {
            return Some(day);
        }
    }
    None
}

/// Noise with the variance 1.
fn noise(chance: &mut Chance, heavy: bool) -> f64 {
    let mut normal = || {
        let (u, v) = (1.0 - chance.uniform(), chance.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    let one = normal();
    if !heavy {
        return one;
    }
    let four: f64 = (0..4).map(|_| normal().powi(2)).sum::<f64>() / 4.0;
    one / four.sqrt() / 2.0_f64.sqrt()
}
