use std::time::Duration;

use tern_protocol::{
    id::{UserName, WorkspaceId},
    rest::{Login, NewToken, NewUser, Role, Setup},
};

use super::{session::Way, *};
use crate::{
    access::{
        audit::{self, Actor, AuditFilter},
        principal::Who,
    },
    app::{self, App},
};

const PASSWORD: &str = "a long enough password";

fn user(name: &str) -> UserName {
    name.parse().expect("a name")
}

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

/// `code` may be a link: its code stands behind `#`.
fn setup(code: &str, name: &str) -> Setup {
    let code = code
        .rsplit('#')
        .next()
        .expect("there is always a last part");
    Setup {
        code: code.into(),
        user: Some(user(name)),
        password: PASSWORD.into(),
    }
}

fn login(name: &str, password: &str) -> Login {
    Login {
        user: name.into(),
        password: password.into(),
        code: None,
    }
}

/// A hub whose first account is `root`.
async fn hub() -> (tempfile::TempDir, App) {
    let (dir, app) = app::fresh().await;
    let code = link::for_first_account(&app).await.expect("works");
    let code = code.expect("there is no account yet");
    let name = link::redeem(&app, &Actor::machine(), setup(&code, "root")).await;
    assert_eq!(name.expect("the link is good"), user("root"));
    (dir, app)
}

/// A member with this role.
async fn member(app: &App, name: &str, role: Role) {
    let new = NewUser {
        name: user(name),
        hub_admin: false,
    };
    let by = Actor::machine();
    let made = account::create(app, &by, &new).await.expect("makes it");
    let used = link::redeem(app, &by, setup(&made.link, "ignored")).await;
    assert_eq!(used.expect("the link is good"), user(name));
    member::set(app, &by, &workspace(), &user(name), role)
        .await
        .expect("becomes a member");
}

fn new_token(role: Role) -> NewToken {
    NewToken {
        name: "a program".into(),
        role: Some(role),
        expires_in_s: 3_600,
        hub: false,
    }
}

#[tokio::test]
async fn the_first_link_is_good_once_and_a_newer_one_voids_it() {
    let (_dir, app) = app::fresh().await;
    let first = link::for_first_account(&app)
        .await
        .expect("works")
        .expect("a code");
    let second = link::for_first_account(&app)
        .await
        .expect("works")
        .expect("a code");
    let by = Actor::machine();
    let void = link::redeem(&app, &by, setup(&first, "eve")).await;
    assert!(matches!(void, Err(PeopleError::Link)));
    link::redeem(&app, &by, setup(&second, "root"))
        .await
        .expect("good");
    let again = link::redeem(&app, &by, setup(&second, "eve")).await;
    assert!(matches!(again, Err(PeopleError::Link)));
    assert_eq!(link::for_first_account(&app).await.expect("works"), None);
    assert_eq!(account::users(&app.store).await.expect("reads").len(), 1);
}

#[tokio::test]
async fn a_link_expires() {
    let (_dir, app) = app::fresh().await;
    let code = link::for_first_account(&app)
        .await
        .expect("works")
        .expect("a code");
    app.clock.advance(Duration::from_hours(25));
    let late = link::redeem(&app, &Actor::machine(), setup(&code, "root")).await;
    assert!(matches!(late, Err(PeopleError::Link)));
}

