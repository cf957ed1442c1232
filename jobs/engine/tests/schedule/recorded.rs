//! Tables recorded from Debian's cron, and minute by minute around changes of the clock: `tests/fixtures/cron/README.md`.

use super::{first, schedule};
use serde_json::Value as Json;
use std::path::Path;

fn lines(name: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/cron").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The lines of the table that differ, of all its lines.
fn differences(name: &str) -> (Vec<String>, usize) {
    let lines = lines(name);
    let differs = |line: &Json| {
        let (expression, zone) = (line["expr"].as_str().expect("expr"), line["zone"].as_str().unwrap_or("UTC"));
        let next: Vec<&str> = line["next"].as_array().expect("next").iter().map(|n| n.as_str().expect("text")).collect();
        let ours = first(&schedule(expression, zone), line["start"].as_str().expect("start"), next.len());
        (ours != next).then(|| format!("{expression} in {zone}: {ours:?}, not {next:?}"))
    };
    (lines.iter().filter_map(differs).collect(), lines.len())
}

fn equal(name: &str, count: usize) {
    let (different, of) = differences(name);
    println!("{name}: {of} lines, {} differ", different.len());
    assert_eq!(of, count, "lines of {name}");
    assert!(different.is_empty(), "{} of {of} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn fifteen_hundred_expressions_fire_as_in_debians_cron() {
    equal("vixie.jsonl", 1_500);
}

#[test]
fn five_hundred_expressions_meet_changes_of_the_clock_as_the_daemon_does() {
    equal("dst.jsonl", 500);
}
