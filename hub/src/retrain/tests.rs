//! The driver over a real database, without devices: what is stored when, and what comes of a kill.

use tern_protocol::{
    id::{ModelName, UserName},
    rest::{ProposalAnswer, ProposalState, ProposalWord},
    time::WallTime,
};
use tern_retrain::{Key, Stage, Step, fact::Again};

use super::{
    RetrainError,
    desk::Of,
    driver::look_at,
    facts::Kept,
    policies,
    proposals::{self, ProposalQuery},
    questions, stored, views,
    work::{self, Ended, State},
};
use crate::{
    access::{
        audit::Actor,
        principal::{Account, Principal, Who},
    },
    monitor::fixture::{Device, NOON, World, name},
    registry::{self, fixture::package},
    store::raw,
};

const POLICY: &str = "model: digits\ntriggers: [{every: 366d}]\nminimum: {labels: 2, new: 0, per-class: 0}\n\
    cool-down: 0s\ntraining: usual\nrollout: careful\n";

fn of() -> Of {
    (name("default"), name("digits"))
}

fn model() -> ModelName {
    name("digits")
}

/// A hub with version 1 of `digits`, which one device is to have, and two labels.
async fn world() -> World {
    let world = World::new().await;
    let app = &world.app;
    let new = package(1.0).upload(&app.blobs).await;
    let by = Actor::hub();
    registry::publish(app, &by, &world.workspace, &model(), new)
        .await
        .expect("it is vetted");
    let mut device = Device::new("meter-01");
    let bodies = vec![
        device.capture(1, 1, 1.0),
        device.label(1, 1, 0),
        device.capture(2, 1, 1.0),
        device.label(2, 1, 1),
        // Its input was not kept here, so it is nothing to train on.
        device.label(3, 1, 1),
    ];
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let assign = "INSERT INTO slot (workspace, device, slot, assigned_model, assigned_version, serving_confirmed) \
                  VALUES ('default', 'meter-01', 'reader', 'digits', 1, FALSE)";
    raw::exec(app.store.write(), "a test", assign, [])
        .await
        .expect("it is written");
    world
}

async fn policy(world: &World, text: &str) {
    let by = Actor::machine();
    policies::put(&world.app, &by, &world.workspace, text)
        .await
        .expect("it is right");
}

async fn look(world: &World) {
    let mut kept = Kept::new(std::time::Duration::ZERO);
    look_at(&world.app, &of(), &mut kept)
        .await
        .expect("it looks");
}

fn somebody(user: &str) -> Principal {
    Principal {
        who: Who::User(Account {
            user: name(user),
            hub_admin: false,
            roles: [(name("default"), tern_protocol::rest::Role::Scientist)].into(),
        }),
        from: None,
    }
}

async fn stage(world: &World) -> Option<Stage> {
    let known = stored::state(world.app.store.read(), &world.workspace, &model()).await;
    known.expect("it is read").open().map(|round| round.stage)
}

async fn say(world: &World, who: &str, say: ProposalWord) -> Result<ProposalState, RetrainError> {
    let open = proposals::proposals(
        &world.app,
        &world.workspace,
        &ProposalQuery {
            all: true,
            ..ProposalQuery::default()
        },
    )
    .await
    .expect("they are read");
    let answer = ProposalAnswer {
        say,
        note: "because".into(),
    };
    let id = open[0].id;
    let said = proposals::say(&world.app, &somebody(who), &world.workspace, id, &answer).await?;
    Ok(said.state)
}

