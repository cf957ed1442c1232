//! Figures as they come, as a table or as JSON, and whether the floors hold.

use serde_json::{Map, Value as Json, json};

/// Collects settings and figures in order.
#[derive(Default)]
pub struct Report {
    settings: Map<String, Json>,
    figures: Vec<(String, f64)>,
    quiet: bool,
}

impl Report {
    /// `quiet`: only the JSON at the end.
    pub fn new(quiet: bool) -> Report {
        Report { quiet, ..Report::default() }
    }

    /// A setting of the store.
    pub fn setting(&mut self, name: &str, value: &str) {
        if !self.quiet {
            eprintln!("  {name:<28} {value}");
        }
        self.settings.insert(name.to_owned(), value.into());
    }

    /// A measured figure.
    pub fn figure(&mut self, name: &str, value: f64) {
        if !self.quiet {
            eprintln!("  {name:<28} {value:>14.3}");
        }
        self.figures.push((name.to_owned(), value));
    }

    /// The figures that miss their floor, as sentences.
    pub fn misses(&self, floors: &[(&str, f64, bool)]) -> Vec<String> {
        let value = |name: &str| self.figures.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
        let judge = |(name, bound, above): &(&str, f64, bool)| match value(name) {
            None => Some(format!("{name} was not measured")),
            Some(v) if *above && v < *bound => Some(format!("{name} is {v:.0}, the floor is {bound}")),
            Some(v) if !*above && v > *bound => Some(format!("{name} is {v:.2}, the ceiling is {bound}")),
            Some(_) => None,
        };
        floors.iter().filter_map(judge).collect()
    }

    /// One object.
    pub fn json(&self, name: &str, store: &str) -> Json {
        let figures: Map<String, Json> = self.figures.iter().map(|(n, v)| (n.clone(), json!((v * 1000.0).round() / 1000.0))).collect();
        json!({ "bench": name, "store": store, "settings": self.settings, "figures": figures })
    }
}
