//! Works until it is asked to stop, then takes a while to tidy up; ends as it was told to.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run, Stop};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    /// How long tidying up takes.
    tidy_ms: u64,
    /// Whether it then says that it is done.
    done: bool,
}

/// The kind.
pub struct ChaosTidy;

impl Kind<Ports> for ChaosTidy {
    const KIND: &'static str = "chaos_tidy";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        Policy { cancel_within: Duration::from_secs(2), ..policy() }
    }

    async fn run(args: Args, mut run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        let Stop::Cancel(reason) = run.stop.asked().await else { anyhow::bail!("the lease is gone") };
        log(&args.log, "asked", &run)?;
        tokio::time::sleep(Duration::from_millis(args.tidy_ms)).await;
        log(&args.log, "tidy", &run)?;
        if args.done {
            return Ok(Finish::done(json!({ "asked": reason })));
        }
        anyhow::bail!("stopped in the middle")
    }
}
