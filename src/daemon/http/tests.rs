use super::document::openapi;
use super::routes::ROUTES;
use serde_json::Value;

#[test]
fn the_document_has_every_route_and_every_schema_that_it_names() {
    let document = openapi();
    for route in ROUTES {
        assert!(document["paths"][route.path][route.method].is_object(), "{} is not described", route.path);
    }
    let text = document.to_string();
    let names: Vec<&str> =
        text.split("#/components/schemas/").skip(1).filter_map(|t| t.split('"').next()).collect();
    assert!(names.len() > ROUTES.len());
    for name in names {
        assert!(document["components"]["schemas"][name].is_object(), "schema {name} is missing");
    }
}

/// Every required key of a schema is there, and no key that the schema does not know.
fn check(schema: &Value, found: &Value, place: &str) {
    let schemas = super::document::schemas();
    let schema = match schema["$ref"].as_str() {
        Some(name) => &schemas[name.trim_start_matches("#/components/schemas/")],
        None => schema,
    };
    if let Some(items) = found.as_array() {
        return items.iter().for_each(|item| check(&schema["items"], item, place));
    }
    let (Some(known), Some(found)) = (schema["properties"].as_object(), found.as_object()) else { return };
    for key in schema["required"].as_array().into_iter().flatten() {
        assert!(found.contains_key(key.as_str().unwrap_or_default()), "{place} lacks {key}");
    }
    for (key, value) in found {
        assert!(known.contains_key(key), "{place}.{key} is not in the schema");
        check(&known[key], value, &format!("{place}.{key}"));
    }
}

#[test]
fn an_alert_is_what_its_schema_says() {
    use contract::conformance::alert;
    use contract::{Code, Mode, Phase};
    for code in Code::ALL {
        let alert = serde_json::to_value(alert(code, Phase::Start, Mode::Test)).expect("plain");
        check(&super::document::schemas()["Alert"], &alert, "alert");
    }
}
