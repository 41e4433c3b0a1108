//! Whole logins at a provider in this process.

mod provider;

use std::time::Duration;

use openidconnect::url::Url;
use serde_json::{Value, json};
use tern_protocol::{
    id::WorkspaceId,
    rest::{Login, Role},
};

use self::provider::{CLIENT, Fake, Grant, Signature};
use super::*;
use crate::{
    access::{
        audit::{self, AuditFilter},
        people::{PeopleError, account, member},
        principal::Account,
    },
    app,
};

const RULES: [&str; 2] = ["ops=default:operator", "eyes=default:viewer"];

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn user(name: &str) -> UserName {
    name.parse().expect("a name")
}

fn nobody() -> Actor {
    Actor {
        name: "nobody".into(),
        from: Some("192.0.2.7".into()),
    }
}

struct World {
    app: App,
    fake: Fake,
    provider: Provider,
    _dir: tempfile::TempDir,
}

/// A login that has begun, and with what.
struct Way {
    handle: String,
    state: String,
    nonce: String,
    challenge: String,
    to: Url,
}

impl World {
    async fn new() -> Self {
        let (dir, app) = app::fresh().await;
        let fake = Fake::start().await;
        let provider = Provider::new(fake.settings(&RULES, &["root"]));
        Self {
            app,
            fake,
            provider,
            _dir: dir,
        }
    }

    async fn begin(&self) -> Way {
        let visitor = Visitor {
            from: None,
            origin: "https://hub.example:8443".into(),
            next: "/devices".into(),
        };
        let begun = super::begin(&self.app, &self.provider, visitor).await;
        let begun = begun.expect("the provider is there");
        let to: Url = begun.to.parse().expect("an address");
        let query = |name: &str| {
            let mut pairs = to.query_pairs();
            let found = pairs.find(|(key, _)| key == name);
            found
                .unwrap_or_else(|| panic!("no {name} in {to}"))
                .1
                .into_owned()
        };
        Way {
            handle: begun.handle,
            state: query("state"),
            nonce: query("nonce"),
            challenge: query("code_challenge"),
            to: to.clone(),
        }
    }

    fn claims(&self, way: &Way, subject: &str, groups: &[&str]) -> Value {
        let now = self.app.clock.now().0 / 1_000;
        json!({
            "iss": self.fake.issuer(),
            "aud": CLIENT,
            "sub": subject,
            "iat": now,
            "exp": now + 60,
            "nonce": way.nonce,
            "preferred_username": subject,
            "groups": groups,
        })
    }

    fn grant(&self, way: &Way, claims: Value) {
        let grant = Grant {
            challenge: way.challenge.clone(),
            claims,
            ..Grant::default()
        };
        self.fake.grant("code", grant);
    }

    async fn finish(&self, handle: &str, state: &str) -> Result<Done, OidcError> {
        let back = Return {
            handle: Some(handle),
            state: Some(state),
            code: Some("code"),
            ..Return::default()
        };
        super::finish(&self.app, &self.provider, &nobody(), back).await
    }

    /// From the beginning to the end, with these claims over the usual ones.
    async fn log_in(&self, subject: &str, groups: &[&str], over: Value) -> Result<Done, OidcError> {
        let way = self.begin().await;
        let mut claims = self.claims(&way, subject, groups);
        for (name, value) in over.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        self.grant(&way, claims);
        self.finish(&way.handle, &way.state).await
    }

    async fn account(&self, session: &str) -> Account {
        let found = session::account_of(&self.app, session)
            .await
            .expect("reads");
        found.expect("the session lives")
    }

    async fn names(&self) -> Vec<String> {
        let all = account::users(&self.app.store).await.expect("reads");
        all.into_iter().map(|user| user.name.to_string()).collect()
    }

    async fn deeds(&self) -> Vec<(String, String)> {
        let all = audit::list(&self.app.store, &AuditFilter::default()).await;
        let all = all.expect("reads").items.into_iter().rev();
        all.map(|entry| (entry.action, entry.detail)).collect()
    }
}

#[tokio::test]
async fn who_comes_back_with_a_group_is_in_with_its_role() {
    let world = World::new().await;
    let way = world.begin().await;
    let query: Vec<_> = way.to.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("code_challenge_method", "S256"),
        (
            "redirect_uri",
            "https://hub.example:8443/login/oidc/callback",
        ),
        ("scope", "openid profile groups"),
    ] {
        let pair = (name.to_owned(), value.to_owned());
        assert!(query.contains(&pair), "{name}: {query:?}");
    }
    world.grant(&way, world.claims(&way, "grace", &["ops", "others"]));
    let done = world.finish(&way.handle, &way.state).await.expect("is in");
    assert_eq!(done.next, "/devices");
    let account = world.account(&done.session).await;
    assert_eq!(account.user, user("grace"));
    assert!(!account.hub_admin);
    assert_eq!(account.roles, [(workspace(), Role::Operator)].into());
    let deeds = world.deeds().await;
    for (action, detail) in [
        ("user.create", "OpenID subject grace"),
        ("member.set", "operator by their groups"),
        ("session.login", "oidc"),
    ] {
        let deed = (action.to_owned(), detail.to_owned());
        assert!(deeds.contains(&deed), "{action}: {deeds:?}");
    }
}

