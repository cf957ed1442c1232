//! Kinds that misbehave on purpose, compiled in only for tests. Each appends what it does to the file named in its
//! args, so that a test sees executions from outside the database.

mod chaos_abort;
mod chaos_effect;
mod chaos_fail;
mod chaos_follow;
mod chaos_panic;
mod chaos_sleep;
mod chaos_slow;
mod chaos_spin;
mod chaos_tidy;
mod chaos_unique;

use clawr_domain::ports::Ports;
use clawr_engine::kind::{MayEnqueue, Policy, RegistryBuilder, Run};
use std::io::Write as _;
use std::time::Duration;

pub(crate) fn add(kinds: RegistryBuilder<Ports>) -> RegistryBuilder<Ports> {
    kinds
        .with::<chaos_abort::ChaosAbort>()
        .with::<chaos_effect::ChaosEffect>()
        .with::<chaos_fail::ChaosFail>()
        .with::<chaos_follow::ChaosFollow>()
        .with::<chaos_panic::ChaosPanic>()
        .with::<chaos_sleep::ChaosSleep>()
        .with::<chaos_slow::ChaosSlow>()
        .with::<chaos_spin::ChaosSpin>()
        .with::<chaos_tidy::ChaosTidy>()
        .with::<chaos_unique::ChaosReturn>()
        .with::<chaos_unique::ChaosReject>()
        .with::<chaos_unique::ChaosReplace>()
        .with::<chaos_unique::ChaosDebounce>()
        .with::<chaos_unique::ChaosThrottle>()
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
