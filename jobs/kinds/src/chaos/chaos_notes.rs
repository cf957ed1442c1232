//! Says how far it is and a number of lines, one of which holds a secret.

use super::policy;
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    lines: usize,
}

/// The kind.
pub struct ChaosNotes;

impl Kind<Ports> for ChaosNotes {
    const KIND: &'static str = "chaos_notes";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        run.notes.progress(0, "beginning");
        for n in 1..=args.lines {
            run.notes.log(&format!("line {n} of {}, with clawr_live_secret{n}", args.lines));
        }
        run.notes.progress(100, "all said");
        Ok(Finish::done(json!(null)))
    }
}