#[tokio::test]
async fn a_login_ends_in_its_browser_once_and_in_time() {
    let world = World::new().await;
    let way = world.begin().await;
    let other = world.begin().await;
    world.grant(&way, world.claims(&way, "grace", &["ops"]));
    let back = Return {
        state: Some(&way.state),
        code: Some("code"),
        ..Return::default()
    };
    let without = super::finish(&world.app, &world.provider, &nobody(), back).await;
    assert!(matches!(without, Err(OidcError::NotBegunHere)));
    let foreign = world.finish("another-browser", &way.state).await;
    assert!(matches!(foreign, Err(OidcError::NotBegunHere)));
    let mixed_up = world.finish(&other.handle, &way.state).await;
    assert!(matches!(mixed_up, Err(OidcError::State)));
    world.finish(&way.handle, &way.state).await.expect("is in");
    let again = world.finish(&way.handle, &way.state).await;
    assert!(matches!(again, Err(OidcError::NotBegunHere)));
    let late = world.begin().await;
    world.grant(&late, world.claims(&late, "grace", &["ops"]));
    world.app.clock.advance(logins::LIFE);
    let late = world.finish(&late.handle, &late.state).await;
    assert!(matches!(late, Err(OidcError::NotBegunHere)));
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let world = World::new().await;
    let past = world.app.clock.now().0 / 1_000 - 1;
    for over in [
        json!({ "nonce": "of-another-login" }),
        json!({ "nonce": null }),
        json!({ "aud": "another-client" }),
        json!({ "aud": [CLIENT, "another-client"] }),
        json!({ "iss": "https://id.example" }),
        json!({ "exp": past }),
    ] {
        let refused = world.log_in("grace", &["ops"], over.clone()).await;
        assert!(
            matches!(refused, Err(OidcError::Token(_))),
            "{over}: {refused:?}"
        );
    }
    for signature in [Signature::Forged, Signature::Secret] {
        let way = world.begin().await;
        let grant = Grant {
            challenge: way.challenge.clone(),
            claims: world.claims(&way, "grace", &["ops"]),
            signature,
            ..Grant::default()
        };
        world.fake.grant("code", grant);
        let refused = world.finish(&way.handle, &way.state).await;
        assert!(
            matches!(refused, Err(OidcError::Token(_))),
            "{signature:?}: {refused:?}"
        );
    }
    // A code that somebody else asked for.
    let (mine, theirs) = (world.begin().await, world.begin().await);
    world.grant(&theirs, world.claims(&mine, "grace", &["ops"]));
    let refused = world.finish(&mine.handle, &mine.state).await;
    assert!(
        matches!(refused, Err(OidcError::Exchange(_))),
        "{refused:?}"
    );
    let way = world.begin().await;
    let back = Return {
        handle: Some(&way.handle),
        state: Some(&way.state),
        code: Some("code"),
        issuer: Some("https://id.example"),
        ..Return::default()
    };
    let refused = super::finish(&world.app, &world.provider, &nobody(), back).await;
    assert!(
        matches!(refused, Err(OidcError::OtherIssuer)),
        "{refused:?}"
    );
    assert!(world.names().await.is_empty());
}

#[tokio::test]
async fn groups_decide_at_each_login_and_live_sessions_see_it() {
    let world = World::new().await;
    let in_with = |groups: &'static [&'static str]| world.log_in("grace", groups, json!({}));
    let first = in_with(&["ops", "root"]).await.expect("is in").session;
    assert!(world.account(&first).await.hub_admin);
    in_with(&["eyes"]).await.expect("is in");
    let account = world.account(&first).await;
    assert!(!account.hub_admin);
    assert_eq!(account.roles, [(workspace(), Role::Viewer)].into());
    let out = in_with(&["others"]).await;
    assert!(matches!(out, Err(OidcError::NoRole { .. })), "{out:?}");
    assert!(world.account(&first).await.roles.is_empty());
    let stranger = world.log_in("mallory", &[], json!({})).await;
    assert!(matches!(stranger, Err(OidcError::NoRole { .. })));
    assert_eq!(
        world.names().await,
        ["grace"],
        "no account for who has no role"
    );
    let deeds = world.deeds().await;
    let failed = deeds
        .iter()
        .filter(|(action, _)| action == "session.login-failed");
    assert_eq!(failed.count(), 2, "{deeds:?}");
}