#[tokio::test]
async fn a_round_is_proposed_once_and_a_named_person_decides() {
    let world = world().await;
    let text = format!("{POLICY}approvals: [{{before: training, of: [anna]}}]\n");
    policy(&world, &text).await;
    look(&world).await;
    assert_eq!(stage(&world).await, None, "nothing calls for one");
    policies::ask(
        &world.app,
        &somebody("ben"),
        &world.workspace,
        &model(),
        "new lenses",
    )
    .await
    .expect("it may be asked for");
    for _ in 0..3 {
        look(&world).await;
    }
    let all = proposals::proposals(&world.app, &world.workspace, &ProposalQuery::default()).await;
    let all = all.expect("they are read");
    assert_eq!(all.len(), 1, "it is put once: {all:?}");
    let facts = all[0].facts.as_ref().expect("a proposal");
    assert_eq!(facts.evidence, ["ben asked for it: new lenses"]);
    assert_eq!(
        (facts.labels, facts.new_labels),
        (2, 2),
        "of captures alone"
    );
    assert_eq!(all[0].needs, "1 of anna");
    let again = policies::ask(&world.app, &somebody("ben"), &world.workspace, &model(), "").await;
    assert!(matches!(again, Err(RetrainError::Conflict(_))), "{again:?}");

    let other = say(&world, "ben", ProposalWord::Agree).await;
    assert!(
        matches!(other, Err(RetrainError::Forbidden(_))),
        "{other:?}"
    );
    let odd = say(&world, "anna", ProposalWord::Again).await;
    assert!(matches!(odd, Err(RetrainError::Impossible(_))), "{odd:?}");
    say(&world, "anna", ProposalWord::Decline)
        .await
        .expect("she may");
    look(&world).await;
    assert_eq!(stage(&world).await, None);
    let late = say(&world, "anna", ProposalWord::Agree).await;
    assert!(matches!(late, Err(RetrainError::Conflict(_))), "{late:?}");
    let lessons = views::lessons(&world.app, &world.workspace, None, None).await;
    let lessons = lessons.expect("they are read");
    assert_eq!(lessons.len(), 1);
    assert_eq!(lessons[0].text, "anna declined");
    // What was asked for was about that round.
    look(&world).await;
    assert_eq!(stage(&world).await, None);
}

#[tokio::test]
async fn a_policy_that_goes_ends_its_round_and_a_state_of_a_newer_hub_is_left_alone() {
    let world = world().await;
    policy(&world, POLICY).await;
    let by = Actor::machine();
    policies::ask(&world.app, &somebody("ben"), &world.workspace, &model(), "")
        .await
        .expect("it may be asked for");
    look(&world).await;
    assert_eq!(stage(&world).await, Some(Stage::Proposed));
    policies::remove(&world.app, &by, &world.workspace, &model())
        .await
        .expect("it is there");
    look(&world).await;
    assert_eq!(stage(&world).await, None);
    let view = views::one(&world.app, &world.workspace, &model()).await;
    let view = view.expect("it is known");
    assert!(view.policy.is_none() && view.rounds == 1, "{view:?}");

    let broken = "UPDATE retrain_state SET body = $1";
    raw::exec(
        world.app.store.write(),
        "a test",
        broken,
        [vec![0xff_u8, 1, 2].into()],
    )
    .await
    .expect("it is written");
    let mut kept = Kept::new(std::time::Duration::ZERO);
    let looked = look_at(&world.app, &of(), &mut kept).await;
    assert!(looked.is_err(), "what cannot be read is not written over");
    let labelling = super::wanted(&world.app, &world.workspace, &model()).await;
    assert!(labelling.expect("people label all the same").is_empty());
}

