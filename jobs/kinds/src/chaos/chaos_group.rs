//! Makes a group of children, some of which die, with every callback there is.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::group::Group;
use clawr_engine::job::NewJob;
use clawr_engine::kind::{Finish, Kind, Outcome, Policy, Run};
use clawr_engine::wait::Wait;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    good: usize,
    /// Waits for its children and tells how they ended.
    #[serde(default)]
    gather: bool,
    bad: usize,
}

/// The kind.
pub struct ChaosGroup;

impl Kind<Ports> for ChaosGroup {
    const KIND: &'static str = "chaos_group";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        if let Some(counts) = run.group("all").await? {
            anyhow::ensure!(counts.over, "woken too early");
            return Ok(Finish::done(json!({ "completed": counts.completed, "dead": counts.dead })));
        }
        let good = std::iter::repeat_n(job("chaos_sleep", "child", json!({ "log": args.log, "ms": 0 })), args.good);
        let bad = std::iter::repeat_n(job("chaos_fail", "child", json!({ "times": 9 })), args.bad);
        let said = |what: &str| job("chaos_sleep", what, json!({ "ms": 0 }));
        let group = Group::of(&run.job, "all", good.chain(bad).collect());
        let group = group.on_complete(said("complete")).on_success(said("success")).on_dead(said("dead"));
        let outcome = if args.gather { Outcome::Wait(Wait::children(&group.id)) } else { Outcome::Done(json!(null)) };
        Ok(Finish { groups: vec![group], ..Finish::as_outcome(outcome) })
    }
}

fn job(kind: &str, tag: &str, args: Json) -> NewJob {
    let tags = vec![tag.to_owned()];
    NewJob { kind: kind.into(), queue: "chaos".into(), args: args.to_string(), tags, max_attempts: Some(1), ..NewJob::default() }
}
