//! `tern rollout plan`, `tern rollout template`: plans as files and as templates of a model.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tern_protocol::{
    id::ModelName,
    rest::{Plan, RehearsalRequest},
};
use utoipa::OpenApi as _;

use super::{Answer, Context, rollout::RolloutError};
use crate::{
    clock,
    out::{Reader, talk},
    show,
};

/// Longest file of a plan, in bytes.
const PLAN_MAX: u64 = 1 << 20;

/// What `tern rollout plan` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// The plan, as YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    file: Option<PathBuf>,
    /// Say what is wrong with it and what would come of it; exit code 1 if it cannot be carried out
    #[arg(long)]
    check: bool,
    /// Print the JSON Schema of plans, for editors
    #[arg(long, conflicts_with_all = ["file", "check", "save"])]
    schema: bool,
    /// Keep it as a template of its model, under this name
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    save: Option<String>,
}

/// What `tern rollout rehearse` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RehearseArgs {
    /// The plan, as YAML or JSON; `-` reads standard input
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// A fleet as this file (YAML or JSON) describes it; the fleet as it was recorded if not given
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Runs with a version that does no harm, and as many with each kind of harm; fewer on large fleets
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
    /// Print the fleet as it was recorded, to be changed and given to --fleet
    #[arg(long, conflicts_with = "fleet")]
    print_fleet: bool,
}

/// Templates of plans.
#[derive(Debug, Subcommand)]
pub(crate) enum TemplateCommand {
    /// The templates of a model
    List {
        /// The model
        model: ModelName,
    },
    /// One as a plan, to be changed or started
    Show {
        /// The model
        model: ModelName,
        /// Its name
        name: String,
    },
    /// Remove one; rollouts that were started by it go on
    Remove {
        /// The model
        model: ModelName,
        /// Its name
        name: String,
    },
}

/// Why a file is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("{file} cannot be read")]
    Read {
        file: String,
        #[source]
        err: std::io::Error,
    },
    #[error("{file} is larger than such a file may be (1 MiB)")]
    TooLarge { file: String },
    #[error("{file} is no {what}: {text}")]
    NoPlan {
        file: String,
        what: &'static str,
        text: String,
    },
    #[error("the schema cannot be written")]
    Schema(#[source] serde_json::Error),
    #[error(
        "model {model} has no template `{name}`; `tern rollout template list {model}` shows those there are"
    )]
    NoTemplate { model: ModelName, name: String },
}

/// Reads a plan.
pub(crate) fn read(file: &Path) -> Result<Plan, PlanError> {
    parse(file, "plan")
}

/// Reads a file of YAML or JSON.
fn parse<T: serde::de::DeserializeOwned>(file: &Path, what: &'static str) -> Result<T, PlanError> {
    // JSON is YAML as well.
    serde_saphyr::from_str(&text(file)?).map_err(|err| PlanError::NoPlan {
        file: file.display().to_string(),
        what,
        text: err.to_string(),
    })
}

/// Reads a file that a person wrote.
pub(crate) fn text(file: &Path) -> Result<String, PlanError> {
    let name = file.display().to_string();
    let open = || -> std::io::Result<String> {
        use std::io::Read as _;
        let mut text = String::new();
        if file == Path::new("-") {
            std::io::stdin()
                .take(PLAN_MAX + 1)
                .read_to_string(&mut text)?;
        } else {
            std::fs::File::open(file)?
                .take(PLAN_MAX + 1)
                .read_to_string(&mut text)?;
        }
        Ok(text)
    };
    let text = open().map_err(|err| PlanError::Read {
        file: name.clone(),
        err,
    })?;
    if text.len() as u64 > PLAN_MAX {
        return Err(PlanError::TooLarge { file: name });
    }
    Ok(text)
}

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Plan)))]
struct Schemas;

/// The JSON Schema of one of the types of a document, with all that it refers to.
pub(crate) fn schema_of(
    title: &str,
    name: &str,
    document: &utoipa::openapi::OpenApi,
) -> Result<serde_json::Value, PlanError> {
    let document = serde_json::to_value(document).map_err(PlanError::Schema)?;
    Ok(serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    }))
}

pub(crate) fn run(context: &Context, args: &PlanArgs) -> Result<Answer, RolloutError> {
    if args.schema {
        let schema = schema_of("Plan of a rollout", "Plan", &Schemas::openapi())?;
        context.out.document(&schema)?;
        return Ok(Answer::Yes);
    }
    let file = args.file.as_deref().unwrap_or(Path::new("-"));
    let plan = read(file)?;
    if args.check {
        let check = context.client.check_plan(&plan)?;
        context
            .out
            .answer(&check, |look| show::evidence::check(&check, look))?;
        return Ok(if check.problems.is_empty() {
            Answer::Yes
        } else {
            Answer::No
        });
    }
    if let Some(name) = &args.save {
        context.client.save_template(&plan.model, name, &plan)?;
        if context.out.reader == Reader::Person {
            talk(format_args!(
                "kept; next: tern rollout start {}@latest --template {name}",
                plan.model
            ));
        }
        return Ok(Answer::Yes);
    }
    // With all that it leaves to defaults.
    context.out.document(&plan)?;
    Ok(Answer::Yes)
}

pub(crate) fn rehearse(context: &Context, args: &RehearseArgs) -> Result<Answer, RolloutError> {
    let fleet = args.fleet.as_deref().map(|file| parse(file, "fleet"));
    let request = RehearsalRequest {
        plan: read(&args.plan)?,
        fleet: fleet.transpose()?,
        runs: if args.print_fleet { 1 } else { args.runs },
    };
    let waiting =
        (context.out.reader == Reader::Person).then(|| super::spinner("rehearsing".into()));
    let rehearsed = context.client.rehearse(&request);
    if let Some(waiting) = waiting {
        waiting.finish_and_clear();
    }
    let rehearsed = rehearsed?;
    if args.print_fleet {
        context.out.document(&rehearsed.fleet)?;
        return Ok(Answer::Yes);
    }
    let text = |look| show::rehearsal::rehearsed(&rehearsed, look);
    context.out.answer(&rehearsed, text)?;
    Ok(Answer::Yes)
}

/// One template of a model.
pub(crate) fn template(
    context: &Context,
    model: &ModelName,
    name: &str,
) -> Result<Plan, RolloutError> {
    let all = context.client.templates(model)?;
    let found = all.into_iter().find(|one| one.name == name);
    let found = found.ok_or_else(|| PlanError::NoTemplate {
        model: model.clone(),
        name: name.to_owned(),
    })?;
    Ok(found.plan)
}

pub(crate) fn templates(
    context: &Context,
    command: &TemplateCommand,
) -> Result<Answer, RolloutError> {
    match command {
        TemplateCommand::List { model } => {
            let all = context.client.templates(model)?;
            let advice = "no template yet; keep one with `tern rollout plan FILE --save NAME`";
            let text = |look| show::evidence::templates(&all, clock::now(), look);
            context.out.list(&all, advice, text)?;
        }
        TemplateCommand::Show { model, name } => {
            context.out.document(&template(context, model, name)?)?;
        }
        TemplateCommand::Remove { model, name } => {
            context.client.remove_template(model, name)?;
        }
    }
    Ok(Answer::Yes)
}
