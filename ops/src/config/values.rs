//! The merged values: looked up by path, checked by shape, listed with their sources. Whatever is wrong is collected.

use super::Effective;
use super::keys::{self, KEYS, Key, Shape};
use super::layers;
use figment::Figment;
use figment::value::{Dict, Value};
use std::collections::BTreeMap;

/// The merged values, and what was found wrong so far.
pub struct Values {
    figment: Figment,
    root: Dict,
    /// Everything found wrong.
    pub problems: Vec<String>,
}

impl Values {
    /// Takes the merged layers; unknown keys and wrong shapes are found here.
    pub fn new(figment: Figment, problems: Vec<String>) -> Self {
        let root = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
        let mut values = Self { figment, root, problems };
        values.check_names(&values.root.clone(), "");
        for key in KEYS {
            values.check_shape(key);
        }
        values
    }

    /// A problem with the setting at `path`.
    pub fn problem(&mut self, path: &str, why: impl std::fmt::Display) {
        let source = self.source(path);
        self.problems.push(format!("{path} {why} ({source})"));
    }

    /// A text, if it is set and not empty.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = self.at(path)?.as_str()?.trim();
        if text.is_empty() { None } else { Some(text.to_owned()) }
    }

    /// A text, parsed; a problem and `fallback` if it does not parse.
    pub fn parsed<T>(&mut self, path: &str, fallback: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        match self.text(path).map(|text| parse(&text)) {
            None => fallback,
            Some(Ok(value)) => value,
            Some(Err(why)) => {
                self.problem(path, why);
                fallback
            }
        }
    }

    /// A whole number; 0 if it is none.
    pub fn number(&self, path: &str) -> i64 {
        self.at(path).and_then(integer).unwrap_or(0)
    }

    /// A list of texts.
    pub fn texts(&self, path: &str) -> Vec<String> {
        let items = self.at(path).and_then(Value::as_array).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Names with a number each.
    pub fn slots(&self, path: &str) -> BTreeMap<String, usize> {
        let table = self.at(path).and_then(Value::as_dict);
        let slot = |(name, value): (&String, &Value)| Some((name.clone(), usize::try_from(integer(value)?).ok()?));
        table.into_iter().flatten().filter_map(slot).collect()
    }

    /// Tables by name.
    pub fn tables(&self, path: &str) -> Vec<(String, Dict)> {
        let table = self.at(path).and_then(Value::as_dict);
        table.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_dict()?.clone()))).collect()
    }

    /// Every setting with its value and source; values nobody set are left out.
    pub fn effective(&self) -> Vec<Effective> {
        KEYS.iter().flat_map(|key| self.shown(key)).collect()
    }

    fn shown(&self, key: &Key) -> Vec<Effective> {
        let Some(value) = self.at(key.path) else { return Vec::new() };
        let line = |path: String, value: &Value| Effective { key: path, value: text_of(value), source: self.source_of(value) };
        match value.as_dict() {
            Some(table) => table.iter().map(|(name, value)| line(format!("{}.{name}", key.path), value)).collect(),
            None => vec![line(key.path.to_owned(), value)],
        }
    }

    fn at(&self, path: &str) -> Option<&Value> {
        let mut steps = path.split('.');
        let first = self.root.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.as_dict()?.get(step))
    }

    fn source(&self, path: &str) -> String {
        self.at(path).map(|value| self.source_of(value)).unwrap_or_else(|| "not set".to_owned())
    }

    fn source_of(&self, value: &Value) -> String {
        let inside = match value {
            Value::Dict(_, table) => table.values().next(),
            Value::Array(_, items) => items.first(),
            _ => None,
        };
        let metadata = self.figment.get_metadata(inside.unwrap_or(value).tag()).or_else(|| self.figment.get_metadata(value.tag()));
        metadata.map(|m| m.name.to_string()).unwrap_or_else(|| "default".to_owned())
    }

    fn check_names(&mut self, table: &Dict, above: &str) {
        for (name, value) in table {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            match value.as_dict() {
                _ if keys::find(&path).is_some() => {}
                Some(inner) if keys::is_section(&path) => self.check_names(inner, &path),
                _ if keys::is_section(&path) => {
                    self.problems.push(format!("{path} is a section, not a setting ({})", self.source_of(value)))
                }
                _ => self.problems.push(layers::unknown(&path, &self.source_of(value))),
            }
        }
    }

    fn check_shape(&mut self, key: &Key) {
        let Some(value) = self.at(key.path) else { return };
        if let Some(why) = wrong(key.shape, value) {
            self.problem(key.path, why);
        }
    }
}

fn wrong(shape: Shape, value: &Value) -> Option<String> {
    let all = |fine: bool, what: &str| (!fine).then(|| format!("must be {what}"));
    match shape {
        Shape::Text => all(value.as_str().is_some(), "a text"),
        Shape::Number(min, max) => {
            all(integer(value).is_some_and(|n| (min..=max).contains(&n)), &format!("a whole number from {min} to {max}"))
        }
        Shape::Texts => all(value.as_array().is_some_and(|items| items.iter().all(|i| i.as_str().is_some())), "a list of texts"),
        Shape::Slots => {
            let is_slot = |v: &Value| integer(v).is_some_and(|n| (1..=1_000).contains(&n));
            all(value.as_dict().is_some_and(|t| t.values().all(is_slot)), "a table of queue names with 1 to 1000 slots each")
        }
        Shape::Tables => all(value.as_dict().is_some_and(|t| t.values().all(|v| v.as_dict().is_some())), "a table of tables"),
    }
}

fn integer(value: &Value) -> Option<i64> {
    value.to_i128().and_then(|n| i64::try_from(n).ok())
}

/// A value for people; what looks like a URL with a login loses its password.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(_, text) => match text.parse::<clawr_engine::db::StoreUrl>() {
            Ok(url) => url.to_string(),
            Err(_) => text.clone(),
        },
        Value::Array(_, items) => items.iter().map(text_of).collect::<Vec<_>>().join(", "),
        Value::Dict(_, table) => {
            let inner: Vec<String> = table.iter().map(|(name, value)| format!("{name} = {}", text_of(value))).collect();
            format!("{{ {} }}", inner.join(", "))
        }
        Value::Num(..) => integer(value).map(|n| n.to_string()).unwrap_or_default(),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Char(_, c) => c.to_string(),
        Value::Empty(..) => String::new(),
    }
}
