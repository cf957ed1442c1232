//! `demo`: everything at work in one process, on a temporary store. It posts recorded settlement reports, signed, to its
//! own HTTP API, exactly as a dispatcher would, and lets the workers do the rest.
//!
//! `--once` is the same as a check: it waits until no job is live, counts, and compares with the recorded verdicts.

mod count;
mod post;
pub mod record;
mod stage;
mod verdict;

pub use record as recorded;
pub use stage::{Folder, chain_values, people};

use crate::cli::Context;
use crate::exit::Exit;
use crate::out::say;
use crate::signals::{Signals, Stop};
use clap::Args;
use count::Count;
use post::Posted;
use serde_json::json;
use stage::Stage;
use std::future::Future;
use std::time::Instant;

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  clawr demo\n  clawr demo --once\n  clawr demo --set http.listen=127.0.0.1:8080")]
pub struct DemoArgs {
    /// Wait until every job has ended, print the counts as one JSON object, and exit 0 only if they are as recorded
    #[arg(long)]
    once: bool,
}

/// Runs it.
pub async fn run(args: DemoArgs, context: Context) -> anyhow::Result<Exit> {
    let mut stopped = Box::pin(Signals::catch()?.wait());
    let started = Instant::now();
    let stage = Stage::build(&context).await?;
    let ended = tokio::select! {
        stop = &mut stopped => Ok(stop.exit()),
        ended = play(&args, &context, &stage, started) => match ended {
            Ok(Some(exit)) => Ok(exit),
            Ok(None) => Ok(stay(stopped).await),
            Err(error) => Err(error),
        },
    };
    stage.clear().await;
    ended
}

/// Posts everything; `Some` = that was all, `None` = stay up.
async fn play(args: &DemoArgs, context: &Context, stage: &Stage, started: Instant) -> anyhow::Result<Option<Exit>> {
    let posted = post::all(stage).await?;
    if args.once {
        let count = Count::when_idle(&stage.house).await?;
        return check(context, &posted, &count, started).map(Some);
    }
    welcome(context, stage, &posted, started)?;
    Ok(None)
}

async fn stay(stopped: impl Future<Output = Stop>) -> Exit {
    let stop = stopped.await;
    say("stopping; the temporary store goes with the demo");
    stop.exit()
}

fn check(context: &Context, posted: &Posted, count: &Count, started: Instant) -> anyhow::Result<Exit> {
    let mut object = count.object();
    object["answers"] = json!(posted.by_status());
    object["seconds"] = ((started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0).into();
    context.out.json(&object)?;
    let mut differences = verdict::differences(&posted.answers)?;
    differences.extend(count.differences(&object));
    for difference in &differences {
        say(difference);
    }
    Ok(if differences.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What there is to see, and what to try next.
fn welcome(context: &Context, stage: &Stage, posted: &Posted, started: Instant) -> anyhow::Result<()> {
    let (url, key) = (&stage.server.url, &stage.key);
    if context.out.is_json() {
        return context.out.json(&json!({
            "url": url, "ops": format!("{url}/ops"), "docs": format!("{url}/docs"), "metrics": stage.server.metrics_url,
            "key": key, "signing_secret": stage.signing_secret, "answers": posted.by_status(),
        }));
    }
    let answers = posted.by_status();
    let n = |status: &str| answers.get(status).copied().unwrap_or(0);
    let program = &context.program;
    context.out.raw(&format!(
        "\nPosted {} recorded payment reports, signed, in {:.1} s:\n\
         \x20 {:>3} new payments (202)\n\
         \x20 {:>3} heard of before (200)\n\
         \x20 {:>3} contradict what is stored (409)\n\
         \x20 {:>3} contradict themselves (422)\n\
         \n\
         \x20 Operators   {url}/ops    (any user name; the password is the key below)\n\
         \x20 API         {url}/docs\n\
         \x20 Metrics     {}\n\
         \x20 Key         {key}\n\
         \n\
         Try in another terminal:\n\
         \x20 export CLAWR_API_KEY={key}\n\
         \x20 {program} jobs list kind:settlement --url {url}\n\
         \x20 {program} settlements list --state unknown --url {url}\n\
         \x20 {program} ledger balances --url {url}\n\
         \x20 {program} audit tail --follow --url {url}\n\
         \n\
         ready: everything is in {} and goes when you press Ctrl-C\n",
        posted.answers.len(),
        started.elapsed().as_secs_f64(),
        n("202"),
        n("200"),
        n("409"),
        n("422"),
        stage.server.metrics_url.as_deref().unwrap_or("none"),
        stage.folder.path().display(),
    ))
}
