//! Has args that nobody but its handler sees.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    card: String,
    owner: Owner,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    name: String,
    #[serde(default)]
    mail: Option<String>,
}

/// The kind.
pub struct ChaosSecret;

impl Kind<Ports> for ChaosSecret {
    const KIND: &'static str = "chaos_secret";
    const QUEUE: &'static str = "chaos";
    const MASKED: &'static [&'static str] = &["/card", "/owner/mail"];
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        let digits = args.card.len();
        log(&args.log, "end", &run)?;
        Ok(Finish::done(json!({ "digits": digits, "owner": args.owner.name })))
    }
}
