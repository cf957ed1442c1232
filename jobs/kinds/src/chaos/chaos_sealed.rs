//! Encrypts its args, says what is in them wherever it can, and makes more of its kind if it is told to.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::group::Group;
use clawr_engine::job::NewJob;
use clawr_engine::kind::{Fatal, Finish, Kind, Outcome, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    card: String,
    /// `fail`, `die`, `panic`, `cancel`, `follow` or `group`; with nothing it is done.
    #[serde(default)]
    how: String,
    #[serde(default)]
    ms: u64,
}

/// The kind.
pub struct ChaosSealed;

impl Kind<Ports> for ChaosSealed {
    const KIND: &'static str = "chaos_sealed";
    const QUEUE: &'static str = "chaos";
    const LIMIT_KEY: Option<&'static str> = Some("/card");
    type Args = Args;

    fn policy() -> Policy {
        Policy { encrypt: true, ..policy() }
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        run.notes.progress(50, &format!("at {}", args.card));
        run.notes.log(&format!("the card is {:?}", args.card));
        tokio::time::sleep(Duration::from_millis(args.ms)).await;
        log(&args.log, "end", &run)?;
        let done = Finish::done(json!({ "backwards": args.card.chars().rev().collect::<String>() }));
        match args.how.as_str() {
            "fail" => Err(anyhow::anyhow!("no bank takes {}", args.card)),
            "die" => Err(Fatal(format!("no bank takes {}", args.card)).into()),
            "panic" => panic!("no bank takes {}", args.card),
            "cancel" => Ok(Finish::as_outcome(Outcome::Cancel(format!("nobody wants {}", args.card)))),
            "follow" => Ok(Finish { follow_ups: vec![another(&args)], ..done }),
            "group" => {
                let group = Group::of(&run.job, "all", vec![another(&args)]).on_complete(another(&args)).on_success(another(&args));
                Ok(Finish { groups: vec![group], ..done })
            }
            _ => Ok(done),
        }
    }
}

fn another(args: &Args) -> NewJob {
    let args = json!({ "log": args.log, "card": args.card, "ms": args.ms });
    NewJob { kind: "chaos_sealed".into(), queue: "chaos".into(), args: args.to_string(), ..NewJob::default() }
}
