//! `keys rewrap-args`, on a job whose args are sealed: an older key is needed, then no more.

use super::acts::text;
use super::system::System;
use anyhow::ensure;
use serde_json::{Value as Json, json};

/// Counts, re-wraps with a new key of its own file, and counts again.
pub fn rewrap_args(system: &System) -> anyhow::Result<()> {
    let args = r#"{"card":"canary-4111"}"#;
    let made = system.json("jobs enqueue", &["chaos_sealed", "--args", args, "--key", "cli-sealed"])?;
    ensure!(system.state(text(&made, "id")?, &["--wait"])? == "completed", "it did not run");
    let file = system.house.folder().join("rotated");
    std::fs::write(&file, format!("k2 {}\n{}", "7b".repeat(32), clawr_tests::binary::ARGS_KEYS))?;
    let set = format!("secrets.args_keys_file={}", file.display());
    let looked = system.json("keys rewrap-args", &["--dry-run", "--set", &set])?;
    ensure!(looked["rewrapped"] == 0 && needs(&looked, "k1") >= Some(1) && needs(&looked, "k2") == Some(0), "{looked}");
    let done = system.json("keys rewrap-args", &["--batch", "1", "--set", &set])?;
    ensure!(json!(needs(&looked, "k1")) == done["rewrapped"] && needs(&done, "k1") == Some(0), "{done}");
    let doctor = system.run(&["doctor", "--json"])?;
    let found: Json = serde_json::from_slice(&doctor.stdout)?;
    let keys = found["items"].as_array().and_then(|all| all.iter().find(|f| f["check"] == "args_keys"));
    ensure!(keys.is_some_and(|f| f["ok"] == false && f["says"].as_str().is_some_and(|s| s.starts_with("not here: k2 ("))), "{found}");
    // the running processes know k1 alone: what they need is put back
    std::fs::write(&file, format!("{}\nk2 {}", clawr_tests::binary::ARGS_KEYS, "7b".repeat(32)))?;
    let back = system.json("keys rewrap-args", &["--set", &set])?;
    ensure!(back["rewrapped"] == done["rewrapped"] && back["current"] == "k1", "{back}");
    Ok(())
}

fn needs(told: &Json, key: &str) -> Option<i64> {
    let all = told["keys"].as_array()?;
    all.iter().find(|k| k["key"] == key)?["jobs"].as_i64()
}
