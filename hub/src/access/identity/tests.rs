use std::{collections::BTreeMap, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tern_protocol::{
    id::{DeviceId, IdentityId, WorkspaceId},
    join::JoinToken,
    rest::{Credentials, IdentityState, IdentityView, Invited, Join, Joined, NewInvitation, Renew},
};

use super::*;
use crate::{
    access::{
        audit::Actor,
        authority::{CaDir, RequestError, change},
    },
    app::{self, App},
};

const DAY: Duration = Duration::from_hours(24);

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn new(uses: u32) -> NewInvitation {
    NewInvitation {
        site: Some("north".parse().expect("a name")),
        labels: BTreeMap::from([("line".into(), "4".into())]),
        device: None,
        hardware_id: None,
        uses,
        expires_in_s: 3_600,
        approval: false,
    }
}

async fn invited(app: &App, new: NewInvitation) -> Invited {
    let invited = invite(app, &workspace(), new, &Actor::hub()).await;
    invited.expect("invites")
}

fn request(key: &KeyPair) -> String {
    let request = CertificateParams::default().serialize_request(key);
    request.expect("signs").pem().expect("PEM")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn asks(invited: &Invited, device: &str, key: &KeyPair) -> Join {
    let token: JoinToken = invited.token.parse().expect("a token");
    Join {
        secret: token.secret,
        device: device.parse().expect("a name"),
        hardware_id: None,
        csr: request(key),
    }
}

fn in_(joined: Joined) -> Credentials {
    match joined {
        Joined::Active(credentials) => *credentials,
        Joined::Pending { reason, .. } => panic!("it waits: {reason}"),
    }
}

fn waits(joined: Joined) -> (IdentityId, String) {
    match joined {
        Joined::Pending {
            identity, reason, ..
        } => (identity, reason),
        Joined::Active(_) => panic!("it is in"),
    }
}

fn chain(credentials: &Credentials) -> Vec<CertificateDer<'static>> {
    let chain = CertificateDer::pem_slice_iter(credentials.certificate.as_bytes());
    chain.collect::<Result<_, _>>().expect("PEM")
}

async fn all(app: &App) -> Vec<IdentityView> {
    let page = identities(&app.store, &workspace(), &IdentityFilter::default()).await;
    page.expect("lists").items
}

#[track_caller]
fn refused(joined: Result<Joined, JoinError>, text: &str) {
    let err = joined.expect_err("is refused");
    assert!(err.to_string().contains(text), "{err}");
}

#[tokio::test]
async fn a_device_joins_and_asking_again_is_not_counted() {
    let (_dir, app) = app::fresh().await;
    let (one, key) = (invited(&app, new(1)).await, key());
    let first = in_(join(&app, &asks(&one, "d1", &key), None)
        .await
        .expect("joins"));
    assert_eq!(first.site, Some("north".parse().expect("a name")));
    assert_eq!(first.https, ["https://localhost:8443"]);
    assert_eq!(first.mqtt, ["localhost:8883"]);
    let again = in_(join(&app, &asks(&one, "d1", &key), None)
        .await
        .expect("joins"));
    assert_eq!(first, again, "the same certificate");
    let admitted = app.registry.admit(&chain(&first)).expect("gets in");
    assert_eq!(admitted.device.as_str(), "d1");
    let bound = app.registry.bound(&workspace(), &admitted.device);
    assert_eq!(bound.expect("is bound").labels["line"], "4");
    let page = invitations(&app.store, &workspace(), None, None).await;
    assert_eq!(page.expect("lists").items[0].used, 1);
    refused(
        join(&app, &asks(&one, "d2", &self::key()), None).await,
        "used up",
    );
    refused(
        join(&app, &asks(&one, "d2", &key), None).await,
        "another device",
    );
    // The database holds no secret.
    let token: JoinToken = one.token.parse().expect("a token");
    let shown = format!("{:?}", all(&app).await) + &format!("{token:?}");
    assert!(!shown.contains(&token.secret));
}

#[tokio::test]
async fn of_two_that_race_for_the_last_use_exactly_one_wins() {
    let (_dir, app) = app::fresh().await;
    let one = invited(&app, new(1)).await;
    let (a, b) = (asks(&one, "a", &key()), asks(&one, "b", &key()));
    let (a, b) = tokio::join!(join(&app, &a, None), join(&app, &b, None));
    assert!(a.is_ok() ^ b.is_ok());
    refused(if a.is_ok() { b } else { a }, "used up");
}

#[tokio::test]
async fn tokens_that_are_no_good_say_why() {
    let (_dir, app) = app::fresh().await;
    let token = invited(&app, new(5)).await;
    let mut unknown = asks(&token, "d", &key());
    unknown.secret.push('x');
    refused(join(&app, &unknown, None).await, "not known here");
    unknown.secret = "x".repeat(10_000);
    refused(join(&app, &unknown, None).await, "not known here");
    let mut hardware = asks(&token, "d", &key());
    hardware.hardware_id = Some("x".repeat(257));
    refused(join(&app, &hardware, None).await, "256 bytes");
    let long = "x".repeat(55);
    refused(
        join(&app, &asks(&token, &long, &key()), None).await,
        "61 bytes",
    );
    let mut garbage = asks(&token, "d", &key());
    garbage.csr = "garbage".into();
    let refusal = join(&app, &garbage, None).await;
    assert!(matches!(
        refusal,
        Err(JoinError::Request(RequestError::Format))
    ));

    let bound = invited(
        &app,
        NewInvitation {
            device: Some("d9".parse().expect("a name")),
            hardware_id: Some("serial-1".into()),
            ..new(1)
        },
    )
    .await;
    refused(
        join(&app, &asks(&bound, "d", &key()), None).await,
        "another device",
    );
    let mut right = asks(&bound, "d9", &key());
    refused(join(&app, &right, None).await, "other hardware");
    right.hardware_id = Some("serial-1".into());
    in_(join(&app, &right, None).await.expect("joins"));

    let id = token.invitation.id;
    let revoked = revoke_invitation(&app, &workspace(), id, &Actor::hub()).await;
    revoked.expect("revokes");
    refused(
        join(&app, &asks(&token, "d", &key()), None).await,
        "was revoked",
    );
    let token = invited(&app, new(5)).await;
    app.clock.advance(Duration::from_hours(1));
    refused(
        join(&app, &asks(&token, "d", &key()), None).await,
        "has expired",
    );
}

#[tokio::test]
async fn a_new_key_waits_beside_the_old_one_and_takes_its_place_when_accepted() {
    let (_dir, app) = app::fresh().await;
    let (token, old, new_key) = (invited(&app, new(5)).await, key(), key());
    let mut ask = asks(&token, "d1", &old);
    ask.hardware_id = Some("serial-1".into());
    let first = in_(join(&app, &ask, None).await.expect("joins"));
    let mut ask = asks(&token, "d1", &new_key);
    ask.hardware_id = Some("serial-1".into());
    let (id, reason) = waits(join(&app, &ask, None).await.expect("waits"));
    assert!(reason.contains("same hardware"), "{reason}");
    let before = app.registry.admit(&chain(&first)).expect("still speaks");
    assert_eq!(all(&app).await[0].replaces, Some(before.identity));

    let mut ended = app.registry.ended();
    let other: WorkspaceId = "other".parse().expect("a name");
    let elsewhere = accept(&app, &other, id, "", &Actor::hub()).await;
    assert!(matches!(elsewhere, Err(DecideError::NotFound(_))));
    let accepted = accept(&app, &workspace(), id, "new board", &Actor::hub()).await;
    assert_eq!(accepted.expect("accepts").state, IdentityState::Active);
    assert_eq!(ended.try_recv(), Ok(before.identity), "its session is cut");
    assert!(!app.registry.is_active(before.identity) && app.registry.is_active(id));
    assert_eq!(app.registry.admit(&chain(&first)), Err(Refusal::Key));
    let now = in_(join(&app, &ask, None).await.expect("joins"));
    assert_eq!(
        app.registry.admit(&chain(&now)).expect("speaks").identity,
        id
    );
    let csr = request(&old);
    refused(renew(&app, &Renew { csr }, None).await, "another key");
    let twice = accept(&app, &workspace(), id, "", &Actor::hub()).await;
    assert!(matches!(twice, Err(DecideError::State { .. })));
}

#[tokio::test]
async fn known_hardware_under_another_name_waits_and_rejected_is_for_good() {
    let (_dir, app) = app::fresh().await;
    let token = invited(&app, new(5)).await;
    let mut ask = asks(&token, "d1", &key());
    ask.hardware_id = Some("serial-1".into());
    in_(join(&app, &ask, None).await.expect("joins"));
    let mut ask = asks(&token, "d2", &key());
    ask.hardware_id = Some("serial-1".into());
    let (id, reason) = waits(join(&app, &ask, None).await.expect("waits"));
    assert!(reason.contains("speaks for d1"), "{reason}");
    let rejected = reject(&app, &workspace(), id, "stolen", &Actor::hub()).await;
    rejected.expect("rejects");
    refused(join(&app, &ask, None).await, "rejected");
    refused(renew(&app, &Renew { csr: ask.csr }, None).await, "rejected");
}

#[tokio::test]
async fn renewal_works_until_the_grace_is_over_and_never_for_strangers() {
    let (_dir, app) = app::fresh().await;
    let (token, key) = (invited(&app, new(1)).await, key());
    let first = in_(join(&app, &asks(&token, "d1", &key), None)
        .await
        .expect("joins"));
    let csr = request(&key);
    let again = || Renew { csr: csr.clone() };
    let same = in_(renew(&app, &again(), None).await.expect("renews"));
    assert_eq!(same.certificate, first.certificate, "it is young");
    app.clock.advance(15 * DAY);
    let half = in_(renew(&app, &again(), None).await.expect("renews"));
    assert_ne!(half.certificate, first.certificate);
    app.clock.advance(Duration::from_hours(209 * 24));
    in_(renew(&app, &again(), None)
        .await
        .expect("179 days after expiry"));
    app.clock.advance(Duration::from_hours(211 * 24));
    refused(renew(&app, &again(), None).await, "--expired-grace");
    let csr = request(&self::key());
    refused(renew(&app, &Renew { csr }, None).await, "not known here");
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_over_a_restart() {
    let (_dir, app) = app::fresh().await;
    let (token, key) = (invited(&app, new(5)).await, key());
    let credentials = in_(join(&app, &asks(&token, "d1", &key), None)
        .await
        .expect("joins"));
    let admitted = app.registry.admit(&chain(&credentials)).expect("gets in");
    let mut ended = app.registry.ended();
    let revoked = revoke(&app, &workspace(), admitted.identity, "lost", &Actor::hub()).await;
    revoked.expect("revokes");
    assert_eq!(ended.try_recv(), Ok(admitted.identity));
    for registry in [
        app.registry.clone(),
        Registry::load(&app.store, app.authorities.clone())
            .await
            .expect("loads"),
    ] {
        assert_eq!(registry.admit(&chain(&credentials)), Err(Refusal::Name));
        assert!(!registry.is_active(admitted.identity));
    }
    let csr = request(&key);
    refused(renew(&app, &Renew { csr }, None).await, "was revoked");
    let (_, reason) = waits(
        join(&app, &asks(&token, "d1", &self::key()), None)
            .await
            .expect("waits"),
    );
    assert!(reason.contains("earlier key"), "{reason}");
}

#[tokio::test]
async fn the_authority_of_another_workspace_does_not_vouch() {
    let (dir, app) = app::fresh().await;
    let ca = CaDir::within(dir.path()).expect("is there");
    let (token, key) = (invited(&app, new(1)).await, key());
    in_(join(&app, &asks(&token, "d1", &key), None)
        .await
        .expect("joins"));
    let request = crate::access::authority::DeviceKey::from_request(&request(&key));
    let request = request.expect("is good");
    let device: DeviceId = "d1".parse().expect("a name");
    for (of, vouches) in [("default", true), ("other", false)] {
        let of: WorkspaceId = of.parse().expect("a name");
        let made = change::rotate(&ca, Some(&of), app.clock.now()).expect("rotates");
        app.authorities.look().expect("reads");
        // The right name and key, by that workspace's authority.
        let trusted = app.authorities.trusted();
        let authority = trusted.all().iter().find(|a| a.id == made.id);
        let issued =
            authority
                .expect("is there")
                .device("default/d/d1", &request, app.clock.now(), DAY);
        let leaf = issued.expect("issues").chain;
        let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).expect("PEM");
        let admitted = app.registry.admit(&[leaf]);
        assert_eq!(admitted.is_ok(), vouches, "{admitted:?}");
        let expected = app.registry.is_active(IdentityId(1));
        assert!(expected, "{device} itself stays");
    }
}

#[tokio::test]
async fn every_certificate_of_a_key_that_ended_is_on_the_list_until_it_ends_by_itself() {
    let (_dir, app) = app::fresh().await;
    let listed = async || {
        let listed = revoked(app.store.read(), app.clock.now()).await;
        listed.expect("reads")
    };
    let token = invited(&app, new(2)).await;
    let (stolen, honest) = (key(), key());
    in_(join(&app, &asks(&token, "d1", &stolen), None)
        .await
        .expect("joins"));
    in_(join(&app, &asks(&token, "d2", &honest), None)
        .await
        .expect("joins"));
    // Renewed once: the first certificate has not ended.
    app.clock.advance(app.lives.certificate / 2);
    let csr = request(&stolen);
    let renewed = in_(renew(&app, &Renew { csr }, None).await.expect("renews"));
    assert_eq!(listed().await, []);

    let id = app
        .registry
        .admit(&chain(&renewed))
        .expect("speaks")
        .identity;
    let ended = revoke(&app, &workspace(), id, "stolen", &Actor::hub()).await;
    let last = ended.expect("revokes").certificate.expect("it has one");
    let now = listed().await;
    assert_eq!(now.len(), 2, "{now:?}");
    assert!(now.iter().any(|one| one.serial == last.serial), "{now:?}");
    let printed = app.authorities.revocation_lists(&now).expect("signs");
    assert_eq!(printed.matches("BEGIN X509 CRL").count(), 1);

    app.clock.advance(app.lives.certificate / 2);
    assert_eq!(listed().await.len(), 1, "the first one has ended");
    app.clock.advance(app.lives.certificate);
    assert_eq!(listed().await, []);
}
