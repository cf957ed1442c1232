//! Where values come from. Each file, variable and flag is a layer of its own, so that every value knows its source.

use super::keys::{self, KEYS, Shape};
use super::nearest::nearest;
use super::{Environment, Flags};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use std::path::{Path, PathBuf};

/// One value at one path.
struct Layer {
    source: String,
    path: String,
    value: Value,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = figment::util::nest(&self.path, self.value.clone());
        Ok(Map::from([(Profile::Default, nested.into_dict().unwrap_or_default())]))
    }
}

/// A file's values under the file's name.
struct File {
    source: String,
    values: Dict,
}

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// All layers, weakest first; what could not be read goes into `problems`.
pub fn all(environment: &Environment, flags: &Flags, problems: &mut Vec<String>) -> Figment {
    let mut figment = Figment::new();
    for key in KEYS {
        if let Some(default) = key.default {
            figment = add(figment, "default", key.path, default, problems);
        }
    }
    let store = format!("sqlite://{}", environment.data_folder.join("clawr.db").display());
    figment = add(figment, "default", "store.url", &store, problems);
    if let Some(file) = file(environment, flags, problems) {
        figment = figment.merge(file);
    }
    for (name, value) in &environment.settings {
        figment = add(figment, name, &path_of_variable(name), value, problems);
    }
    for (flag, path, value) in &flags.values {
        figment = add(figment, flag, path, value, problems);
    }
    figment
}

/// `CLAWR_STORE__URL` → `store.url`.
fn path_of_variable(name: &str) -> String {
    name.trim_start_matches("CLAWR_").to_lowercase().replace("__", ".")
}

fn add(figment: Figment, source: &str, path: &str, text: &str, problems: &mut Vec<String>) -> Figment {
    let Some(key) = keys::covering(path) else {
        problems.push(unknown(path, source));
        return figment;
    };
    let shape = if key.path == path { key.shape } else { inner(key.shape) };
    match parse(shape, text) {
        Ok(value) => figment.merge(Layer { source: source.to_owned(), path: path.to_owned(), value }),
        Err(why) => {
            problems.push(format!("{path} {why} ({source})"));
            figment
        }
    }
}

fn inner(shape: Shape) -> Shape {
    if shape == Shape::Slots { Shape::Number(1, 1_000) } else { shape }
}

/// Says that nobody knows `path`, and what was probably meant.
pub fn unknown(path: &str, source: &str) -> String {
    let hint = nearest(path).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
    format!("{path} is not a setting ({source}){hint}")
}

/// The configuration file, if there is one: the named one must exist, `clawr.toml` may.
fn file(environment: &Environment, flags: &Flags, problems: &mut Vec<String>) -> Option<File> {
    if flags.without_file {
        return None;
    }
    let named = flags.file.clone().or_else(|| environment.config_file.clone());
    let path = named.clone().unwrap_or_else(|| PathBuf::from("clawr.toml"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            problems.push(format!("cannot read {}: {error}", path.display()));
            return None;
        }
    };
    match toml(&text) {
        Ok(values) => Some(File { source: shown(&path), values }),
        Err(error) => {
            problems.push(format!("{} is not TOML: {}", path.display(), error.trim()));
            None
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn toml(text: &str) -> Result<Dict, String> {
    let mut data = Toml::string(text).data().map_err(|error| error.to_string())?;
    Ok(data.remove(&Profile::Default).unwrap_or_default())
}

/// A variable's or a flag's text as a value.
fn parse(shape: Shape, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    match shape {
        Shape::Text => Ok(Value::from(text)),
        Shape::Number(..) => trimmed.parse::<i64>().map(Value::from).map_err(|_| "must be a whole number".to_owned()),
        Shape::Texts if !trimmed.starts_with('[') => {
            let parts = trimmed.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(Value::from(parts.map(str::to_owned).collect::<Vec<_>>()))
        }
        Shape::Slots if !trimmed.starts_with('{') => inline(&format!("{{{trimmed}}}")).map_err(|_| "must be name=slots,…".to_owned()),
        Shape::Texts | Shape::Slots | Shape::Tables => inline(trimmed),
    }
}

fn inline(text: &str) -> Result<Value, String> {
    let mut table = toml(&format!("value = {text}")).map_err(|_| "must be written as TOML".to_owned())?;
    table.remove("value").ok_or_else(|| "must be written as TOML".to_owned())
}
