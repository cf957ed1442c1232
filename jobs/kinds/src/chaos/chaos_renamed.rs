//! Had another name and other args before, and runs what was enqueued under them.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    words: Vec<String>,
}

/// The kind.
pub struct ChaosRenamed;

impl Kind<Ports> for ChaosRenamed {
    const KIND: &'static str = "chaos_renamed";
    const FORMER: &'static [&'static str] = &["chaos_first_name"];
    const VERSION: i64 = 3;
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        log(&args.log, "end", &run)?;
        Ok(Finish::done(json!(args.words)))
    }

    /// Version 1 had `text`, 2 called it `words`, 3 has a list of them.
    fn upcast(from: i64, mut args: Json) -> Result<Json, String> {
        let fields = args.as_object_mut().ok_or("not an object")?;
        let old = if from == 1 { "text" } else { "words" };
        let text = fields.remove(old).ok_or_else(|| format!("no {old}"))?;
        let words = match (from, text.as_str()) {
            (1, _) => text,
            (_, Some(text)) => text.split(' ').collect(),
            (_, None) => return Err("words are no text".into()),
        };
        fields.insert("words".into(), words);
        Ok(args)
    }
}
