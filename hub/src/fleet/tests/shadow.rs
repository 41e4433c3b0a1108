//! What is wanted beside what serves, and what becomes of it.

use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::reported::{ShadowPhase, ShadowReport};

use super::*;
use crate::fleet::{
    assign::shadow::{ShadowDone, assign_shadow},
    shadows::{AssignedShadow, ShadowAssignment, ShadowFacts},
};

fn wanted(number: u32) -> AssignedShadow {
    AssignedShadow {
        target: target(number),
        rollout: RolloutId(7),
        cpu_permille: 50,
    }
}

async fn shadow(app: &App, device: &str, wanted: Option<AssignedShadow>) -> Vec<ShadowDone> {
    let txn = app.store.write().begin().await.expect("begins");
    let assignments = [ShadowAssignment {
        device: id(device),
        wanted,
        cause: Cause {
            at: WallTime(6),
            actor: Some("user anna".into()),
            text: String::new(),
        },
    }];
    let slot = "reader".parse().expect("a name");
    let done = assign_shadow(&txn, &workspace(), &slot, &assignments).await;
    txn.commit().await.expect("commits");
    done.expect("assigns")
}

/// A report of version 1 that serves, with this beside it.
fn says(number: u32, phase: ShadowPhase) -> Reported {
    let mut reported = reported("north", Some(serving(1)));
    let refused = phase == ShadowPhase::Rejected;
    reported.slots[0].shadow = Some(ShadowReport {
        version: version(number),
        phase,
        reason: refused.then_some(RejectReason::GoldenMismatch),
        text: if refused {
            "sample 3 differs".into()
        } else {
            String::new()
        },
    });
    reported
}

async fn facts_of(app: &App) -> ShadowFacts {
    let slot = "reader".parse().expect("a name");
    let all = facts(app.store.read(), &workspace(), &slot).await;
    let mut all = all.expect("reads");
    assert_eq!(all.len(), 1);
    all.remove(0).shadow
}

async fn kinds(app: &App) -> Vec<(String, Option<u32>)> {
    let filter = TimelineFilter::default();
    let page = super::timeline(&app.store, &workspace(), &id("a"), &filter).await;
    let items = page.expect("reads").items.into_iter().rev();
    let told = items.map(|e| (e.kind, e.version.map(|of| of.version.get())));
    told.filter(|(kind, _)| kind.starts_with("shadow"))
        .collect()
}

/// A version that exists as far as revoking it goes.
async fn revoke(app: &App, number: u32) {
    let columns = if crate::store::testing::on_server() {
        "SELECT column_name::text, CASE is_nullable WHEN 'NO' THEN 1::bigint ELSE 0 END, \
         column_default, data_type::text FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = 'model_version'"
    } else {
        "SELECT name, \"notnull\", dflt_value, type FROM pragma_table_info('model_version')"
    };
    let select = Statement::from_string(app.store.backend(), columns);
    let columns = app.store.read().query_all_raw(select).await.expect("reads");
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in columns {
        let name: String = column.try_get_by_index(0).expect("a name");
        let required: i64 = column.try_get_by_index(1).expect("a number");
        let kind: String = column.try_get_by_index(3).expect("a type");
        let value = match name.as_str() {
            "workspace" => "'default'".into(),
            "model" => "'digits'".into(),
            "version" => number.to_string(),
            "revoked" => "'it lies'".into(),
            _ if required == 0 => continue,
            _ if kind.to_lowercase().contains("text") => format!("'{number}'"),
            _ if kind.to_lowercase().contains("bool") => "FALSE".into(),
            _ => "0".into(),
        };
        names.push(name);
        values.push(value);
    }
    let insert = format!(
        "INSERT INTO model_version ({}) VALUES ({})",
        names.join(", "),
        values.join(", ")
    );
    let written = app.store.write().execute_unprepared(&insert).await;
    written.expect("writes");
}

