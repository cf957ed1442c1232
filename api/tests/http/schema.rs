//! As much of JSON Schema as the document uses.

use serde_json::Value;

/// What is wrong with `value`, if anything.
pub fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(pointer) = schema["$ref"].as_str() {
        let target = document.pointer(&pointer[1..]).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
        return faults(document, target, value, at);
    }
    let mut found = Vec::new();
    if !types(schema).is_empty() && !types(schema).iter().any(|t| is(t, value)) {
        found.push(format!("{at}: {value} is not {}", schema["type"]));
        return found;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at}: {value} is not one of {}", schema["enum"]));
    }
    if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str())
        && (text.len() != 27 || !text.ends_with('Z'))
    {
        found.push(format!("{at}: {text} is not a time with microseconds"));
    }
    if let Value::Object(fields) = value {
        object(document, schema, fields, at, &mut found);
    }
    if let (Value::Array(items), Some(of)) = (value, schema.get("items")) {
        for (i, item) in items.iter().enumerate() {
            found.extend(faults(document, of, item, &format!("{at}/{i}")));
        }
    }
    found
}

fn object(document: &Value, schema: &Value, fields: &serde_json::Map<String, Value>, at: &str, found: &mut Vec<String>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, field) in fields {
        let at = format!("{at}/{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(of), _) => found.extend(faults(document, of, field, &at)),
            (None, Value::Bool(false)) => found.push(format!("{at} is not in the document")),
            (None, of @ Value::Object(_)) => found.extend(faults(document, of, field, &at)),
            _ => {}
        }
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}

#[test]
fn the_check_sees_what_is_wrong() {
    let schema = serde_json::json!({"type": "object", "required": ["a"], "properties": {"a": {"type": ["integer", "null"]}}, "additionalProperties": false});
    let check = |value: Value| faults(&Value::Null, &schema, &value, "").len();
    assert_eq!(check(serde_json::json!({"a": null})), 0);
    assert_eq!(check(serde_json::json!({"a": "1"})), 1);
    assert_eq!(check(serde_json::json!({"b": 1})), 2);
    assert_eq!(check(serde_json::json!([])), 1);
}
