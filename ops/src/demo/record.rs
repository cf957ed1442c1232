//! The recording, inside the binary: what was reported, what a receiver knows beforehand, and the right answers.

use serde::Deserialize;
use std::collections::BTreeMap;

const EVENTS: &[u8] = include_bytes!("../../demo/events.jsonl");
const GIVEN: &[u8] = include_bytes!("../../demo/given.json");
const EXPECTED: &[u8] = include_bytes!("../../demo/expected.json");

/// What a receiver knows before the first report.
#[derive(Debug, Deserialize)]
pub struct Given {
    /// By CAIP-2 name.
    pub networks: BTreeMap<String, GivenNetwork>,
    /// The current one first.
    pub treasuries: Vec<String>,
    /// By tenant slug: API slugs and what they are.
    pub tenants: BTreeMap<String, BTreeMap<String, String>>,
}

/// One network.
#[derive(Debug, Deserialize)]
pub struct GivenNetwork {
    /// Its name in version 1 of x402.
    pub v1_name: String,
    /// Tokens that count as USDC.
    pub assets: Vec<String>,
}

/// The right answers, by line; lines count from 1.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// How many reports there are.
    pub lines: usize,
    /// 202.
    pub accepted_lines: Vec<usize>,
    /// 200, the same bytes again.
    pub redelivered: Vec<Again>,
    /// 200, the same payment under another id.
    pub same_payment: Vec<Again>,
    /// 200, a new outcome.
    pub outcome_updates: Vec<Again>,
    /// 409.
    pub conflicts_409: Vec<Refused>,
    /// 422.
    pub rejects_422: Vec<Refused>,
}

/// A line that speaks of an earlier line's payment.
#[derive(Debug, Deserialize)]
pub struct Again {
    /// Which.
    pub line: usize,
    /// Of which.
    pub of_line: usize,
}

/// A line that is refused.
#[derive(Debug, Deserialize)]
pub struct Refused {
    /// Which.
    pub line: usize,
    /// By which rule.
    pub reason: String,
}

/// The reports in the order of their delivery, byte for byte.
pub fn events() -> Vec<&'static [u8]> {
    EVENTS.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
}

/// What a receiver knows beforehand.
pub fn given() -> serde_json::Result<Given> {
    serde_json::from_slice(GIVEN)
}

/// The right answers.
pub fn expected() -> serde_json::Result<Expected> {
    serde_json::from_slice(EXPECTED)
}
