//! The OpenAPI document, made from the table of routes and the schemas in `schemas.json`.

use super::problem::MEDIA_TYPE;
use super::routes::{ROUTES, Route};
use serde_json::{Map, Value, json};

/// The schemas of the objects, by name.
const SCHEMAS: &str = include_str!("schemas.json");

/// The schemas by name.
pub fn schemas() -> Value {
    serde_json::from_str(SCHEMAS).unwrap_or_default()
}

/// The document.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wardbeat",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Door of one node. Wardbeat is research software, no medical device and no alarm system.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(|level| level.strip_prefix('{')?.strip_suffix('}'));
    let text = json!({"type": "string"});
    let named = in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": text}));
    let asked = route.asks.iter().map(|ask| {
        json!({"name": ask.name, "in": "query", "required": false, "description": ask.what, "schema": {"type": ask.kind}})
    });
    let schema = match route.schema {
        "" => text.clone(),
        name => json!({"$ref": format!("#/components/schemas/{name}")}),
    };
    let problem = json!({
        "description": "Refused; `detail` says why and what to do.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    let mut told = json!({
        "summary": route.what,
        "operationId": route.path.replace(['/', '{', '}'], "_").trim_matches('_'),
        "parameters": named.chain(asked).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "As asked.", "content": {route.gives: {"schema": schema}}},
            "default": problem,
        },
    });
    if route.method == "post" {
        let schema = json!({"$ref": "#/components/schemas/Command"});
        told["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    told
}
