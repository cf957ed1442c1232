//! `queues`: what waits where, what is not claimed for now, and what is limited.

use crate::cli::Context;
use crate::client::{Client, Remote, segment};
use crate::commands::queue_limits::{self, LimitArgs};
use crate::commands::queue_shares::{self, ShareArgs};
use crate::exit::{Exit, Failure};
use crate::out::say;
use crate::table::Table;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

const EXAMPLES: &str = "\
Examples:
  clawr queues
  clawr queues pause money --why 'the provider is down' --until 2h
  clawr queues pause --kind email --why 'a wrong template'
  clawr queues resume --kind email
  clawr queues limit money --concurrency 2 --why 'the bank is slow' --until 2h
  clawr queues limit --kind email --rate 100/1m --per-tenant --why 'the provider allows no more'
  clawr queues share mail --weight acme=3 --why 'nobody waits behind a crowd'";

/// Arguments of `queues`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct QueuesArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Option<QueuesCommand>,
}

#[derive(Debug, Subcommand)]
enum QueuesCommand {
    /// Depth, oldest age, and what is paused (also without a word)
    List,
    /// Stop claiming what is named; what runs goes on
    Pause {
        #[command(flatten)]
        what: What,
        /// For whoever asks why nothing runs
        #[arg(long)]
        why: String,
        /// A time (RFC 3339) or a span like 2h; without it until resumed
        #[arg(long)]
        until: Option<String>,
    },
    /// Claim it again
    Resume {
        #[command(flatten)]
        what: What,
    },
    /// Limit how many run at once or start in a time; what runs goes on
    Limit(LimitArgs),
    /// What is limited
    Limits,
    /// End a limit
    Unlimit {
        /// Its id
        id: String,
    },
    /// Let tenants share a queue by weight, whoever waits in what numbers
    Share(ShareArgs),
    /// Which queues tenants share
    Shares,
    /// Claim from a queue in order of rank again
    Unshare {
        /// The queue
        queue: String,
    },
}

/// What is named: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A queue
    queue: Option<String>,
    /// All jobs of a kind
    #[arg(long)]
    kind: Option<String>,
    /// All jobs with a tag
    #[arg(long)]
    tag: Option<String>,
    /// All jobs of a tenant, by slug
    #[arg(long)]
    tenant: Option<String>,
}

impl What {
    /// The word for it, and its name.
    fn named(&self) -> (&'static str, &str) {
        let all = [("queue", &self.queue), ("kind", &self.kind), ("tag", &self.tag), ("tenant", &self.tenant)];
        all.into_iter().find_map(|(what, value)| value.as_deref().map(|value| (what, value))).unwrap_or_default()
    }
}

/// Runs it.
pub async fn run(args: QueuesArgs, context: Context) -> anyhow::Result<Exit> {
    let client = Client::new(&args.remote, &context)?;
    match args.command.unwrap_or(QueuesCommand::List) {
        QueuesCommand::List => list(&client, &context).await,
        QueuesCommand::Pause { what, why, until } => {
            let answer = client.post("v1/pauses", &body(&what, &why, until.as_deref())).await?;
            context.out.show(&answer, || pauses(std::slice::from_ref(&answer)))?;
            Ok(Exit::Done)
        }
        QueuesCommand::Resume { what } => resume(&client, &what, &context).await,
        QueuesCommand::Limit(args) => queue_limits::limit(&client, &args, &context).await,
        QueuesCommand::Limits => queue_limits::limits(&client, &context).await,
        QueuesCommand::Unlimit { id } => queue_limits::unlimit(&client, &id, &context).await,
        QueuesCommand::Share(args) => queue_shares::share(&client, &args, &context).await,
        QueuesCommand::Shares => queue_shares::shares(&client, &context).await,
        QueuesCommand::Unshare { queue } => queue_shares::unshare(&client, &queue, &context).await,
    }
}

async fn list(client: &Client, context: &Context) -> anyhow::Result<Exit> {
    let list = client.get("v1/queues", &[]).await?;
    context.out.show(&list, || {
        Table::of_list(&list, ["name", "depth", "oldest_age_s", "states", "pauses.0.who", "pauses.0.why", "pauses.0.until"])
    })?;
    for pause in list["pauses"].as_array().into_iter().flatten().filter(|pause| pause["what"] != "queue") {
        let text = |name: &str| pause[name].as_str().unwrap_or("resumed").to_owned();
        say(&format!("{} {} is paused until {}: {}", text("what"), text("value"), text("until"), text("why")));
    }
    Ok(Exit::Done)
}

fn pauses(items: &[Json]) -> Table {
    Table::of(items, ["what", "value", "who", "why", "since", "until"])
}

fn body(what: &What, why: &str, until: Option<&str>) -> Json {
    let (what, value) = what.named();
    let mut body = json!({"what": what, "value": value, "why": why});
    if let Some(until) = until {
        body["until"] = until.into();
    }
    body
}

async fn resume(client: &Client, what: &What, context: &Context) -> anyhow::Result<Exit> {
    let (what, value) = what.named();
    let list = client.get("v1/pauses", &[]).await?;
    let found = list["items"].as_array().into_iter().flatten().find(|pause| pause["what"] == what && pause["value"] == value);
    let Some(id) = found.and_then(|pause| pause["id"].as_str()) else {
        return Err(Failure::new(Exit::NotFound, format!("{what} {value} is not paused")).into());
    };
    client.delete(&format!("v1/pauses/{}", segment(id)?)).await?;
    let done = json!({"what": what, "value": value, "resumed": true});
    context.out.show(&done, || Table::of_object(&done))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: QueuesArgs,
    }

    #[test]
    fn exactly_one_thing_is_paused() {
        let pause = |words: &[&str]| match Line::try_parse_from(["x", "pause"].iter().chain(words)).map(|line| line.args.command) {
            Ok(Some(QueuesCommand::Pause { what, why, until })) => Ok(body(&what, &why, until.as_deref())),
            other => Err(format!("{other:?}")),
        };
        assert_eq!(pause(&["money", "--why", "w"]), Ok(json!({"what": "queue", "value": "money", "why": "w"})));
        let tag = pause(&["--tag", "vip", "--why", "w", "--until", "2h"]);
        assert_eq!(tag, Ok(json!({"what": "tag", "value": "vip", "why": "w", "until": "2h"})));
        for wrong in [&["--why", "w"][..], &["money", "--kind", "email", "--why", "w"], &["money"]] {
            assert!(pause(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_word_it_is_a_list() {
        assert!(Line::try_parse_from(["x"]).unwrap().args.command.is_none());
    }
}
