//! Objects of MLflow's protocol. A field without a value is absent.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tracking::{
    Point, Texts,
    experiment::Experiment as DomainExperiment,
    input::Dataset as DomainDataset,
    logged::{Logged, Measured},
    model::Registered,
    page::Page,
    run::{Info, Run as DomainRun},
    version::Version,
};

/// A number that may be written as a text, as in queries and by some writers of protobuf.
pub(super) fn int<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Fraction(f64),
        Text(String),
    }
    Ok(match Option::<Written>::deserialize(from)? {
        None => None,
        Some(Written::Number(number)) => Some(number),
        // Python says times in milliseconds as fractions now and then.
        Some(Written::Fraction(number)) if number.abs() < 9e15 => Some(number as i64),
        Some(Written::Fraction(number)) => {
            return Err(serde::de::Error::custom(format!(
                "{number} is no whole number"
            )));
        }
        Some(Written::Text(text)) => Some(text.trim().parse().map_err(|_| {
            let text: String = text.chars().take(40).collect();
            serde::de::Error::custom(format!("`{text}` is no whole number"))
        })?),
    })
}

/// Yes or no, that may be written as a text.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Flag(bool),
        Text(String),
    }
    Ok(match Option::<Written>::deserialize(from)? {
        None => false,
        Some(Written::Flag(flag)) => flag,
        Some(Written::Text(text)) => text.eq_ignore_ascii_case("true"),
    })
}

/// A number that JSON may have no word for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Double(pub(super) f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_nan() {
            to.serialize_str("NaN")
        } else if self.0 == f64::INFINITY {
            to.serialize_str("Infinity")
        } else if self.0 == f64::NEG_INFINITY {
            to.serialize_str("-Infinity")
        } else {
            to.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        let value = match Written::deserialize(from)? {
            Written::Number(number) => number,
            Written::Text(text) => match text.as_str() {
                "NaN" => f64::NAN,
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                text => text.parse().map_err(|_| {
                    let text: String = text.chars().take(40).collect();
                    serde::de::Error::custom(format!("`{text}` is no number"))
                })?,
            },
        };
        Ok(Self(value))
    }
}

/// A param or a tag.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: String,
}

/// As they are sent.
pub(super) fn texts(pairs: Vec<Pair>) -> Texts {
    pairs
        .into_iter()
        .map(|pair| (pair.key, pair.value))
        .collect()
}

fn pairs(texts: &Texts) -> Vec<Pair> {
    let pair = |(key, value): (&String, &String)| Pair {
        key: key.clone(),
        value: value.clone(),
    };
    texts.iter().map(pair).collect()
}

#[derive(Debug, Serialize)]
pub(super) struct Experiment {
    experiment_id: String,
    name: String,
    artifact_location: String,
    lifecycle_stage: &'static str,
    creation_time: i64,
    last_update_time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
}

