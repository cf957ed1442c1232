//! `bench`: what this machine can do, measured on a scratch store; figures are told with what they must be judged by.

mod cron;
mod flat;
mod http;
mod intake;
mod limits;
mod measure;
mod noop;
mod queue;
mod report;
mod scratch;
mod shares;

use crate::cli::Context;
use crate::exit::Exit;
use crate::out::say;
use clap::{Args, Subcommand};
use clawr_engine::db::Engine;
use report::{Floor, Report};
use scratch::Scratch;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  clawr bench queue                                          on a temporary SQLite file
  clawr bench queue --store postgres://me@127.0.0.1/scratch  in its schema clawr_bench
  clawr bench intake --seconds 30 --check                    exit 1 if a floor is missed
  clawr bench shares --check                                 is a crowd kept from crowding others out?
  clawr bench cron --check                                   how long is the next occurrence looked for?
  clawr bench flat --hold-snapshot 10m --store postgres://me@127.0.0.1/scratch";

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
    /// The scratch store; default a temporary SQLite file. Postgres: a schema `clawr_bench` is made in it
    #[arg(long, global = true, value_name = "URL")]
    store: Option<String>,
    /// Exit 1 if a figure misses the floor of a quiet two-core machine
    #[arg(long, global = true)]
    check: bool,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Jobs made, claimed and finished per second
    Queue {
        /// Jobs that are bulk-enqueued and drained
        #[arg(long, default_value_t = 100_000, value_parser = some)]
        jobs: usize,
        /// Seconds of single enqueues by 16 writers
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
        enqueue_secs: u64,
        /// Jobs whose pickup by an idle worker is timed
        #[arg(long, default_value_t = 200, value_parser = some)]
        pickups: usize,
    },
    /// One drain of what is there: `queue` runs it as a process of its own, so that memory is that of a worker
    #[command(hide = true)]
    Drain {
        /// How many are there
        #[arg(long, value_parser = some)]
        jobs: usize,
    },
    /// What limits and shares cost, each against the same drain without them
    Limits {
        /// Jobs of each drain
        #[arg(long, default_value_t = 60_000, value_parser = some)]
        jobs: usize,
    },
    /// How equally tenants that share a queue are served, and how long a claim of theirs takes
    Shares {
        /// Jobs that wait all the time, most of them of few tenants
        #[arg(long, default_value_t = 300_000, value_parser = some)]
        ready: usize,
        /// For how long, looked at minute by minute
        #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
    },
    /// How long it takes to find the next occurrence of a schedule; no store is used
    Cron {
        /// How often all expressions are gone through
        #[arg(long, default_value_t = 5, value_parser = some)]
        rounds: usize,
    },
    /// Settlement reports taken in per second, signed, over HTTP, with workers posting them
    Intake {
        /// How long
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// Connections side by side
        #[arg(long, default_value_t = 32, value_parser = some)]
        connections: usize,
    },
    /// Whether claims are as fast with millions of jobs around them, and with an old snapshot open (Postgres only; 15 GB, half an
    /// hour; a tenth of everything takes three minutes)
    Flat {
        /// Jobs that are due
        #[arg(long, default_value_t = 1_000_000, value_parser = some)]
        ready: usize,
        /// Jobs of the next days
        #[arg(long, default_value_t = 1_000_000, value_parser = some)]
        scheduled: usize,
        /// Jobs that have ended
        #[arg(long, default_value_t = 10_000_000, value_parser = some)]
        archived: usize,
        /// How long an old snapshot is held while jobs flow, such as 90s or 10m; 0s leaves it out
        #[arg(long, default_value = "10m", value_parser = span)]
        hold_snapshot: Duration,
    },
}

/// `90s`, `10m`.
fn span(text: &str) -> Result<Duration, String> {
    let (number, unit_s) = match text.as_bytes() {
        [.., b's'] => (&text[..text.len() - 1], 1),
        [.., b'm'] => (&text[..text.len() - 1], 60),
        _ => return Err("must be a time like 90s or 10m".to_owned()),
    };
    let number: u64 = number.parse().ok().filter(|n| *n <= 3_600).ok_or_else(|| "must be a time like 90s or 10m".to_owned())?;
    Ok(Duration::from_secs(number * unit_s))
}

/// A count that figures can be divided by.
fn some(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number from 1".to_owned())
}

/// Runs it.
pub async fn run(args: BenchArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut report = Report::new(context.out.is_json());
    if let BenchCommand::Cron { rounds } = args.command {
        cron::run(rounds, &mut report)?;
        return conclude(&report, "cron", "none", cron::floors(), args.check, context);
    }
    let scratch = Scratch::make(context, args.store.as_deref())?;
    let house = scratch.open().await?;
    let engine = house.db.engine();
    let (name, floors) = match args.command {
        BenchCommand::Queue { jobs, enqueue_secs, pickups } => {
            let plan = queue::Plan { jobs, enqueue_secs, pickups };
            let store = args.store.clone().unwrap_or_else(|| scratch.config.store.url.to_string());
            queue::run(&house.queue, &scratch.config.store, &store, scratch.folder(), &plan, &mut report).await?;
            ("queue", queue::floors(engine).to_vec())
        }
        BenchCommand::Drain { jobs } => {
            queue::drain(&house.queue, &scratch.config.store, jobs, &mut report).await?;
            ("drain", Vec::new())
        }
        BenchCommand::Limits { jobs } => {
            limits::run(&house.queue, &scratch.config.store, jobs, &mut report).await?;
            ("limits", limits::floors().to_vec())
        }
        BenchCommand::Shares { ready, seconds } => {
            shares::run(&house.queue, &scratch.config.store, ready, seconds, &mut report).await?;
            ("shares", shares::floors().to_vec())
        }
        BenchCommand::Cron { .. } => unreachable!("it was run without a store"),
        BenchCommand::Intake { seconds, connections } => {
            intake::run(&house, &scratch, seconds, connections, &mut report).await?;
            ("intake", intake::floors().to_vec())
        }
        BenchCommand::Flat { ready, scheduled, archived, hold_snapshot } => {
            anyhow::ensure!(engine == Engine::Postgres, "bench flat fills a Postgres store: --store postgres://…");
            let plan = flat::Plan { ready, scheduled, archived, hold: hold_snapshot };
            flat::run(&scratch.config, scratch.folder(), &plan, &mut report).await?;
            ("flat", flat::floors(&plan))
        }
    };
    house.db.close().await;
    conclude(&report, name, &scratch.config.store.url.to_string(), &floors, args.check, context)
}

/// Tells the figures; with `check` a missed floor fails.
fn conclude(report: &Report, name: &str, store: &str, floors: &[Floor], check: bool, context: &Context) -> anyhow::Result<Exit> {
    context.out.json(&report.json(name, store))?;
    let misses = report.misses(floors);
    misses.iter().for_each(|miss| say(&format!("below the floor: {miss}")));
    Ok(if check && !misses.is_empty() { Exit::Failed } else { Exit::Done })
}
