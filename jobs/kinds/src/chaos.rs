//! Kinds that misbehave on purpose, compiled in only for tests. Each appends what it does to the file named in its
//! args, so that a test sees executions from outside the database.

mod chaos_abort;
mod chaos_checkpoint;
mod chaos_debounce;
mod chaos_effect;
mod chaos_fail;
mod chaos_follow;
mod chaos_group;
mod chaos_notes;
mod chaos_panic;
mod chaos_reject;
mod chaos_renamed;
mod chaos_replace;
mod chaos_return;
mod chaos_sealed;
mod chaos_secret;
mod chaos_sequence;
mod chaos_sleep;
mod chaos_slow;
mod chaos_spin;
mod chaos_throttle;
mod chaos_tidy;
mod chaos_total;
mod chaos_wait;
mod chaos_weigh;

use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, MayEnqueue, Policy, RegistryBuilder, Run};
use clawr_engine::unique::{OnConflict, Unique};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write as _;
use std::time::Duration;

pub(crate) fn add(kinds: RegistryBuilder<Ports>) -> RegistryBuilder<Ports> {
    kinds
        .with::<chaos_abort::ChaosAbort>()
        .with::<chaos_checkpoint::ChaosCheckpoint>()
        .with::<chaos_debounce::ChaosDebounce>()
        .with::<chaos_effect::ChaosEffect>()
        .with::<chaos_fail::ChaosFail>()
        .with::<chaos_follow::ChaosFollow>()
        .with::<chaos_group::ChaosGroup>()
        .with::<chaos_notes::ChaosNotes>()
        .with::<chaos_panic::ChaosPanic>()
        .with::<chaos_reject::ChaosReject>()
        .with::<chaos_renamed::ChaosRenamed>()
        .with::<chaos_replace::ChaosReplace>()
        .with::<chaos_return::ChaosReturn>()
        .with::<chaos_sealed::ChaosSealed>()
        .with::<chaos_secret::ChaosSecret>()
        .with::<chaos_sequence::ChaosSequence>()
        .with::<chaos_sleep::ChaosSleep>()
        .with::<chaos_slow::ChaosSlow>()
        .with::<chaos_spin::ChaosSpin>()
        .with::<chaos_throttle::ChaosThrottle>()
        .with::<chaos_tidy::ChaosTidy>()
        .with::<chaos_total::ChaosTotal>()
        .with::<chaos_wait::ChaosWait>()
        .with::<chaos_weigh::ChaosWeigh>()
}

fn policy() -> Policy {
    Policy {
        max_attempts: 5,
        backoff: Duration::from_millis(200),
        backoff_max: Duration::from_secs(60),
        may_enqueue: MayEnqueue::Tenant,
        ..Policy::default()
    }
}

/// Appends `word job attempt pid time` to the log, in one write.
fn log(path: &str, word: &str, run: &Run) -> std::io::Result<()> {
    if path.is_empty() {
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    let line = format!("{word} {} {} {} {}\n", run.job.id, run.job.attempt, std::process::id(), run.clock.now());
    file.write_all(line.as_bytes())
}

/// Args of the kinds with a unique policy.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlikeArgs {
    #[serde(default)]
    log: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(default)]
    ms: u64,
}

/// One job at a time counts for a `to`.
const fn per_to(on_conflict: OnConflict) -> Option<Unique> {
    Some(Unique { by: &["/to"], ..Unique::new(on_conflict) })
}

/// Sleeps and tells what it was asked for.
async fn run_alike(args: AlikeArgs, run: Run) -> anyhow::Result<Finish> {
    log(&args.log, "start", &run)?;
    tokio::time::sleep(Duration::from_millis(args.ms)).await;
    log(&args.log, "end", &run)?;
    Ok(Finish::done(json!({ "to": args.to, "ms": args.ms })))
}
