use tern_protocol::{
    id::ModelVersion,
    rest::{RolloutCounts, Selector, Stages},
    time::WallTime,
};

use super::*;

fn view(state: RolloutState, serving: u64, failed: u64) -> RolloutView {
    let device = |number: u64| {
        let (state, reason) = match number {
            n if n < serving => (RolloutDeviceState::Serving, ""),
            n if n < serving + failed => (RolloutDeviceState::Failed, "golden-mismatch: 0.3"),
            _ => (RolloutDeviceState::Assigned, ""),
        };
        RolloutDevice {
            device: format!("meter-0{number}").parse().expect("a name"),
            site: "harbour".parse().expect("a name"),
            state,
            stage: None,
            progress: None,
            reason: reason.into(),
            before: None,
            part: None,
            admitted: None,
        }
    };
    RolloutView {
        id: RolloutId(3),
        slot: "digit-reader".parse().expect("a name"),
        model: "digit-reader".parse().expect("a name"),
        version: ModelVersion::FIRST,
        selector: Selector::default(),
        percent: 100,
        plan: None,
        precedence: 0,
        stage: None,
        evidence: None,
        state,
        reason: String::new(),
        created: WallTime(0),
        updated: WallTime(0),
        actor: None,
        counts: RolloutCounts {
            selected: 3,
            targeted: 3,
            assigned: 3 - serving - failed,
            in_progress: 0,
            serving,
            failed,
            stages: Stages::default(),
        },
        warnings: vec![],
        devices: (0..3).map(device).collect(),
    }
}

#[test]
fn ends() {
    use AfterFailure::{GoOn, Stop};
    let no = |why: &str| Some(Verdict::Not(why.into()));
    let refused = || no("1 device refused it");
    for (state, serving, failed, after, expected) in [
        (RolloutState::Running, 0, 0, Stop, None),
        (RolloutState::Running, 1, 1, Stop, refused()),
        (RolloutState::Running, 1, 1, GoOn, None),
        (RolloutState::Paused, 1, 0, Stop, None),
        (RolloutState::Complete, 3, 0, Stop, Some(Verdict::Complete)),
        (RolloutState::Complete, 2, 1, GoOn, refused()),
        (RolloutState::Aborted, 3, 0, Stop, no("it was aborted")),
        (
            RolloutState::Superseded,
            3,
            0,
            Stop,
            no("a newer rollout took its devices"),
        ),
    ] {
        let view = view(state, serving, failed);
        assert_eq!(
            verdict(&view, after),
            expected,
            "{state:?} {serving} {failed} {after:?}"
        );
    }
}

#[test]
fn only_news_is_said() {
    let first = view(RolloutState::Running, 0, 0);
    let second = view(RolloutState::Running, 1, 1);
    let lines = [
        news(None, &first),
        news(Some(&first), &first),
        news(Some(&first), &second),
        news(None, &second),
    ];
    insta::assert_snapshot!(lines.map(|lines| lines.join("\n")).join("\n--\n"), @r"
    running
    0 of 3 serving, 3 assigned
    --

    --
    meter-00 serving
    meter-01 failed: golden-mismatch: 0.3
    1 of 3 serving, 1 assigned, 1 failed
    --
    meter-01 failed: golden-mismatch: 0.3
    running
    1 of 3 serving, 1 assigned, 1 failed
    ");
}
