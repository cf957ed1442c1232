//! What is in the store when all jobs have ended, beside what must be.

use super::record;
use crate::compose::House;
use anyhow::bail;
use clawr_domain::settlement::store;
use clawr_domain::{audit, ledger};
use clawr_engine::db::Scope;
use serde_json::{Map, Value as Json, json};
use std::time::{Duration, Instant};

/// How long the jobs may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often we look.
const EVERY: Duration = Duration::from_millis(100);

/// Payments that are reported, and whose best report is no success, before anybody asks the chain. The recording's own
/// file speaks of the end, after asking; its README has these.
const REPORTED: i64 = 169;
const UNKNOWN: i64 = 17;

/// The counts.
pub struct Count {
    settlements: Vec<store::Count>,
    jobs_completed: i64,
    ledger: ledger::Report,
    audit: audit::Report,
}

impl Count {
    /// Waits until no job is live and every audit entry is sealed, then counts.
    pub async fn when_idle(house: &House) -> anyhow::Result<Count> {
        let started = Instant::now();
        loop {
            let live: i64 = house.queue.queue_stats(&Scope::System).await?.iter().map(|row| row.int("jobs")).sum::<Result<_, _>>()?;
            let audit = audit::verify(&house.db, house.clock.now()).await?;
            if live == 0 && audit.sealed == audit.entries {
                return Count::now(house, audit).await;
            }
            if started.elapsed() > PATIENCE {
                bail!(
                    "{live} jobs are still live, {} of {} audit entries sealed after {} s",
                    audit.sealed,
                    audit.entries,
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn now(house: &House, audit: audit::Report) -> anyhow::Result<Count> {
        let mut jobs_completed = 0;
        for row in house.queue.archive_counts(&Scope::System).await? {
            if row.text("state")? == "completed" {
                jobs_completed = row.int("jobs")?;
            }
        }
        let settlements = store::counts(&house.db, &Scope::System).await?;
        Ok(Count { settlements, jobs_completed, ledger: ledger::verify(&house.db).await?, audit })
    }

    /// As printed; `answers` and `seconds` are the caller's.
    pub fn object(&self) -> Json {
        let settlements: Map<String, Json> =
            self.settlements.iter().filter(|c| c.count > 0).map(|c| (c.state.clone(), c.count.into())).collect();
        json!({
            "answers": null,
            "settlements": settlements,
            "jobs_completed": self.jobs_completed,
            "entries": self.ledger.entries,
            "audit_entries": self.audit.entries,
            "ledger": word(self.ledger.is_balanced()),
            "audit": word(self.audit.is_whole()),
        })
    }

    /// A sentence per count that is not what it must be.
    pub fn differences(&self, object: &Json) -> Vec<String> {
        let new = record::expected().map(|e| e.accepted_lines.len()).unwrap_or(0);
        let wanted = [
            ("settlements", json!({ "reported": REPORTED, "unknown": UNKNOWN })),
            ("jobs_completed", new.into()),
            ("entries", new.into()),
            ("ledger", "ok".into()),
            ("audit", "ok".into()),
        ];
        let differs = wanted.into_iter().filter(|(name, want)| object[name] != *want);
        let mut all: Vec<String> = differs.map(|(name, want)| format!("{name}: expected {want}, got {}", object[name])).collect();
        all.extend(self.ledger.findings.iter().map(|f| format!("ledger: {} {} {}", f.what, f.id, f.detail)));
        all.extend(self.audit.findings.iter().map(|f| format!("audit: {} {} {} {}", f.what, f.stream, f.seq, f.entry_id)));
        all
    }
}

fn word(is_fine: bool) -> &'static str {
    if is_fine { "ok" } else { "broken" }
}
