//! Whether a device is there, and where.

use super::*;

#[tokio::test]
async fn a_device_appears_on_first_contact_and_goes_offline() {
    let (_dir, app) = fresh().await;
    take_in(&app, vec![link("a", true, 1)]).await;
    let seen = view(&app, "a").await;
    assert_eq!(
        (seen.online, seen.health, seen.site.as_str()),
        (true, Health::Updating, "unknown")
    );

    serves_at_north(&app).await;
    let seen = view(&app, "a").await;
    assert_eq!(
        (seen.health, seen.site.as_str()),
        (Health::Healthy, "north")
    );
    assert_eq!(seen.labels["lens"], "glass");
    assert_eq!(
        seen.slots[0].serving.as_ref().map(|s| s.inferences),
        Some(7)
    );
    let since = seen.slots[0]
        .serving
        .as_ref()
        .and_then(|serving| serving.since);
    assert_eq!(
        since,
        Some(WallTime(999_500)),
        "repaired by the anchor of its boot"
    );

    take_in(&app, vec![link("a", false, 1)]).await;
    assert_eq!(view(&app, "a").await.health, Health::Offline);
}

#[tokio::test]
async fn an_old_last_will_does_not_take_a_device_offline() {
    let (_dir, app) = fresh().await;
    take_in(&app, vec![link("a", true, 2), link("a", false, 1)]).await;
    assert!(view(&app, "a").await.online, "the will of an earlier boot");
    take_in(&app, vec![link("a", false, 2), said("a", Said::Something)]).await;
    assert!(view(&app, "a").await.online, "it sends, so it is there");
    take_in(&app, vec![link("a", true, 1)]).await;
    take_in(&app, vec![link("a", false, 1)]).await;
    assert!(
        !view(&app, "a").await.online,
        "a device that lost its disk counts boots anew"
    );
}

#[tokio::test]
async fn retained_state_says_what_was_not_that_the_device_is_there() {
    let (_dir, app) = fresh().await;
    let state = state("a", reported("north", None), Freshness::Retained);
    take_in(&app, vec![state]).await;
    let seen = view(&app, "a").await;
    assert_eq!(
        (seen.online, seen.health, seen.site.as_str()),
        (false, Health::Offline, "north")
    );
}

#[tokio::test]
async fn a_device_is_where_its_identity_binds_it_whatever_it_says() {
    use crate::access::{audit::Actor, identity};
    use tern_protocol::{join::JoinToken, rest};
    let (_dir, app) = fresh().await;
    let new = rest::NewInvitation {
        site: Some("north".parse().expect("a name")),
        labels: BTreeMap::from([("line".into(), "4".into())]),
        device: None,
        hardware_id: None,
        uses: 1,
        expires_in_s: 60,
        approval: false,
    };
    let invited = identity::invite(&app, &workspace(), new, &Actor::hub()).await;
    let token: JoinToken = invited.expect("invites").token.parse().expect("a token");
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key);
    let join = rest::Join {
        secret: token.secret,
        device: id("d1"),
        hardware_id: None,
        csr: request.expect("signs").pem().expect("PEM"),
    };
    identity::join(&app, &join, None).await.expect("joins");
    let mut says = reported("south", None);
    says.labels.insert("line".into(), "9".into());
    take_in(
        &app,
        vec![
            state("d1", says.clone(), Freshness::Live),
            state("d2", says, Freshness::Live),
        ],
    )
    .await;
    let bound = view(&app, "d1").await;
    assert_eq!(bound.site.as_str(), "north");
    let labels = [("lens", "glass"), ("line", "4")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(bound.labels, BTreeMap::from(labels));
    let free = view(&app, "d2").await;
    assert_eq!((free.site.as_str(), &*free.labels["line"]), ("south", "9"));
}
