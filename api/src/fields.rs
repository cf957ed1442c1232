//! The fields of one object of a request, taken one by one: everything wrong is gathered with its JSON pointer, and what
//! nobody took is an unknown field.

use crate::problem::Problem;
use crate::times;
use clawr_domain::refusal::FieldError;
use serde_json::{Map, Value as Json};
use std::ops::RangeInclusive;

/// Most characters of a text that says nothing else.
const TEXT_MAX: usize = 1_000;

/// An object being read.
pub struct Fields {
    map: Map<String, Json>,
    at: String,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The object at pointer `at`.
    pub fn of(value: Json, at: &str) -> Self {
        match value {
            Json::Object(map) => Self { map, at: at.to_owned(), errors: Vec::new() },
            _ => Self { map: Map::new(), at: at.to_owned(), errors: vec![FieldError::new(at, "must be an object")] },
        }
    }

    /// Says that `name` is wrong.
    pub fn wrong(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = format!("{}/{}", self.at, escaped(name));
        self.errors.push(FieldError::new(pointer, detail));
    }

    /// Says that `member` of the object `name` is wrong.
    pub fn wrong_in(&mut self, name: &str, member: &str, detail: impl Into<String>) {
        let pointer = format!("{}/{}/{}", self.at, escaped(name), escaped(member));
        self.errors.push(FieldError::new(pointer, detail));
    }

    /// Any value; null counts as absent.
    pub fn json(&mut self, name: &str) -> Option<Json> {
        self.map.remove(name).filter(|v| !v.is_null())
    }

    /// An optional text of 1 to `most` bytes without control characters.
    pub fn text_of(&mut self, name: &str, most: usize) -> Option<String> {
        match self.json(name)? {
            Json::String(text) if (1..=most).contains(&text.len()) && !text.chars().any(char::is_control) => Some(text),
            _ => {
                self.wrong(name, format!("must be a text of 1 to {most} bytes without control characters"));
                None
            }
        }
    }

    /// An optional text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.text_of(name, TEXT_MAX)
    }

    /// A text that must be there.
    pub fn needed_text(&mut self, name: &str) -> String {
        let was_there = self.map.get(name).is_some_and(|v| !v.is_null());
        let text = self.text(name);
        if text.is_none() && !was_there {
            self.missing(name);
        }
        text.unwrap_or_default()
    }

    /// Says that `name` is not there, unless the whole is no object.
    pub fn missing(&mut self, name: &str) {
        if !self.errors.iter().any(|e| e.pointer == self.at) {
            self.wrong(name, "is required");
        }
    }

    /// An optional integer within `range`.
    pub fn int(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.json(name)?;
        let int = value.as_i64().filter(|n| range.contains(n));
        if int.is_none() {
            self.wrong(name, format!("must be an integer from {} to {}", range.start(), range.end()));
        }
        int
    }

    /// An optional true or false.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.json(name)?;
        if !value.is_boolean() {
            self.wrong(name, "must be true or false");
        }
        value.as_bool()
    }

    /// An optional RFC 3339 time, in microseconds.
    pub fn time(&mut self, name: &str) -> Option<i64> {
        let value = self.json(name)?;
        let time = value.as_str().and_then(times::parse);
        if time.is_none() {
            self.wrong(name, "must be an RFC 3339 time, like 2026-11-20T23:59:59.999Z");
        }
        time
    }

    /// An optional list of at most `most` texts of at most 100 bytes.
    pub fn texts(&mut self, name: &str, most: usize) -> Option<Vec<String>> {
        let value = self.json(name)?;
        let plain = |v: &Json| v.as_str().filter(|t| (1..=100).contains(&t.len()) && !t.chars().any(char::is_control)).map(str::to_owned);
        let texts: Option<Vec<String>> = value.as_array().filter(|a| a.len() <= most).and_then(|a| a.iter().map(plain).collect());
        if texts.is_none() {
            self.wrong(name, format!("must be a list of at most {most} texts of 1 to 100 bytes"));
        }
        texts
    }

    /// Everything that was wrong, unknown fields included.
    pub fn errors(mut self) -> Vec<FieldError> {
        let unknown: Vec<String> = self.map.keys().take(20).cloned().collect();
        for name in unknown {
            self.wrong(&name, "is not a field of this object");
        }
        self.errors
    }

    /// 422 if anything was wrong.
    pub fn finish(self) -> Result<(), Problem> {
        let errors = self.errors();
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid("invalid_input", errors)) }
    }
}

/// A name as part of a JSON pointer, no longer than a person reads.
fn escaped(name: &str) -> String {
    name.chars().take(100).collect::<String>().replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_wrong_is_named_with_its_place() {
        let mut fields =
            Fields::of(json!({"a": 1, "n": 10, "t": "x\u{1}", "w/o~": 0, "when": "tomorrow", "tags": [1], "none": null}), "/jobs/3");
        fields.needed_text("kind");
        fields.text("t");
        fields.int("n", 0..=9);
        fields.time("when");
        fields.texts("tags", 4);
        assert_eq!(fields.flag("none"), None);
        let pointers: Vec<String> = fields.errors().into_iter().map(|e| e.pointer).collect();
        assert_eq!(pointers, ["/jobs/3/kind", "/jobs/3/t", "/jobs/3/n", "/jobs/3/when", "/jobs/3/tags", "/jobs/3/a", "/jobs/3/w~1o~0"]);
    }

    #[test]
    fn what_is_no_object_is_one_error() {
        let mut fields = Fields::of(json!([]), "");
        fields.needed_text("kind");
        let errors = fields.errors();
        assert_eq!(errors, [FieldError::new("", "must be an object")]);
    }
}
