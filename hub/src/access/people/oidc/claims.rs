//! What a provider says of a person, read from claims. Pure.

use std::collections::{BTreeMap, BTreeSet};

use openidconnect::AdditionalClaims;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{OidcError, Settings};

/// Most groups of a person that are looked at: providers of large companies send hundreds.
const GROUPS: usize = 5_000;

/// Longest subject, in bytes: 255 by the standard.
const SUBJECT: usize = 255;

/// Claims that the standard does not name, such as groups.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Others {
    #[serde(flatten)]
    all: BTreeMap<String, Value>,
}

impl AdditionalClaims for Others {}

/// A person as the provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// Who they are, for ever.
    pub(super) subject: String,
    /// What they are called now.
    pub(super) name: String,
    /// Their groups.
    pub(super) groups: BTreeSet<String>,
}

/// Whether the claims lack something that the user information may have.
pub(super) fn is_short(settings: &Settings, claims: &Map<String, Value>) -> bool {
    let there = |name: &String| claims.get(name).is_some_and(|value| !value.is_null());
    !there(&settings.groups_claim) || !there(&settings.user_claim)
}

/// The person of these claims.
pub(super) fn person(
    settings: &Settings,
    claims: &Map<String, Value>,
) -> Result<Person, OidcError> {
    let subject = claims.get("sub").and_then(Value::as_str);
    let subject = subject.filter(|subject| (1..=SUBJECT).contains(&subject.len()));
    let subject = subject.ok_or_else(|| OidcError::Claim("there is no subject".into()))?;
    let name = claims.get(&settings.user_claim).and_then(Value::as_str);
    let name = name.ok_or_else(|| {
        OidcError::Claim(format!(
            "there is no claim `{}` that names the person; let the provider send it, or choose \
             another one by `--oidc-user-claim`",
            settings.user_claim
        ))
    })?;
    Ok(Person {
        subject: subject.into(),
        name: name.into(),
        groups: groups(claims.get(&settings.groups_claim)),
    })
}

/// A list of names, or one name; anything else is no group.
fn groups(claim: Option<&Value>) -> BTreeSet<String> {
    match claim {
        Some(Value::String(one)) => [one.clone()].into(),
        Some(Value::Array(all)) => {
            let texts = all.iter().take(GROUPS).filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_are_a_list_or_one_and_nothing_else() {
        let of = |value: Value| groups(Some(&value)).into_iter().collect::<Vec<_>>();
        assert_eq!(of(json!(["b", "a", 7, null, ["c"]])), ["a", "b"]);
        assert_eq!(of(json!("ops")), ["ops"]);
        for none in [json!(null), json!(7), json!({"ops": true})] {
            assert!(of(none.clone()).is_empty(), "{none}");
        }
        assert!(groups(None).is_empty());
    }
}