#[tokio::test]
async fn a_person_is_who_the_subject_says_not_the_name() {
    let world = World::new().await;
    let app = &world.app;
    let renamed = json!({ "preferred_username": "hopper" });
    world
        .log_in("1", &["ops"], json!({ "preferred_username": "grace" }))
        .await
        .expect("is in");
    let again = world.log_in("1", &["ops"], renamed).await.expect("is in");
    assert_eq!(world.account(&again.session).await.user, user("grace"));
    let taken = json!({ "preferred_username": "grace" });
    let thief = world.log_in("2", &["ops"], taken).await;
    assert!(
        matches!(thief, Err(OidcError::NameTaken { .. })),
        "{thief:?}"
    );
    let new = tern_protocol::rest::NewUser {
        name: user("ada"),
        hub_admin: true,
    };
    account::create(app, &Actor::machine(), &new)
        .await
        .expect("made");
    let thief = world.log_in("ada", &["ops"], json!({})).await;
    assert!(
        matches!(thief, Err(OidcError::NameTaken { .. })),
        "{thief:?}"
    );
    let odd = json!({ "preferred_username": "../x" });
    let odd = world.log_in("3", &["ops"], odd).await;
    assert!(matches!(odd, Err(OidcError::Claim(_))), "{odd:?}");
    assert_eq!(world.names().await, ["ada", "grace"]);
}

#[tokio::test]
async fn what_the_provider_decides_is_not_decided_here() {
    let world = World::new().await;
    let (app, by) = (&world.app, Actor::machine());
    let done = world
        .log_in("grace", &["root", "ops"], json!({}))
        .await
        .expect("is in");
    let grace = user("grace");
    let set = member::set(app, &by, &workspace(), &grace, Role::Admin).await;
    assert!(matches!(set, Err(PeopleError::State(_))), "{set:?}");
    let removed = member::remove(app, &by, &workspace(), &grace).await;
    assert!(matches!(removed, Err(PeopleError::State(_))), "{removed:?}");
    let link = account::new_link(app, &by, &grace).await;
    assert!(matches!(link, Err(PeopleError::State(_))), "{link:?}");
    let login = Login {
        user: "grace".into(),
        password: "a long enough password".into(),
        code: None,
    };
    let password = account::check(app, &nobody(), &login).await;
    assert!(matches!(password, Err(PeopleError::Wrong)), "{password:?}");
    // Disabling is: also of one who runs the hub, who is not counted among those who must.
    let disabled = account::Standing::Disabled;
    account::set_standing(app, &by, &grace, disabled)
        .await
        .expect("is disabled");
    let dead = session::account_of(app, &done.session)
        .await
        .expect("reads");
    assert!(dead.is_none());
    let out = world.log_in("grace", &["root"], json!({})).await;
    assert!(matches!(out, Err(OidcError::Disabled(_))), "{out:?}");
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_fetched_once() {
    let world = World::new().await;
    world
        .log_in("grace", &["ops"], json!({}))
        .await
        .expect("is in");
    assert_eq!(world.fake.keys_asked_for(), 1);
    world.fake.rotate();
    for _ in 0..2 {
        world
            .log_in("grace", &["ops"], json!({}))
            .await
            .expect("is in");
    }
    assert_eq!(world.fake.keys_asked_for(), 2);
}

#[tokio::test]
async fn groups_may_come_with_the_user_information_of_the_same_person() {
    let world = World::new().await;
    let log_in = async |subject: &str| {
        let way = world.begin().await;
        let mut claims = world.claims(&way, "grace", &[]);
        claims.as_object_mut().expect("claims").remove("groups");
        let grant = Grant {
            challenge: way.challenge.clone(),
            claims,
            userinfo: json!({ "sub": subject, "groups": ["ops"], "preferred_username": "x" }),
            ..Grant::default()
        };
        world.fake.grant("code", grant);
        world.finish(&way.handle, &way.state).await
    };
    let of_another = log_in("mallory").await;
    assert!(
        matches!(of_another, Err(OidcError::Unreachable { .. })),
        "{of_another:?}"
    );
    let done = log_in("grace").await.expect("is in");
    assert_eq!(world.account(&done.session).await.user, user("grace"));
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_left_alone_for_a_moment() {
    let (_dir, app) = app::fresh().await;
    let mut settings = Fake::start().await.settings(&RULES, &[]);
    // Nothing listens on the discard port.
    settings.issuer = issuer("http://127.0.0.1:9").expect("loopback");
    let provider = Provider::new(settings);
    let begin = async || {
        let visitor = Visitor {
            from: None,
            origin: "https://hub.example".into(),
            next: "/".into(),
        };
        super::begin(&app, &provider, visitor).await
    };
    let first = tokio::time::timeout(Duration::from_secs(20), begin()).await;
    let first = first.expect("it does not hang");
    assert!(
        matches!(first, Err(OidcError::Unreachable { .. })),
        "{first:?}"
    );
    let second = begin().await;
    assert!(matches!(second, Err(OidcError::Resting)), "{second:?}");
}
