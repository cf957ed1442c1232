//! Turns a stored settlement report into its ledger entry and audit event, once.
//!
//! The report's row is read, and what was read is relied on: the writes carry its `rev`, so a report that changed
//! meanwhile makes them `stale` and the handler runs again. The entry's natural key makes a second entry impossible,
//! whoever tries.

use anyhow::Context as _;
use clawr_domain::ports::Ports;
use clawr_domain::refusal::Problem;
use clawr_domain::settlement::{Posting, post};
use clawr_engine::kind::{EffectPolicy, Fatal, Finish, Kind, MayEnqueue, Outcome, Policy, Run};
use clawr_engine::retention::Class;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// Which report.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    settlement_id: String,
}

/// The kind.
pub struct Settlement;

impl Kind<Ports> for Settlement {
    const KIND: &'static str = "settlement";
    const QUEUE: &'static str = "money";
    type Args = Args;

    fn policy() -> Policy {
        Policy {
            max_attempts: 25,
            backoff: Duration::from_millis(500),
            backoff_max: Duration::from_secs(600),
            attempt_timeout: Duration::from_secs(60),
            total: None,
            cancel_within: Duration::from_secs(10),
            may_enqueue: MayEnqueue::Nobody,
            key_life: None,
            retention: Class::Long,
            effects: EffectPolicy::default(),
            encrypt: false,
        }
    }

    async fn run(args: Args, run: Run, ports: Ports) -> anyhow::Result<Finish> {
        let report = match ports.settlements.read(&args.settlement_id).await {
            Err(Problem::NotFound(_)) => return Err(Fatal(format!("no settlement {}", args.settlement_id)).into()),
            found => found.context("failed to read the report")?,
        };
        if !report.entry_id.is_empty() {
            return Ok(Finish::done(json!({ "entry_id": report.entry_id, "posted": "before" })));
        }
        let posting = Posting::new(&run.clock);
        let result = json!({ "entry_id": posting.entry_id, "amount_micros": report.amount.to_string() });
        Ok(Finish::done(result).with_writes(post(&report, &posting)))
    }

    fn on_refused(name: &str) -> Option<Outcome> {
        // the entry is there already: somebody posted this payment under its natural key
        (name == "entries_key").then(|| Outcome::Done(json!({ "posted": "before" })))
    }
}
