//! Finds out what became of an unknown effect, so that its job can go on: asks the receiver through the kind that
//! intended it, and does what the effect's class allows. Made by the commit that found the effect unknown.

use clawr_domain::ports::Ports;
use clawr_engine::effect::Next;
use clawr_engine::kind::{Finish, Kind, MayEnqueue, Outcome, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// Which effect.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    effect_id: String,
}

/// The kind.
pub struct EffectResolve;

impl Kind<Ports> for EffectResolve {
    const KIND: &'static str = "effect_resolve";
    const QUEUE: &'static str = "effects";
    type Args = Args;

    fn policy() -> Policy {
        Policy {
            max_attempts: 1_000_000,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            attempt_timeout: Duration::from_secs(600),
            may_enqueue: MayEnqueue::Nobody,
            ..Policy::default()
        }
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        let next = run.resolve_effect(&args.effect_id).await?;
        Ok(match next {
            Next::Over(state) => Finish::done(json!({ "effect_id": args.effect_id, "state": state })),
            Next::Again(pause) => Finish::as_outcome(Outcome::Snooze(pause)),
        })
    }
}
