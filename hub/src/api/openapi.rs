//! The OpenAPI document: what the declarations of routes do not say one by one.

use axum::{
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};
use tern_protocol::rest::Problem;
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
        Response as Described, ResponseBuilder,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
    },
};

/// Base of the routes of the hub itself.
pub(super) const HUB: &str = "/api/v1";

/// Base of all routes of a workspace.
pub(super) const BASE: &str = "/api/v1/w/{workspace}";

/// The document before any route.
pub(super) fn head() -> OpenApi {
    let licence = LicenseBuilder::new().name("MIT OR Apache-2.0").build();
    let info = InfoBuilder::new()
        .title("Tern")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Times are milliseconds since 1970 UTC, sizes are bytes. Every error is \
             application/problem+json.",
        ))
        .license(Some(licence))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds what all routes have in common: the workspace of the path, the problem of every error.
pub(super) fn finished(mut document: OpenApi) -> Bytes {
    let components = document.components.get_or_insert_default();
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    for (name, schema) in schemas {
        components.schemas.entry(name).or_insert(schema);
    }
    let workspace = ParameterBuilder::new()
        .name("workspace")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The workspace; `default` is always there."))
        .schema(Some(String::schema()))
        .build();
    for (path, item) in &mut document.paths.paths {
        if path.starts_with(BASE) {
            item.parameters
                .get_or_insert_default()
                .push(RefOr::T(workspace.clone()));
        }
        for operation in operations(item) {
            let responses = &mut operation.responses.responses;
            responses.insert("default".into(), RefOr::T(problem()));
        }
    }
    let json = document
        .to_json()
        .expect("a document of texts is always JSON");
    Bytes::from(json)
}

pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        head,
        patch,
        ..
    } = item;
    [get, put, post, delete, head, patch].into_iter().flatten()
}

fn problem() -> Described {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description("What went wrong and what to do")
        .content("application/problem+json", content)
        .build()
}

/// `GET /api/openapi.json`.
pub(super) fn answer(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
