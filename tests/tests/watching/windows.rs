//! What a real agent says of what it answered.

use tern_protocol::{
    codec,
    log::{Batch, Body},
    topic::Channel,
    window::Window,
};
use tern_stats::sketch::Sketch;
use tern_tests::{
    device,
    fleet::{Fleet, meter},
    mqtt::Mqtt,
    package, wait,
};

/// A listener beside the hub: the broker of the tests lets everybody in.
struct Listener {
    mqtt: Mqtt,
    topic: String,
}

impl Listener {
    fn to(fleet: &Fleet, agent: usize) -> Self {
        let id = fleet.agents[agent].device().parse().expect("a name");
        let topic = device::topic(&id, Channel::Log);
        let mqtt = Mqtt::connect(fleet.hub.mqtt(), "listener");
        mqtt.hear(&topic);
        Self { mqtt, topic }
    }

    /// All windows so far, once they hold so many inferences; a batch that is sent again counts once.
    fn windows(&self, inferences: u64) -> Vec<Window> {
        wait::until(&format!("windows of {inferences} inferences"), || {
            let mut windows = std::collections::BTreeMap::new();
            for bytes in self.mqtt.heard(|topic| topic == self.topic) {
                let batch: Batch = codec::decode(&bytes).expect("the agent sends batches");
                for entry in batch.entries {
                    if let Body::Window(window) = entry.body {
                        windows.insert(entry.sequence, *window);
                    }
                }
            }
            let windows: Vec<Window> = windows.into_values().collect();
            let told: u64 = windows.iter().map(|window| window.inferences).sum();
            wait::that(told == inferences, || format!("{told}")).map(|()| windows)
        })
    }
}

#[test]
fn a_window_says_where_time_went_how_sure_the_model_was_and_what_inputs_were_like() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    let listener = Listener::to(&fleet, 0);
    let samples = package.samples();
    for input in &samples {
        fleet.agents[0].infer(input);
    }
    // A camera that hangs gives the same picture again and again.
    for _ in 0..5 {
        fleet.agents[0].infer(&samples[0]);
    }
    let n = samples.len() as u64 + 5;
    let windows = listener.windows(n);
    let sum = |of: &dyn Fn(&Window) -> u64| windows.iter().map(of).sum::<u64>();
    assert_eq!(sum(&|window| window.margin.iter().sum()), n);
    assert_eq!(sum(&|window| window.confidence.iter().sum()), n);
    for window in &windows {
        assert_eq!(window.signals.len(), 7, "of the reference of the digits");
        let each = window
            .signals
            .iter()
            .map(|signal| signal.0.iter().sum::<u64>());
        assert!(each.clone().all(|counted| counted == window.inferences));
        let parts = window.parts.as_ref().expect("this agent tells");
        let count = |sketch| Sketch::try_from(sketch).expect("a sketch").count();
        for part in [&parts.queue, &parts.pre, &parts.infer] {
            assert_eq!(count(part), window.inferences);
        }
        assert!(parts.infer.sum > 0.0 && parts.pre.sum > 0.0);
        // Some board in this world says how warm it is; this one may not.
        assert!(
            window
                .temperature
                .is_none_or(|tenths| (-400..=1_500).contains(&tenths))
        );
        assert_eq!(window.values, None, "it is a classifier");
    }
    let posted = sum(&|window| {
        let parts = window.parts.as_ref().expect("this agent tells");
        Sketch::try_from(&parts.post).expect("a sketch").count()
    });
    assert!(
        posted >= n - 1 && posted <= n,
        "the last answer may be under way: {posted}"
    );
    // Five times the very same picture: each pixel repeats itself at least four times.
    let repeated = |pixel: usize| sum(&|window| window.repeated[pixel]);
    assert!((0..64).all(|pixel| repeated(pixel) >= 4));
}