#[tokio::test]
async fn only_name_and_password_together_log_in_and_guessing_gets_slow() {
    let (_dir, app) = hub().await;
    let from = Actor::machine();
    let right = account::check(&app, &from, &login("root", PASSWORD)).await;
    assert_eq!(right.expect("it is right"), user("root"));
    let mut throttled = 0;
    for _ in 0..8 {
        match account::check(&app, &from, &login("root", "a wrong password")).await {
            Err(PeopleError::Wrong) => {}
            Err(PeopleError::Throttled { again_in_s }) => {
                assert!(again_in_s > 0);
                throttled += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(throttled > 0, "guesses were never slowed");
    app.clock.advance(Duration::from_hours(2));
    let later = account::check(&app, &from, &login("root", PASSWORD)).await;
    assert!(later.is_ok(), "an owner is never locked out for good");
    let nobody = account::check(&app, &from, &login("nobody", PASSWORD)).await;
    assert!(matches!(nobody, Err(PeopleError::Wrong)));
    let failures = AuditFilter {
        action: Some("session.login-failed".into()),
        ..AuditFilter::default()
    };
    let failures = audit::list(&app.store, &failures).await.expect("reads");
    assert!(!failures.items.is_empty());
}

#[tokio::test]
async fn every_login_is_a_new_session_and_the_old_one_ends() {
    let (_dir, app) = hub().await;
    let by = Actor::machine();
    let first = session::begin_for(&app, &by, &user("root"), None, Way::Password)
        .await
        .expect("begins");
    let second = session::begin_for(&app, &by, &user("root"), Some(&first), Way::Password).await;
    let second = second.expect("begins");
    assert_ne!(first, second);
    let old = session::account_of(&app, &first).await.expect("reads");
    assert_eq!(old, None);
    let account = session::account_of(&app, &second).await.expect("reads");
    assert!(account.expect("it is good").hub_admin);
    session::end(&app, &by, &second).await.expect("ends");
    assert_eq!(
        session::account_of(&app, &second).await.expect("reads"),
        None
    );
}

#[tokio::test]
async fn sessions_end_when_nobody_uses_them_and_after_a_week() {
    let (_dir, app) = hub().await;
    let by = Actor::machine();
    let secret = session::begin_for(&app, &by, &user("root"), None, Way::Password)
        .await
        .expect("begins");
    for _ in 0..20 {
        app.clock.advance(Duration::from_hours(8));
        let account = session::account_of(&app, &secret).await.expect("reads");
        assert!(account.is_some(), "a session that is used goes on");
    }
    app.clock.advance(Duration::from_hours(9));
    assert_eq!(
        session::account_of(&app, &secret).await.expect("reads"),
        None
    );
    let secret = session::begin_for(&app, &by, &user("root"), None, Way::Password)
        .await
        .expect("begins");
    app.clock.advance(session::IDLE + Duration::from_secs(1));
    assert_eq!(
        session::account_of(&app, &secret).await.expect("reads"),
        None
    );
}

#[tokio::test]
async fn taking_a_role_away_reaches_tokens_at_once() {
    let (_dir, app) = hub().await;
    member(&app, "ada", Role::Operator).await;
    let by = Actor::machine();
    let (ada, own) = (user("ada"), Role::Operator);
    let more = token::create(&app, &by, &ada, &workspace(), own, new_token(Role::Admin)).await;
    assert!(matches!(more, Err(PeopleError::MoreThanOwn { .. })));
    let minted = token::create(&app, &by, &ada, &workspace(), own, new_token(own)).await;
    let text = minted.expect("mints").token;
    let role = || async {
        match token::who(&app, &text).await.expect("reads") {
            Some(Who::Token { role, .. }) => Some(role),
            _ => None,
        }
    };
    assert_eq!(role().await, Some(Role::Operator));
    member::set(&app, &by, &workspace(), &ada, Role::Viewer)
        .await
        .expect("sets");
    assert_eq!(role().await, Some(Role::Viewer));
    member::remove(&app, &by, &workspace(), &ada)
        .await
        .expect("removes");
    assert_eq!(role().await, None);
    member::set(&app, &by, &workspace(), &ada, Role::Operator)
        .await
        .expect("sets");
    account::set_standing(&app, &by, &ada, account::Standing::Disabled)
        .await
        .expect("disables");
    assert_eq!(role().await, None);
}

#[tokio::test]
async fn tokens_expire_and_are_revoked_by_their_owner_or_an_admin_only() {
    let (_dir, app) = hub().await;
    member(&app, "ada", Role::Viewer).await;
    let (by, ada, eve) = (Actor::machine(), user("ada"), user("eve"));
    let minted = token::create(
        &app,
        &by,
        &ada,
        &workspace(),
        Role::Viewer,
        new_token(Role::Viewer),
    )
    .await
    .expect("mints");
    let id = minted.view.id;
    let foreign = token::revoke(&app, &by, &workspace(), id, token::Whose::Of(&eve)).await;
    assert!(matches!(foreign, Err(PeopleError::NotFound { .. })));
    assert!(
        token::who(&app, &minted.token)
            .await
            .expect("reads")
            .is_some()
    );
    token::revoke(&app, &by, &workspace(), id, token::Whose::Of(&ada))
        .await
        .expect("revokes");
    assert!(
        token::who(&app, &minted.token)
            .await
            .expect("reads")
            .is_none()
    );
    let minted = token::create(
        &app,
        &by,
        &ada,
        &workspace(),
        Role::Viewer,
        new_token(Role::Viewer),
    )
    .await
    .expect("mints");
    app.clock.advance(Duration::from_hours(2));
    assert!(
        token::who(&app, &minted.token)
            .await
            .expect("reads")
            .is_none()
    );
}

#[tokio::test]
async fn a_code_of_the_second_factor_is_good_once() {
    let (_dir, app) = hub().await;
    app.clock.advance(Duration::from_hours(500_000));
    let (by, root) = (Actor::machine(), user("root"));
    let proposed = second_factor::propose(&app, &root).await.expect("proposes");
    assert!(proposed.qr.contains("<svg") && proposed.address.starts_with("otpauth://"));
    let code = |app: &App| {
        let secret = totp_rs::Secret::try_from_base32(&proposed.secret).expect("Base32");
        let built = totp_rs::Builder::new().with_secret(secret).build();
        let totp = built.expect("a secret of ours");
        totp.generate(app.clock.now().0 as u64 / 1_000).to_string()
    };
    let plain = account::check(&app, &by, &login("root", PASSWORD)).await;
    assert!(plain.is_ok(), "what is not confirmed is not needed");
    let wrong = second_factor::confirm(&app, &by, &root, "000000").await;
    assert!(matches!(wrong, Err(PeopleError::Wrong)));
    let codes = second_factor::confirm(&app, &by, &root, &code(&app)).await;
    let codes = codes.expect("it is right").codes;
    let needed = account::check(&app, &by, &login("root", PASSWORD)).await;
    assert!(matches!(needed, Err(PeopleError::SecondFactorNeeded)));
    let with = |code: &str| Login {
        code: Some(code.into()),
        ..login("root", PASSWORD)
    };
    let replayed = account::check(&app, &by, &with(&code(&app))).await;
    assert!(
        matches!(replayed, Err(PeopleError::Wrong)),
        "used to confirm"
    );
    app.clock.advance(Duration::from_mins(1));
    let fresh = code(&app);
    account::check(&app, &by, &with(&fresh))
        .await
        .expect("a fresh code");
    let replayed = account::check(&app, &by, &with(&fresh)).await;
    assert!(matches!(replayed, Err(PeopleError::Wrong)));
    account::check(&app, &by, &with(&codes[0]))
        .await
        .expect("a recovery code");
    let replayed = account::check(&app, &by, &with(&codes[0])).await;
    assert!(matches!(replayed, Err(PeopleError::Wrong)));
}

#[tokio::test]
async fn somebody_always_runs_the_hub() {
    let (_dir, app) = hub().await;
    let by = Actor::machine();
    let last = account::set_standing(&app, &by, &user("root"), account::Standing::Disabled).await;
    assert!(matches!(last, Err(PeopleError::LastHubAdmin(_))));
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    if crate::store::testing::on_server() {
        // Its files are not ours to read.
        return;
    }
    let (dir, app) = hub().await;
    member(&app, "ada", Role::Viewer).await;
    let by = Actor::machine();
    let session = session::begin_for(&app, &by, &user("root"), None, Way::Password)
        .await
        .expect("begins");
    let ada = user("ada");
    let minted = token::create(
        &app,
        &by,
        &ada,
        &workspace(),
        Role::Viewer,
        new_token(Role::Viewer),
    )
    .await
    .expect("mints");
    let link = account::new_link(&app, &by, &ada)
        .await
        .expect("makes one")
        .link;
    let (_, link) = link.split_once('#').expect("a code");
    app.store.close().await;
    let files = std::fs::read_dir(dir.path()).expect("reads").flatten();
    let mut read = 0;
    for file in files.filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).expect("reads");
        read += bytes.len();
        for secret in [&session, &minted.token, link, PASSWORD] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in {}", file.path().display());
        }
    }
    assert!(read > 4_096, "there was nothing to look at");
}
