//! Kinds of which one job at a time counts for a `to`, one for each behaviour when a second comes.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use clawr_engine::unique::{OnConflict, Unique};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(2);
const MAX_WAIT: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(default)]
    ms: u64,
}

macro_rules! kinds {
    ($($name:ident $word:literal $on_conflict:expr;)*) => {$(
        /// The kind.
        pub struct $name;

        impl Kind<Ports> for $name {
            const KIND: &'static str = $word;
            const QUEUE: &'static str = "chaos";
            const UNIQUE: Option<Unique> = Some(Unique { by: &["/to"], ..Unique::new($on_conflict) });
            type Args = Args;

            fn policy() -> Policy {
                policy()
            }

            async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
                log(&args.log, "start", &run)?;
                tokio::time::sleep(Duration::from_millis(args.ms)).await;
                log(&args.log, "end", &run)?;
                Ok(Finish::done(json!({ "to": args.to, "ms": args.ms })))
            }
        }
    )*};
}

kinds! {
    ChaosReturn "chaos_return" OnConflict::Return;
    ChaosReject "chaos_reject" OnConflict::Reject;
    ChaosReplace "chaos_replace" OnConflict::Replace;
    ChaosDebounce "chaos_debounce" OnConflict::Debounce { window: WINDOW, max_wait: MAX_WAIT };
    ChaosThrottle "chaos_throttle" OnConflict::Throttle { per: MAX_WAIT };
}
