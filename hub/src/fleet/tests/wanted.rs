//! What devices are to be, and how far they are.

use super::*;

#[tokio::test]
async fn revisions_only_rise_and_health_follows_what_is_wanted() {
    let (_dir, app) = fresh().await;
    serves_at_north(&app).await;
    assert_eq!(assign_one(&app, "a", 2).await, Revision(1));
    assert_eq!(view(&app, "a").await.health, Health::Updating);
    assert_eq!(assign_one(&app, "a", 1).await, Revision(2));
    assert_eq!(view(&app, "a").await.health, Health::Healthy);
    assert_eq!(assign_one(&app, "a", 3).await, Revision(3));

    let mut refusing = reported("north", Some(serving(1)));
    refusing.slots[0].rejected = Some(Rejected {
        version: version(3),
        reason: RejectReason::GoldenMismatch,
        text: "off by 0.5".into(),
    });
    take_in(&app, vec![state("a", refusing, Freshness::Live)]).await;
    let seen = view(&app, "a").await;
    assert_eq!(seen.health, Health::Failing);
    assert!(
        seen.health_reason.contains("golden-mismatch: off by 0.5"),
        "{}",
        seen.health_reason
    );
}

#[tokio::test]
async fn a_restored_hub_gets_ahead_of_its_devices_again() {
    let (_dir, app) = fresh().await;
    let mut ahead = reported("north", Some(serving(1)));
    ahead.answers = Revision(41);
    let told = take_in(&app, vec![state("a", ahead, Freshness::Live)]).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].desired.revision, Revision(42));
    assert_eq!(assign_one(&app, "a", 2).await, Revision(43));
}

#[tokio::test]
async fn all_desired_states_are_found_page_by_page() {
    let (_dir, app) = fresh().await;
    let messages = (0..7).map(|n| link(&format!("d{n}"), true, 1)).collect();
    take_in(&app, messages).await;
    for n in 0..5 {
        assign_one(&app, &format!("d{n}"), 1).await;
    }
    let all = all_desired(&app.store, &workspace(), None)
        .await
        .expect("reads");
    assert_eq!(
        all.len(),
        5,
        "devices of which nothing was ever wanted are left out"
    );
    let rest = all_desired(&app.store, &workspace(), Some(&id("d3")))
        .await
        .expect("reads");
    assert_eq!(
        rest.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["d4"]
    );
    assert_eq!(rest[0].1.slots[0].bundle, target(1).bundle);
}

#[tokio::test]
async fn facts_tell_rollouts_what_they_need() {
    let (_dir, app) = fresh().await;
    serves_at_north(&app).await;
    take_in(&app, vec![link("b", true, 1)]).await;
    assign_one(&app, "a", 2).await;
    let slot = "reader".parse().expect("a name");
    let all = facts(app.store.read(), &workspace(), &slot)
        .await
        .expect("reads");
    assert_eq!(
        all.len(),
        1,
        "a device that has not reported the slot is left out"
    );
    assert_eq!(
        all[0].serving.map(|served| served.weights),
        Some(weights(1))
    );
    let assigned = all[0].assigned.as_ref().map(|assigned| &assigned.target);
    assert_eq!(assigned, Some(&target(2)));
}
