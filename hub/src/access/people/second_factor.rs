//! The second factor: time-based one-time passwords (RFC 6238: SHA-1, six digits, 30 s, which is what
//! every phone knows), and recovery codes for a phone that is lost.
//!
//! Must never break: a code is good once (RFC 6238, 5.2), a recovery code too.

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::UserName,
    rest::{RecoveryCodes, SecondFactor},
};
use totp_rs::{Builder, Secret, Totp};

use super::{
    PeopleError,
    account::{self, Stored},
    secret,
    sql::SQL,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
};

/// Recovery codes that an account gets.
const CODES: usize = 8;

/// Seconds of a step.
const STEP: u64 = 30;

fn totp(secret: &str, user: &UserName) -> Result<Totp, PeopleError> {
    let damaged = PeopleError::State("the stored second factor is damaged; an admin can reset it");
    let Ok(secret) = Secret::try_from_base32(secret) else {
        return Err(damaged);
    };
    let built = Builder::new()
        .with_secret(secret)
        .with_step_duration(STEP)
        // One step either way: phones are a little off.
        .with_skew(1)
        .with_account_name(user.as_str())
        .with_issuer(Some("Tern"))
        .build();
    built.map_err(|_| damaged)
}

/// Begins: makes a secret that counts once a code of it was confirmed.
pub async fn propose(app: &App, user: &UserName) -> Result<SecondFactor, PeopleError> {
    let secret = Secret::generate().to_base32();
    let address = totp(&secret, user)?
        .to_url()
        .map_err(|_| PeopleError::State("this account's name cannot stand in an address"))?;
    let qr = qrcode::QrCode::new(&address)
        .map_err(|_| PeopleError::State("this account's name is too long for a QR code"))?
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(200, 200)
        .build();
    let update = "UPDATE account SET factor_pending = $2 WHERE name = $1 AND factor IS NULL";
    let values = [user.as_str().into(), secret.clone().into()];
    if SQL.exec(app.store.write(), update, values).await? == 0 {
        return Err(PeopleError::State(
            "this account has a second factor; remove it first",
        ));
    }
    Ok(SecondFactor {
        secret,
        address,
        qr,
    })
}

/// From now on the account needs it; gives the recovery codes.
pub async fn confirm(
    app: &App,
    by: &Actor,
    user: &UserName,
    code: &str,
) -> Result<RecoveryCodes, PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    let found = account::find(&txn, user.as_str()).await?;
    let found = found.ok_or_else(|| account::not_found(user))?;
    let text = "no second factor is being set up; begin again";
    let pending = found.factor_pending.ok_or(PeopleError::State(text))?;
    let step = step_of(app, &pending, user, code)?.ok_or(PeopleError::Wrong)?;
    let update = "UPDATE account SET factor = factor_pending, factor_pending = NULL, \
                  factor_step = $2 WHERE name = $1";
    SQL.exec(&txn, update, [user.as_str().into(), step.into()])
        .await?;
    SQL.exec(
        &txn,
        "DELETE FROM recovery_code WHERE \"user\" = $1",
        [user.as_str().into()],
    )
    .await?;
    let mut codes = Vec::with_capacity(CODES);
    for _ in 0..CODES {
        let code: String = secret::new("")?
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(16)
            .collect::<String>()
            .to_lowercase();
        let insert = "INSERT INTO recovery_code (\"user\", hash) VALUES ($1, $2)";
        let values = [user.as_str().into(), secret::hashed(&code).into()];
        SQL.exec(&txn, insert, values).await?;
        codes.push(code);
    }
    let deed = Deed::new("user.second-factor", format!("user {user}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(RecoveryCodes { codes })
}

/// Takes it away.
pub async fn remove(app: &App, by: &Actor, user: &UserName) -> Result<(), PeopleError> {
    let txn = SQL.begin(&app.store).await?;
    let update = "UPDATE account SET factor = NULL, factor_pending = NULL WHERE name = $1";
    SQL.exec(&txn, update, [user.as_str().into()]).await?;
    SQL.exec(
        &txn,
        "DELETE FROM recovery_code WHERE \"user\" = $1",
        [user.as_str().into()],
    )
    .await?;
    let deed = Deed::new("user.second-factor-removed", format!("user {user}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(())
}

/// Whether a code is good for an account, and uses it up. An account without a second factor needs
/// none.
pub(super) async fn check(
    app: &App,
    account: &Stored,
    code: Option<&str>,
) -> Result<(), PeopleError> {
    let Some(factor) = &account.factor else {
        return Ok(());
    };
    let code = code.unwrap_or_default().trim();
    if let Some(step) = step_of(app, factor, &account.name, code)? {
        return use_step(app.store.write(), account, step).await;
    }
    let delete = "DELETE FROM recovery_code WHERE \"user\" = $1 AND hash = $2";
    let values = [
        account.name.as_str().into(),
        secret::hashed(&code.to_lowercase()).into(),
    ];
    match SQL.exec(app.store.write(), delete, values).await? {
        0 => Err(PeopleError::Wrong),
        _ => Ok(()),
    }
}

/// Of two uses of one code the second is refused, even if both come at the same moment.
async fn use_step<C: ConnectionTrait>(
    db: &C,
    account: &Stored,
    step: i64,
) -> Result<(), PeopleError> {
    let update = "UPDATE account SET factor_step = $2 WHERE name = $1 AND factor_step < $2";
    match SQL
        .exec(db, update, [account.name.as_str().into(), step.into()])
        .await?
    {
        0 => Err(PeopleError::Wrong),
        _ => Ok(()),
    }
}

/// The step whose code this is, if it is one of now.
fn step_of(
    app: &App,
    secret: &str,
    user: &UserName,
    code: &str,
) -> Result<Option<i64>, PeopleError> {
    let now = u64::try_from(app.clock.now().0 / 1_000).unwrap_or(0);
    let step = totp(secret, user)?.check(code, now);
    Ok(step.map(|step| step as i64))
}
