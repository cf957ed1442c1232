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
    pub fn misses(&self, floors: &[Floor]) -> Vec<String> {
        misses(|name| self.figures.iter().find(|(n, _)| n == name).map(|(_, v)| *v), floors)
    }

    /// One object.
    pub fn json(&self, name: &str, store: &str) -> Json {
        let figures: Map<String, Json> = self.figures.iter().map(|(n, v)| (n.clone(), json!((v * 1000.0).round() / 1000.0))).collect();
        json!({ "bench": name, "store": store, "settings": self.settings, "figures": figures })
    }
}

/// A figure's name, its bound, and whether the figure must be above.
pub type Floor = (&'static str, f64, bool);

/// The figures that miss their floor, as sentences.
pub fn misses(value: impl Fn(&str) -> Option<f64>, floors: &[Floor]) -> Vec<String> {
    let judge = |(name, bound, above): &Floor| match value(name) {
        None => Some(format!("{name} was not measured")),
        Some(v) if *above && v < *bound && *bound < 10.0 => Some(format!("{name} is {v:.2}, the floor is {bound}")),
        Some(v) if *above && v < *bound => Some(format!("{name} is {v:.0}, the floor is {bound}")),
        Some(v) if !*above && v > *bound => Some(format!("{name} is {v:.2}, the ceiling is {bound}")),
        Some(_) => None,
    };
    floors.iter().filter_map(judge).collect()
}
