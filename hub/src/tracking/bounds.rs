//! How long, how many, and which names: what MLflow's own server takes. Pure.
//!
//! A client that was written against MLflow never meets a bound that it does not know.

use super::TrackingError;

/// Metrics of one request.
pub const METRICS: usize = 1_000;
/// Params of one request, and tags.
pub const PARAMS: usize = 100;
/// All of one request.
pub const ENTITIES: usize = 1_000;
/// Data sets of one request.
pub const DATASETS: usize = 1_000;
/// Longest name of a param, metric or tag, in characters.
pub const KEY: usize = 250;
/// Longest value of a param, in characters.
pub const PARAM: usize = 6_000;
/// Longest value of a run's tag, in characters.
pub const TAG: usize = 8_000;
/// Longest value of an experiment's tag, in characters.
pub const EXPERIMENT_TAG: usize = 20_000;
/// Longest value of a registered model's tag, in characters.
pub const REGISTRY_TAG: usize = 100_000;
/// Longest name of an experiment, run or model, in characters.
pub const NAME: usize = 500;
/// Longest description, in characters.
pub const DESCRIPTION: usize = 100_000;
/// Longest URI, in characters.
pub const URI: usize = 2_048;
/// Longest alias, in characters.
const ALIAS: usize = 255;
/// Longest schema and source of a data set, in bytes. Its profile has what is left of the request.
const SCHEMA: usize = 1_048_575;
/// Longest source of a data set, in bytes.
const SOURCE: usize = 65_535;

/// A parameter that has to be there.
pub fn required(name: &str, text: &str) -> Result<(), TrackingError> {
    if text.is_empty() {
        let text = format!("Missing value for required parameter '{name}'.");
        return Err(TrackingError::Invalid(text));
    }
    Ok(())
}

/// A text of at most so many characters.
pub fn length(what: &str, text: &str, most: usize) -> Result<(), TrackingError> {
    // PostgreSQL has no texts with it.
    if text.contains('\0') {
        return Err(TrackingError::Invalid(format!(
            "'{what}' cannot contain a NUL character"
        )));
    }
    // Bytes first: nearly all texts are short.
    if text.len() > most && text.chars().count() > most {
        let text = format!(
            "'{what}' exceeds the maximum length of {most} characters; it has {}",
            text.chars().count()
        );
        return Err(TrackingError::Invalid(text));
    }
    Ok(())
}

/// A name of a param, metric or tag: what could be a path below a directory, and no other.
pub fn key(what: &str, name: &str) -> Result<(), TrackingError> {
    if name.is_empty() {
        return Err(TrackingError::Invalid(
            "A key name must be provided.".into(),
        ));
    }
    length(&format!("{what} key"), name, KEY)?;
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '-' | ' ' | ':');
    if !name.chars().all(allowed) {
        return Err(TrackingError::Invalid(format!(
            "Invalid value {} for parameter '{what}': names may only contain alphanumerics, underscores (_), \
             dashes (-), periods (.), spaces ( ), colons (:) and slashes (/).",
            shown(name)
        )));
    }
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !name.split('/').all(plain) {
        return Err(TrackingError::Invalid(format!(
            "Invalid value {} for parameter '{what}': names may be treated as files and must not resolve to \
             other names.",
            shown(name)
        )));
    }
    Ok(())
}

/// A key and a value.
pub fn pair(what: &str, name: &str, value: &str, most: usize) -> Result<(), TrackingError> {
    key(what, name)?;
    length(&format!("{what} value"), value, most)
}

/// A name of an experiment.
pub fn experiment_name(name: &str) -> Result<(), TrackingError> {
    required("name", name)?;
    length("name", name, NAME)
}

/// A name of a registered model.
pub fn model_name(name: &str) -> Result<(), TrackingError> {
    if name.trim().is_empty() {
        return Err(TrackingError::Invalid(
            "Registered model name cannot be empty.".into(),
        ));
    }
    length("name", name, NAME)?;
    if name.contains(['/', ':']) || name.chars().any(char::is_control) {
        return Err(TrackingError::Invalid(format!(
            "Invalid model name: {}. Names cannot contain '/' or ':'.",
            shown(name)
        )));
    }
    Ok(())
}

/// A name of a logged model.
pub fn logged_name(name: &str) -> Result<(), TrackingError> {
    length("name", name, NAME)?;
    let bad = |c: char| matches!(c, '/' | ':' | '.' | '%' | '"' | '\'') || c.is_control();
    if name.is_empty() || name.contains(bad) {
        return Err(TrackingError::Invalid(format!(
            "Invalid model name ({}) provided. Model name must be a non-empty string and cannot contain the \
             following characters: ('/', ':', '.', '%', '\"', \"'\")",
            shown(name)
        )));
    }
    Ok(())
}

/// An alias that may be looked for.
pub fn alias(alias: &str) -> Result<(), TrackingError> {
    if alias.is_empty() {
        return Err(TrackingError::Invalid(
            "Registered model alias name cannot be empty.".into(),
        ));
    }
    length("alias", alias, ALIAS)?;
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if !alias.chars().all(allowed) {
        return Err(TrackingError::Invalid(format!(
            "Invalid alias name: {}. Names may only contain alphanumerics, underscores (_), and dashes (-).",
            shown(alias)
        )));
    }
    Ok(())
}

/// An alias that may be given: none that means something else.
pub fn new_alias(text: &str) -> Result<(), TrackingError> {
    alias(text)?;
    let version = text.strip_prefix(['v', 'V']);
    let version = version.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if version || text.eq_ignore_ascii_case("latest") {
        return Err(TrackingError::Invalid(format!(
            "The alias name {} is reserved.",
            shown(text)
        )));
    }
    Ok(())
}

/// The parts of a data set.
pub fn dataset(name: &str, digest: &str, source: &str, schema: &str) -> Result<(), TrackingError> {
    required("dataset.name", name)?;
    required("dataset.digest", digest)?;
    length("dataset.name", name, NAME)?;
    length("dataset.digest", digest, 36)?;
    length("dataset.source", source, SOURCE)?;
    length("dataset.schema", schema, SCHEMA)
}

/// What an answer shows of a client's text.
pub fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("'{short}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_mlflow_takes_for_names() {
        for good in ["loss", "val/acc", "a.b-c_d e:f", "épsilon", "..a", "a..b"] {
            assert!(key("metric", good).is_ok(), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", "../a", "a/./b", ".", "a\\b", "a\nb", "a%",
        ] {
            assert!(key("metric", bad).is_err(), "{bad}");
        }
        assert!(key("metric", &"é".repeat(KEY)).is_ok());
        assert!(key("metric", &"e".repeat(KEY + 1)).is_err());
    }

    #[test]
    fn some_aliases_are_taken() {
        for good in ["champion", "v", "v1a", "best-1"] {
            assert!(new_alias(good).is_ok(), "{good}");
        }
        for bad in ["latest", "LATEST", "v1", "V22", "", "a b", "a/b"] {
            assert!(new_alias(bad).is_err(), "{bad}");
        }
        // Whoever asks for one of these hears that there is none.
        assert!(alias("v1").is_ok());
    }
}
