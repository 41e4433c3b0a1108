//! Which workspace a page is about, and so how its links begin.

use std::fmt::Write as _;

use tern_protocol::id::WorkspaceId;

/// The workspace that pages without a prefix show.
pub(super) const DEFAULT: &str = "default";

/// A workspace and the way it was reached: `/devices` or `/w/plant-2/devices`.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    workspace: WorkspaceId,
    prefix: String,
}

impl Scope {
    /// The default workspace, reached without a prefix.
    pub(super) fn unprefixed() -> Self {
        let workspace = DEFAULT.parse().expect("`default` is a name");
        Self {
            workspace,
            prefix: String::new(),
        }
    }

    /// A workspace, reached by its prefix.
    pub(super) fn prefixed(workspace: WorkspaceId) -> Self {
        let prefix = format!("/w/{workspace}");
        Self { workspace, prefix }
    }

    /// The workspace.
    pub(super) fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// Address of a page; `path` begins with a slash.
    pub(super) fn page(&self, path: &str) -> String {
        match (self.prefix.as_str(), path) {
            ("", path) => path.into(),
            (prefix, "/") => prefix.into(),
            (prefix, path) => format!("{prefix}{path}"),
        }
    }

    /// Address in the REST API; `path` begins with a slash.
    pub(super) fn api(&self, path: &str) -> String {
        format!("/api/v1/w/{}{path}", self.workspace)
    }
}

/// `?a=1&b=2` of those that have a value, encoded; empty if none has.
pub(super) fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        let Some(value) = value else { continue };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                _ => write!(text, "%{byte:02X}").expect("writing to a string does not fail"),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_their_workspace() {
        let scope = Scope::prefixed("plant-2".parse().unwrap());
        assert_eq!(scope.page("/"), "/w/plant-2");
        assert_eq!(scope.page("/devices"), "/w/plant-2/devices");
        assert_eq!(scope.api("/stream"), "/api/v1/w/plant-2/stream");
        assert_eq!(Scope::unprefixed().page("/devices"), "/devices");
    }

    #[test]
    fn queries_are_encoded() {
        let pairs = [
            ("site", Some("a")),
            ("health", None),
            ("label", Some("k=v&x")),
        ];
        assert_eq!(query(&pairs), "?site=a&label=k%3Dv%26x");
        assert_eq!(query(&[("site", None)]), "");
    }
}
