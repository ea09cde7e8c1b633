//! A committed JSON Schema against a document.

use serde_json::Value;

/// Where `value` does not follow the schema in `text`.
pub(crate) fn faults(text: &str, value: &Value) -> Vec<String> {
    let (schema, mut faults) = (serde_json::from_str(text).expect("the schema is JSON"), Vec::new());
    check(&schema, &schema, value, "document", &mut faults);
    faults
}

/// The part of JSON Schema that our file uses. Stricter in one thing: a field the schema does not name is an
/// error, so that no field can be added without describing it.
fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).expect("the reference exists");
        return check(root, target, value, at, faults);
    }
    if let Some(allowed) = schema["enum"].as_array() {
        if !allowed.contains(value) {
            faults.push(format!("{at}: {value} is not one of {allowed:?}"));
        }
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        many => many.as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect(),
    };
    if !types.iter().any(|name| is(value, name)) {
        return faults.push(format!("{at}: {value} is not {types:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(root, &schema["items"], item, &format!("{at}[{index}]"), faults);
    }
    if let Some(object) = value.as_object() {
        check_fields(root, schema, object, at, faults);
    }
}

fn check_fields(
    root: &Value,
    schema: &Value,
    object: &serde_json::Map<String, Value>,
    at: &str,
    faults: &mut Vec<String>,
) {
    let required = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    faults.extend(
        required.filter(|name| !object.contains_key(*name)).map(|name| format!("{at}.{name} is missing")),
    );
    for (name, value) in object {
        match schema["properties"].get(name).or(schema.get("additionalProperties")) {
            Some(inner) => check(root, inner, value, &format!("{at}.{name}"), faults),
            None => faults.push(format!("{at}.{name} is not in the schema")),
        }
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        other => panic!("type {other}"),
    }
}