#[tokio::test]
async fn work_is_ordered_once_and_found_until_it_is_over() {
    let world = world().await;
    let (workspace, model) = of();
    let db = world.app.store.write();
    let key = |round, attempt| Key {
        round,
        step: Step::Compare,
        attempt,
    };
    let action = tern_retrain::Action {
        key: key(1, 1),
        act: tern_retrain::Act::Build(tern_retrain::action::DatasetOrder {
            base: name("1"),
            until: WallTime(NOON),
            keep_out: tern_protocol::rest::Share::percent(30),
            without: Vec::new(),
        }),
    };
    for at in [NOON, NOON + 5] {
        work::order(
            db,
            &workspace,
            &model,
            std::slice::from_ref(&action),
            WallTime(at),
        )
        .await
        .expect("it is written");
    }
    let rows = work::that_matters(db, &workspace, &model, 2)
        .await
        .expect("they are read");
    assert_eq!(rows.len(), 1, "of a round before, and perhaps running");
    assert_eq!(
        (rows[0].state, rows[0].at),
        (State::Ordered, WallTime(NOON))
    );
    assert_eq!(rows[0].settled::<()>(None), None);
    let ended = Ended::failed("the disk is full", Again::MayHelp);
    work::end(db, &workspace, &model, key(1, 1), &ended)
        .await
        .expect("it is written");
    assert_eq!(
        work::that_matters(db, &workspace, &model, 2)
            .await
            .expect("read"),
        []
    );
    let rows = work::of_round(db, &workspace, &model, 1)
        .await
        .expect("they are read");
    assert_eq!(rows[0].failure.again, Again::MayHelp);
    assert!(matches!(
        rows[0].settled::<()>(None),
        Some(tern_retrain::Work::Failed(_))
    ));
}

#[tokio::test]
async fn people_are_asked_for_labels_where_they_lack_and_the_queue_begins_there() {
    let world = world().await;
    policy(&world, &POLICY.replace("labels: 2", "labels: 9")).await;
    policies::ask(&world.app, &somebody("ben"), &world.workspace, &model(), "")
        .await
        .expect("it may be asked for");
    look(&world).await;
    look(&world).await;
    assert_eq!(stage(&world).await, Some(Stage::Waiting));
    let asked = questions::of_round(world.app.store.read(), &world.workspace, &model(), 1).await;
    let asked = asked.expect("they are read");
    assert_eq!(asked.len(), 1, "people are asked once: {asked:?}");
    let view = views::one(&world.app, &world.workspace, &model())
        .await
        .expect("it is known");
    assert!(view.waits.contains("7 more labels are needed"), "{view:?}");
    // Seven lack, one device has the model and nothing waits to be labelled: it is asked for inputs.
    let requests = crate::captures::requests::list(&world.app.store, &world.workspace).await;
    let requests = requests.expect("they are read").items;
    assert_eq!((requests.len(), requests[0].count), (1, 7), "{requests:?}");
    let open = proposals::proposals(&world.app, &world.workspace, &ProposalQuery::default()).await;
    assert_eq!(open.expect("they are read"), [], "this is no question");
    let _: UserName = name("anna");
}

#[tokio::test]
async fn people_and_devices_are_asked_together_or_not_yet() {
    let world = world().await;
    policy(&world, &POLICY.replace("labels: 2", "labels: 9")).await;
    policies::ask(&world.app, &somebody("ben"), &world.workspace, &model(), "")
        .await
        .expect("it may be asked for");
    let rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        raw::exec(world.app.store.write(), "a test", &sql, [])
            .await
            .expect("it is renamed");
    };
    let asked = async || {
        let db = world.app.store.read();
        let asked = questions::of_round(db, &world.workspace, &model(), 1).await;
        asked.expect("they are read").len()
    };
    // Nobody can be asked for inputs, as if the hub was killed before it did.
    rename("capture_request", "away").await;
    let mut failed = 0;
    for _ in 0..3 {
        let mut kept = Kept::new(std::time::Duration::ZERO);
        failed += u32::from(look_at(&world.app, &of(), &mut kept).await.is_err());
    }
    assert!(failed > 0);
    assert_eq!(stage(&world).await, Some(Stage::Waiting));
    assert_eq!(asked().await, 0, "people would not be asked again today");
    rename("away", "capture_request").await;
    look(&world).await;
    look(&world).await;
    assert_eq!(asked().await, 1);
    let requests = crate::captures::requests::list(&world.app.store, &world.workspace).await;
    let requests = requests.expect("they are read").items;
    assert_eq!((requests.len(), requests[0].count), (1, 7), "{requests:?}");
}