impl From<&DomainExperiment> for Experiment {
    fn from(of: &DomainExperiment) -> Self {
        Self {
            experiment_id: of.id.to_string(),
            name: of.name.clone(),
            artifact_location: of.artifact_location.clone(),
            lifecycle_stage: of.stage.word(),
            creation_time: of.created,
            last_update_time: of.updated,
            tags: pairs(&of.tags),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct RunInfo {
    run_id: String,
    run_uuid: String,
    experiment_id: String,
    run_name: String,
    user_id: String,
    status: &'static str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: String,
    lifecycle_stage: &'static str,
}

impl From<&Info> for RunInfo {
    fn from(of: &Info) -> Self {
        Self {
            run_id: of.run_id.clone(),
            run_uuid: of.run_id.clone(),
            experiment_id: of.experiment.to_string(),
            run_name: of.name.clone(),
            user_id: of.user_id.clone(),
            status: of.status.word(),
            start_time: of.start_time,
            end_time: of.end_time,
            artifact_uri: of.artifact_uri.clone(),
            lifecycle_stage: of.stage.word(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Metric {
    key: String,
    value: Double,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    model_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    run_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dataset_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dataset_digest: String,
}

impl From<&Point> for Metric {
    fn from(of: &Point) -> Self {
        Self {
            key: of.key.clone(),
            value: Double(of.value),
            timestamp: of.at,
            step: of.step,
            model_id: String::new(),
            run_id: String::new(),
            dataset_name: String::new(),
            dataset_digest: String::new(),
        }
    }
}

impl Metric {
    /// Of this run.
    pub(super) fn of_run(mut self, run_id: &str) -> Self {
        run_id.clone_into(&mut self.run_id);
        self
    }
}

#[derive(Debug, Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct DatasetInput {
    dataset: Dataset,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
}

#[derive(Debug, Serialize, Deserialize, Default)]
#[serde(default)]
struct Dataset {
    name: String,
    digest: String,
    source_type: String,
    source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    schema: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    profile: String,
}

impl From<DatasetInput> for DomainDataset {
    fn from(of: DatasetInput) -> Self {
        Self {
            name: of.dataset.name,
            digest: of.dataset.digest,
            source_type: of.dataset.source_type,
            source: of.dataset.source,
            schema: of.dataset.schema,
            profile: of.dataset.profile,
            tags: texts(of.tags),
        }
    }
}

impl From<&DomainDataset> for DatasetInput {
    fn from(of: &DomainDataset) -> Self {
        Self {
            dataset: Dataset {
                name: of.name.clone(),
                digest: of.digest.clone(),
                source_type: of.source_type.clone(),
                source: of.source.clone(),
                schema: of.schema.clone(),
                profile: of.profile.clone(),
            },
            tags: pairs(&of.tags),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct ModelInput {
    pub(super) model_id: String,
}

#[derive(Debug, Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct ModelOutput {
    pub(super) model_id: String,
    #[serde(deserialize_with = "int")]
    pub(super) step: Option<i64>,
}

#[derive(Debug, Serialize)]
struct RunData {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct RunInputs {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<DatasetInput>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelInput>,
}

#[derive(Debug, Serialize)]
struct RunOutputs {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<ModelOutput>,
}

#[derive(Debug, Serialize)]
pub(super) struct Run {
    info: RunInfo,
    data: RunData,
    inputs: RunInputs,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<RunOutputs>,
}

impl From<&DomainRun> for Run {
    fn from(of: &DomainRun) -> Self {
        let outputs: Vec<ModelOutput> = of
            .inputs
            .outputs
            .iter()
            .map(|(model_id, step)| ModelOutput {
                model_id: model_id.clone(),
                step: Some(*step),
            })
            .collect();
        let model = |model_id: &String| ModelInput {
            model_id: model_id.clone(),
        };
        Self {
            info: RunInfo::from(&of.info),
            data: RunData {
                metrics: of.metrics.iter().map(Metric::from).collect(),
                params: pairs(&of.params),
                tags: pairs(&of.tags),
            },
            inputs: RunInputs {
                dataset_inputs: of.inputs.datasets.iter().map(DatasetInput::from).collect(),
                model_inputs: of.inputs.models.iter().map(model).collect(),
            },
            outputs: (!outputs.is_empty()).then_some(RunOutputs {
                model_outputs: outputs,
            }),
        }
    }
}

/// A page of runs, written straight to text: a search of thousands of runs answers with hundreds of thousands of values.
pub(super) fn page_of_runs(page: &Page<DomainRun>) -> Response {
    #[derive(Serialize)]
    struct Answer {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        runs: Vec<Run>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_page_token: Option<String>,
    }
    Json(Answer {
        runs: page.items.iter().map(Run::from).collect(),
        next_page_token: page.next.clone(),
    })
    .into_response()
}

#[derive(Debug, Serialize)]
struct LoggedInfo {
    model_id: String,
    experiment_id: String,
    name: String,
    artifact_uri: String,
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    model_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    source_run_id: String,
    creation_timestamp_ms: i64,
    last_updated_timestamp_ms: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct LoggedData {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
}

#[derive(Debug, Serialize)]
pub(super) struct LoggedModel {
    info: LoggedInfo,
    data: LoggedData,
}

impl From<&Logged> for LoggedModel {
    fn from(of: &Logged) -> Self {
        let metric = |measured: &Measured| Metric {
            model_id: of.model_id.clone(),
            run_id: measured.run_id.clone(),
            dataset_name: measured.dataset_name.clone(),
            dataset_digest: measured.dataset_digest.clone(),
            ..Metric::from(&measured.point)
        };
        Self {
            info: LoggedInfo {
                model_id: of.model_id.clone(),
                experiment_id: of.experiment.to_string(),
                name: of.name.clone(),
                artifact_uri: of.artifact_uri.clone(),
                status: of.status.word(),
                model_type: of.model_type.clone(),
                source_run_id: of.source_run.clone(),
                creation_timestamp_ms: of.created,
                last_updated_timestamp_ms: of.updated,
                tags: pairs(&of.tags),
            },
            data: LoggedData {
                params: pairs(&of.params),
                metrics: of.metrics.iter().map(metric).collect(),
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct Alias {
    alias: String,
    version: String,
}

#[derive(Debug, Serialize)]
pub(super) struct RegisteredModel {
    name: String,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<Alias>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest_versions: Vec<ModelVersion>,
}

impl From<&Registered> for RegisteredModel {
    fn from(of: &Registered) -> Self {
        let alias = |(alias, version): &(String, i64)| Alias {
            alias: alias.clone(),
            version: version.to_string(),
        };
        Self {
            name: of.name.clone(),
            creation_timestamp: of.created,
            last_updated_timestamp: of.updated,
            description: of.description.clone(),
            tags: pairs(&of.tags),
            aliases: of.aliases.iter().map(alias).collect(),
            latest_versions: of.latest.iter().map(ModelVersion::from).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ModelVersion {
    name: String,
    version: String,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_id: String,
    current_stage: String,
    description: String,
    source: String,
    run_id: String,
    run_link: String,
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    status_message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

impl From<&Version> for ModelVersion {
    fn from(of: &Version) -> Self {
        Self {
            name: of.model.clone(),
            version: of.version.to_string(),
            creation_timestamp: of.created,
            last_updated_timestamp: of.updated,
            user_id: of.user_id.clone(),
            current_stage: of.stage.clone(),
            description: of.description.clone(),
            source: of.source.clone(),
            run_id: of.run_id.clone(),
            run_link: of.run_link.clone(),
            status: of.status.clone(),
            status_message: of.status_message.clone(),
            tags: pairs(&of.tags),
            aliases: of.aliases.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_has_no_number_for_comes_as_a_text_and_back() {
        for (value, json) in [
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
            (0.5, "0.5"),
        ] {
            assert_eq!(serde_json::to_string(&Double(value)).expect("JSON"), json);
            let Double(read) = serde_json::from_str(json).expect("reads");
            assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()));
        }
        assert!(serde_json::from_str::<Double>("\"much\"").is_err());
    }

    #[test]
    fn a_whole_number_may_be_a_text() {
        #[derive(Deserialize)]
        struct Of {
            #[serde(default, deserialize_with = "int")]
            n: Option<i64>,
        }
        let read = |json: &str| serde_json::from_str::<Of>(json).map(|of| of.n).ok();
        assert_eq!(read("{\"n\": 5}"), Some(Some(5)));
        assert_eq!(read("{\"n\": \"5\"}"), Some(Some(5)));
        assert_eq!(read("{\"n\": 5.0}"), Some(Some(5)));
        assert_eq!(read("{\"n\": null}"), Some(None));
        assert_eq!(read("{}"), Some(None));
        assert_eq!(read("{\"n\": \"x\"}"), None);
    }
}