#[tokio::test]
async fn a_shadow_is_wanted_told_reported_and_taken_back() {
    let (_dir, app) = fresh().await;
    let before = state("a", reported("north", Some(serving(1))), Freshness::Live);
    take_in(&app, vec![before]).await;
    assign_one(&app, "a", 1).await;
    let done = shadow(&app, "a", Some(wanted(2))).await;
    assert_eq!((done.len(), &done[0].before), (1, &None));
    let told = &done[0].desired;
    assert_eq!(told.revision, Revision(2));
    assert_eq!((told.slots.len(), told.shadows.len()), (1, 1));
    assert_eq!(told.shadows[0].version, version(2).version);
    assert_eq!(told.shadows[0].bundle, target(2).bundle);
    assert_eq!(told.shadows[0].cpu_permille, 50);
    assert_eq!(facts_of(&app).await.wanted, Some(wanted(2)));
    assert_eq!(facts_of(&app).await.reported, None);

    // What serves is another matter: assigning there takes nothing of it, and tells both.
    assert_eq!(assign_one(&app, "a", 3).await, Revision(3));
    let all = all_desired(&app.store, &workspace(), None).await;
    let all = all.expect("reads");
    assert_eq!(all[0].1.shadows, told.shadows);

    for phase in [ShadowPhase::Fetching, ShadowPhase::Running] {
        let said = state("a", says(2, phase), Freshness::Live);
        take_in(&app, vec![said]).await;
        let reported = facts_of(&app).await.reported;
        assert_eq!(reported.map(|said| said.phase), Some(phase));
    }
    let seen = view(&app, "a").await.slots[0].shadow.clone().expect("one");
    assert_eq!(
        (seen.version, seen.cpu_permille),
        (version(2).version, Some(50))
    );
    assert_eq!(seen.phase, Some(ShadowPhase::Running));
    assert_eq!(
        view(&app, "a").await.health,
        Health::Updating,
        "version 3 is awaited"
    );

    let refused = says(2, ShadowPhase::Rejected);
    take_in(&app, vec![state("a", refused, Freshness::Live)]).await;
    let text = facts_of(&app).await.reported.map(|said| said.text);
    assert_eq!(text.as_deref(), Some("golden-mismatch: sample 3 differs"));

    let done = shadow(&app, "a", None).await;
    assert_eq!(done[0].before, Some(wanted(2)));
    assert_eq!(
        (done[0].desired.revision, done[0].desired.shadows.len()),
        (Revision(4), 0)
    );
    assert_eq!(facts_of(&app).await, ShadowFacts::default());
    let seen = view(&app, "a").await.slots[0].shadow.clone();
    let seen = seen.expect("the device still says so");
    assert_eq!(
        (seen.cpu_permille, seen.phase),
        (None, Some(ShadowPhase::Rejected))
    );
    let expected = [("shadow-assigned", 2), ("shadow-unassigned", 2)];
    assert_eq!(
        kinds(&app).await,
        expected.map(|(kind, version)| (kind.to_owned(), Some(version)))
    );
    assert_eq!(shadow(&app, "nobody", Some(wanted(2))).await, []);
}

#[tokio::test]
async fn a_revoked_version_is_not_wanted_as_shadow() {
    let (_dir, app) = fresh().await;
    let serves = || state("a", says(2, ShadowPhase::Running), Freshness::Live);
    take_in(&app, vec![serves()]).await;
    shadow(&app, "a", Some(wanted(2))).await;
    revoke(&app, 2).await;
    revoke(&app, 3).await;
    let done = shadow(&app, "a", Some(wanted(3))).await;
    assert_eq!((&done[0].now, done[0].desired.shadows.len()), (&None, 0));

    // What was revoked since is taken back as soon as the device says something, and it is told.
    shadow(&app, "a", Some(wanted(4))).await;
    revoke(&app, 4).await;
    let told = take_in(&app, vec![serves()]).await;
    let [told] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (told.desired.revision, told.desired.shadows.len()),
        (Revision(4), 0)
    );
    assert_eq!(facts_of(&app).await.wanted, None);
    assert_eq!(take_in(&app, vec![serves()]).await, [], "once");
    let last = kinds(&app).await.pop();
    assert_eq!(last, Some(("shadow-unassigned".into(), Some(4))));
}
