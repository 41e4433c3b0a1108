//! The account of a person whom the provider named, as their groups want it.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::{UserName, WorkspaceId},
    rest::Role,
};

use super::{OidcError, Settings, claims::Person, rules::Standing};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        people::{account, member, sql::SQL},
        role::role_name,
    },
    app::App,
    fleet,
    store::{StoreError, parsed},
};

/// Makes the account if it is the first time, and gives it the roles of the person's groups, also if
/// these are none: then nobody is logged in, and sessions and tokens from before may do nothing.
pub(super) async fn admit(
    app: &App,
    by: &Actor,
    settings: &Settings,
    person: &Person,
) -> Result<UserName, OidcError> {
    let there = fleet::workspaces(&app.store).await?;
    let standing = settings.rules.standing(&person.groups, &there);
    let txn = SQL.begin(&app.store).await?;
    let admitted = match known(&txn, settings, &person.subject).await? {
        Some(name) => again(&txn, app, by, &name, person, &standing).await?,
        None => first(&txn, app, by, settings, person, &standing).await?,
    };
    // The roles that were taken away stay so, and the refusal is written down.
    if let Err(err) = &admitted {
        let who = format!("subject {} of OpenID", person.subject);
        let deed = Deed::new("session.login-failed", who).detail(why(err));
        audit::record(&txn, &app.clock, by, deed).await?;
    }
    SQL.commit(txn).await?;
    admitted
}

/// For the audit log: without the groups, which are not the hub's to keep.
fn why(err: &OidcError) -> String {
    match err {
        OidcError::NoRole { .. } => "none of their groups has a role".into(),
        other => other.to_string(),
    }
}

async fn known<C: ConnectionTrait>(
    db: &C,
    settings: &Settings,
    subject: &str,
) -> Result<Option<UserName>, StoreError> {
    let select = "SELECT \"user\" FROM oidc_subject WHERE issuer = $1 AND subject = $2";
    let values = [settings.issuer.as_str().into(), subject.into()];
    let found = SQL.row(db, select, values).await?;
    let name: Option<String> = found
        .as_ref()
        .map(|row| SQL.column(row, "user"))
        .transpose()?;
    name.map(|name| parsed("account's name", &name)).transpose()
}

fn no_role(person: &Person) -> OidcError {
    let groups: Vec<&str> = person.groups.iter().map(String::as_str).take(50).collect();
    OidcError::NoRole {
        subject: super::short(&person.subject),
        groups: super::short(&groups.join(", ")),
    }
}

/// Somebody who was here before: under the name that they had then.
async fn again<C: ConnectionTrait>(
    txn: &C,
    app: &App,
    by: &Actor,
    name: &UserName,
    person: &Person,
    standing: &Standing,
) -> Result<Result<UserName, OidcError>, OidcError> {
    let account = account::find(txn, name.as_str()).await?;
    let account = account.ok_or_else(|| account::not_found(name))?;
    let by = by.as_user(name);
    if account.hub_admin != standing.hub_admin {
        let update = "UPDATE account SET hub_admin = $2 WHERE name = $1";
        let values = [name.as_str().into(), standing.hub_admin.into()];
        SQL.exec(txn, update, values).await?;
        let deed = Deed::new("user.hub-admin", format!("user {name}"))
            .before(&account.hub_admin)
            .after(&standing.hub_admin)
            .detail(if standing.hub_admin {
                "given by their groups"
            } else {
                "taken away by their groups"
            });
        audit::record(txn, &app.clock, &by, deed).await?;
    }
    give_roles(txn, app, &by, name, &standing.roles).await?;
    Ok(if !account.enabled {
        Err(OidcError::Disabled(name.to_string()))
    } else if standing.is_nothing() {
        Err(no_role(person))
    } else {
        Ok(name.clone())
    })
}

/// Somebody new.
async fn first<C: ConnectionTrait>(
    txn: &C,
    app: &App,
    by: &Actor,
    settings: &Settings,
    person: &Person,
    standing: &Standing,
) -> Result<Result<UserName, OidcError>, OidcError> {
    if standing.is_nothing() {
        return Ok(Err(no_role(person)));
    }
    let name: UserName = match person.name.parse() {
        Ok(name) => name,
        Err(err) => {
            let claim = &settings.user_claim;
            let text = format!("the claim `{claim}` does not name an account: {err}");
            return Ok(Err(OidcError::Claim(text)));
        }
    };
    // A name at the provider may be given to somebody else, or be what somebody calls themselves.
    if account::find(txn, name.as_str()).await?.is_some() {
        return Ok(Err(OidcError::NameTaken {
            name: name.to_string(),
            subject: super::short(&person.subject),
        }));
    }
    account::room_for_one_more(txn).await?;
    let now = app.clock.now();
    account::insert(txn, now, &name, standing.hub_admin, "oidc", None).await?;
    let insert = "INSERT INTO oidc_subject (issuer, subject, \"user\") VALUES ($1, $2, $3)";
    let values = [
        settings.issuer.as_str().into(),
        person.subject.as_str().into(),
        name.as_str().into(),
    ];
    SQL.exec(txn, insert, values).await?;
    let by = by.as_user(&name);
    let deed = Deed::new("user.create", format!("user {name}"))
        .after(&standing.hub_admin)
        .detail(format!("OpenID subject {}", super::short(&person.subject)));
    audit::record(txn, &app.clock, &by, deed).await?;
    give_roles(txn, app, &by, &name, &standing.roles).await?;
    Ok(Ok(name))
}

/// Exactly these roles from now on.
async fn give_roles<C: ConnectionTrait>(
    txn: &C,
    app: &App,
    by: &Actor,
    name: &UserName,
    roles: &BTreeMap<WorkspaceId, Role>,
) -> Result<(), OidcError> {
    let had = account::roles(txn, name.as_str()).await?;
    for (workspace, role) in roles {
        let old = had.get(workspace);
        if old == Some(role) {
            continue;
        }
        member::write(txn, workspace, name, *role).await?;
        let mut deed = Deed::new("member.set", format!("user {name}"))
            .within(workspace)
            .after(role)
            .detail(format!("{} by their groups", role_name(*role)));
        if let Some(old) = old {
            deed = deed.before(old);
        }
        audit::record(txn, &app.clock, by, deed).await?;
    }
    for (workspace, old) in had.iter().filter(|(had, _)| !roles.contains_key(*had)) {
        member::delete(txn, workspace, name).await?;
        let deed = Deed::new("member.remove", format!("user {name}"))
            .within(workspace)
            .before(old)
            .detail("by their groups");
        audit::record(txn, &app.clock, by, deed).await?;
    }
    Ok(())
}
