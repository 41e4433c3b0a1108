//! Plans that are kept for a model, to start rollouts of its versions by.

use sea_orm::{ConnectionTrait, QueryResult, Statement, TransactionTrait as _};
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{Plan, PlanTemplate},
    time::WallTime,
};

use super::operations::RolloutError;
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::{Doing as _, StoreError},
};

const DOING: &str = "reading or writing templates of plans";

/// Templates of one model, at most.
const TEMPLATES: usize = 100;

/// Longest name, in characters.
const NAME_MAX: usize = 64;

/// The templates of a model, by name.
pub async fn list(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Vec<PlanTemplate>, StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT name, plan, updated, actor FROM plan_template \
         WHERE workspace = $1 AND model = $2 ORDER BY name",
        [workspace.as_str().into(), model.as_str().into()],
    );
    let rows = db.query_all_raw(select).await.doing(DOING)?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &QueryResult) -> Result<PlanTemplate, StoreError> {
    let name: String = row.try_get_by_index(0).doing(DOING)?;
    let plan: String = row.try_get_by_index(1).doing(DOING)?;
    let plan = serde_json::from_str(&plan).map_err(|_| StoreError::Value {
        what: "template of a plan",
        value: name.clone(),
    })?;
    Ok(PlanTemplate {
        name,
        plan,
        updated: WallTime(row.try_get_by_index(2).doing(DOING)?),
        by: row.try_get_by_index(3).doing(DOING)?,
    })
}

/// Writes a template; one of the same name is replaced.
pub async fn save(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    name: &str,
    plan: Plan,
) -> Result<PlanTemplate, RolloutError> {
    let plan = Plan {
        version: None,
        model: model.clone(),
        ..plan
    };
    let problems = plan.problems();
    if !problems.is_empty() {
        return Err(RolloutError::Plan { problems });
    }
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        return Err(RolloutError::Template {
            text: format!(
                "a template's name has 1 to {NAME_MAX} letters, digits, dots, dashes or underscores"
            ),
        });
    }
    let template = PlanTemplate {
        name: name.to_owned(),
        plan,
        updated: app.clock.now(),
        by: by.name.clone(),
    };
    let txn = app.store.write().begin().await.doing(DOING)?;
    let known = list(&txn, workspace, model).await?;
    if known.len() >= TEMPLATES && known.iter().all(|one| one.name != name) {
        return Err(RolloutError::Template {
            text: format!("a model has at most {TEMPLATES} templates; remove some"),
        });
    }
    let json = serde_json::to_string(&template.plan).expect("plain data is JSON");
    let upsert = Statement::from_sql_and_values(
        txn.get_database_backend(),
        "INSERT INTO plan_template (workspace, model, name, plan, updated, actor) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, model, name) \
         DO UPDATE SET plan = excluded.plan, updated = excluded.updated, actor = excluded.actor",
        [
            workspace.as_str().into(),
            model.as_str().into(),
            name.into(),
            json.into(),
            template.updated.0.into(),
            template.by.as_str().into(),
        ],
    );
    txn.execute_raw(upsert).await.doing(DOING)?;
    let deed = Deed::new("plan.save", format!("template {name} of {model}"))
        .within(workspace)
        .after(&template);
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(DOING)?;
    Ok(template)
}

/// Removes a template; whether there was one.
pub async fn remove(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    name: &str,
) -> Result<bool, StoreError> {
    let txn = app.store.write().begin().await.doing(DOING)?;
    let delete = Statement::from_sql_and_values(
        txn.get_database_backend(),
        "DELETE FROM plan_template WHERE workspace = $1 AND model = $2 AND name = $3",
        [
            workspace.as_str().into(),
            model.as_str().into(),
            name.into(),
        ],
    );
    let deleted = txn.execute_raw(delete).await.doing(DOING)?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    let deed = Deed::new("plan.remove", format!("template {name} of {model}")).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(DOING)?;
    Ok(true)
}
