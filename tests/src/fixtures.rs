//! The recorded settlement reports and what is expected of every line.

use serde_json::Value as Json;
use std::path::PathBuf;

/// A file of `tests/fixtures/x402`.
pub fn x402(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/x402").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A JSON file of `tests/fixtures/x402`.
pub fn x402_json(name: &str) -> Json {
    serde_json::from_str(&x402(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What one line of the events must be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// HTTP status.
    pub status: u16,
    /// accepted, redelivered, same_payment, outcome_update, conflict, rejected.
    pub verdict: &'static str,
    /// For conflicts and rejections.
    pub reason: String,
}

/// The expected answer of every line, in order.
pub fn expected() -> Vec<Expected> {
    let file = x402_json("expected.json");
    let lines = usize::try_from(file["lines"].as_u64().expect("lines")).expect("small");
    let mut all: Vec<Option<Expected>> = vec![None; lines];
    for line in file["accepted_lines"].as_array().expect("accepted_lines") {
        put(&mut all, line, 202, "accepted", "");
    }
    let groups = [
        ("redelivered", 200, "redelivered"),
        ("same_payment", 200, "same_payment"),
        ("outcome_updates", 200, "outcome_update"),
        ("conflicts_409", 409, "conflict"),
        ("rejects_422", 422, "rejected"),
    ];
    for (name, status, verdict) in groups {
        for item in file[name].as_array().expect(name) {
            put(&mut all, &item["line"], status, verdict, item["reason"].as_str().unwrap_or_default());
        }
    }
    all.into_iter().enumerate().map(|(i, e)| e.unwrap_or_else(|| panic!("line {} has no expected answer", i + 1))).collect()
}

fn put(all: &mut [Option<Expected>], line: &Json, status: u16, verdict: &'static str, reason: &str) {
    let at = usize::try_from(line.as_u64().expect("line")).expect("small") - 1;
    all[at] = Some(Expected { status, verdict, reason: reason.to_owned() });
}
