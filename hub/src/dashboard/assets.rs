//! Stylesheet, scripts and drawings, compiled in.
//!
//! Their addresses carry one hash over all of them (`/assets/3f2a…/live.js`), so that browsers may
//! keep them for ever, and scripts import each other by relative paths.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tern_protocol::digest::{Digest, Hasher};

/// A file of the dashboard.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// All of them.
const ASSETS: [Asset; 13] = [
    Asset {
        name: "style.css",
        kind: CSS,
        // One file for the browser, seven subjects for the reader.
        text: concat!(
            include_str!("assets/tokens.css"),
            include_str!("assets/base.css"),
            include_str!("assets/parts.css"),
            include_str!("assets/chart.css"),
            include_str!("assets/form.css"),
            include_str!("assets/truth.css"),
            include_str!("assets/lineage.css"),
        ),
    },
    Asset {
        name: "theme.js",
        kind: JS,
        text: include_str!("assets/theme.js"),
    },
    Asset {
        name: "main.js",
        kind: JS,
        text: include_str!("assets/main.js"),
    },
    Asset {
        name: "live.js",
        kind: JS,
        text: include_str!("assets/live.js"),
    },
    Asset {
        name: "morph.js",
        kind: JS,
        text: include_str!("assets/morph.js"),
    },
    Asset {
        name: "times.js",
        kind: JS,
        text: include_str!("assets/times.js"),
    },
    Asset {
        name: "chart.js",
        kind: JS,
        text: include_str!("assets/chart.js"),
    },
    Asset {
        name: "rollout.js",
        kind: JS,
        text: include_str!("assets/rollout.js"),
    },
    Asset {
        name: "form.js",
        kind: JS,
        text: include_str!("assets/form.js"),
    },
    Asset {
        name: "label.js",
        kind: JS,
        text: include_str!("assets/label.js"),
    },
    Asset {
        name: "captures.js",
        kind: JS,
        text: include_str!("assets/captures.js"),
    },
    Asset {
        name: "viewer.js",
        kind: JS,
        text: include_str!("assets/viewer.js"),
    },
    Asset {
        name: "door.js",
        kind: JS,
        text: include_str!("assets/door.js"),
    },
];

/// The favicon, at a name of its own because browsers ask for it by themselves.
const FAVICON: Asset = Asset {
    name: "favicon.svg",
    kind: SVG,
    text: include_str!("assets/favicon.svg"),
};

/// Hash over all assets: 16 hex digits of SHA-256.
static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Hasher::new();
    for asset in all() {
        hasher.update(asset.name.as_bytes());
        hasher.update(asset.text.as_bytes());
    }
    let mut text = hasher.finish().to_string();
    text.truncate(16);
    text
});

fn all() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter().chain([&FAVICON])
}

/// Address of the asset with this name.
pub(super) fn url(name: &str) -> String {
    debug_assert!(all().any(|asset| asset.name == name), "no asset {name}");
    format!("/assets/{}/{name}", *HASH)
}

/// `GET /assets/{hash}/{name}`.
pub(super) async fn serve(
    Path((hash, name)): Path<(String, String)>,
    request: HeaderMap,
) -> Response {
    let Some(asset) = all().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "no such asset").into_response();
    };
    // A page from before an update of the hub asks with an old hash: it gets the file, but must not
    // keep it under that name.
    let caching = if hash == *HASH {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let tag = format!("\"{}\"", Digest::of(asset.text.as_bytes()).short());
    let known = request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|have| have == tag.as_str());
    let tag = HeaderValue::from_str(&tag).expect("hex digits in quotes are a header value");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
        (header::ETAG, tag),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    if known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, asset.text).into_response()
    }
}

/// `GET /favicon.ico`: an old habit of browsers; they take an SVG as well.
pub(super) async fn favicon() -> Response {
    let headers = [
        (header::CONTENT_TYPE, FAVICON.kind),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, FAVICON.text).into_response()
}

#[cfg(test)]
pub(super) fn write_all(root: &std::path::Path) {
    let folder = root.join("assets").join(&*HASH);
    std::fs::create_dir_all(&folder).unwrap();
    for asset in all() {
        std::fs::write(folder.join(asset.name), asset.text).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_import_only_what_is_served() {
        for asset in all().filter(|asset| asset.kind == JS) {
            for line in asset
                .text
                .lines()
                .filter(|line| line.starts_with("import "))
            {
                let from = line.split('"').nth(1).expect("an import names its module");
                let name = from.strip_prefix("./").expect("imports are relative");
                assert!(
                    all().any(|asset| asset.name == name),
                    "{} imports {from}",
                    asset.name
                );
            }
        }
    }

    #[test]
    fn nothing_points_to_another_origin() {
        for asset in all() {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http:") && !text.contains("https:"),
                "{}",
                asset.name
            );
        }
    }
}
