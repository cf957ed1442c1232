//! `jobs`: what an operator does with jobs, over the API.

use super::audit::Tail;
use super::explain;
use crate::cli::Context;
use crate::client::{Client, Remote, segment};
use crate::exit::{Exit, Failure};
use crate::out::{confirm, say};
use crate::table::Table;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};

const EXAMPLES: &str = "\
Examples:
  clawr jobs list state:dead kind:settlement since:2h
  clawr jobs show job_… --wait
  clawr jobs explain job_… --twice
  clawr jobs enqueue email --args '{\"to\":\"ada@example.org\"}' --key welcome-ada
  clawr jobs retry job_…
  clawr jobs tail queue:money --follow";

/// Arguments of `jobs`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct JobsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// Newest first; filters: state: kind: queue: tag: key: tenant: since:
    List {
        /// Filters, all of which must hold
        filter: Vec<String>,
        /// How many
        #[arg(long, short = 'n', default_value_t = 50)]
        limit: usize,
    },
    /// The whole record of one
    Show {
        /// job_…
        id: String,
        /// Wait up to 30 s for it to end
        #[arg(long)]
        wait: bool,
    },
    /// Why it has not run: the gates before it, and the command that opens the first closed one
    Explain {
        /// job_…
        id: String,
        /// Why it ran twice: failed attempts, the lease, who took it from whom on what evidence
        #[arg(long)]
        twice: bool,
    },
    /// Make one; the same key and content is the first job again
    Enqueue(Box<EnqueueArgs>),
    /// Run a dead, cancelled or waiting job again
    Retry {
        /// job_…
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Do the work of a job that has ended once more, as a new job; what it did outside is not done again
    Replay {
        /// job_…
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// End a job that has not ended; a running one is asked to
    Cancel {
        /// job_…
        #[arg(required = true)]
        ids: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Only show what would be cancelled
        #[arg(long)]
        dry_run: bool,
    },
    /// The newest ones, one a line, as they come
    Tail {
        /// Filters, all of which must hold
        filter: Vec<String>,
        /// How many to begin with
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
        /// Keep looking until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
}

/// A job to be made.
#[derive(Debug, Args)]
struct EnqueueArgs {
    /// What kind of job
    kind: String,
    /// Its arguments, a JSON object, or @FILE
    #[arg(long, default_value = "{}")]
    args: String,
    /// Permanent identity
    #[arg(long)]
    key: Option<String>,
    /// Runs when those made before it in this sequence of its tenant have ended
    #[arg(long)]
    sequence: Option<String>,
    /// A tenant's slug; a global key must say it where the kind belongs to one
    #[arg(long)]
    tenant: Option<String>,
    /// Another queue than the kind's
    #[arg(long)]
    queue: Option<String>,
    /// 0 (most urgent) to 9
    #[arg(long)]
    priority: Option<i64>,
    /// Not before, RFC 3339
    #[arg(long)]
    run_at: Option<String>,
    /// Not started after, RFC 3339
    #[arg(long)]
    deadline: Option<String>,
    /// Attempts before it is dead
    #[arg(long)]
    max_attempts: Option<i64>,
    /// A word for search; may be repeated
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// Wait up to 30 s for it to end
    #[arg(long)]
    wait: bool,
}

const COLUMNS: [&str; 6] = ["id", "state", "kind", "queue", "attempt", "created_at"];

/// Runs it.
pub async fn run(args: JobsArgs, context: Context) -> anyhow::Result<Exit> {
    let client = Client::new(&args.remote, &context)?;
    match args.command {
        JobsCommand::List { filter, limit } => {
            let q = filter.join(" ");
            let list = client.list("v1/jobs", &query(&q), limit).await?;
            context.out.show(&list, || Table::of_list(&list, COLUMNS))?;
            Ok(Exit::Done)
        }
        JobsCommand::Show { id, wait } => show(&client, &id, wait, &context).await,
        JobsCommand::Explain { id, twice } => explain::run(&client, &id, twice, &context).await,
        JobsCommand::Enqueue(new) => enqueue(&client, *new, &context).await,
        JobsCommand::Retry { ids } => act(&client, &ids, "retry", &context).await,
        JobsCommand::Replay { ids } => act(&client, &ids, "replay", &context).await,
        JobsCommand::Cancel { ids, dry_run: true, .. } => look(&client, &ids, &context).await,
        JobsCommand::Cancel { ids, yes, .. } => {
            confirm(yes, &format!("Cancel {}?", counted(&ids)))?;
            act(&client, &ids, "cancel", &context).await
        }
        JobsCommand::Tail { filter, limit, follow } => {
            let q = filter.join(" ");
            let tail = Tail { client, path: "v1/jobs", query: query(&q), limit, follow };
            tail.run(&context, |items| Table::of(items, COLUMNS)).await
        }
    }
}

fn query(q: &str) -> Vec<(&'static str, &str)> {
    if q.is_empty() { Vec::new() } else { vec![("q", q)] }
}

fn counted(ids: &[String]) -> String {
    if let [one] = ids { one.clone() } else { format!("{} jobs", ids.len()) }
}

async fn show(client: &Client, id: &str, wait: bool, context: &Context) -> anyhow::Result<Exit> {
    let query: &[(&str, &str)] = if wait { &[("wait", "30s")] } else { &[] };
    let job = client.get(&format!("v1/jobs/{}", segment(id)?), query).await.with_context(|| id.to_owned())?;
    context.out.show(&job, || Table::of_object(&job))?;
    Ok(Exit::Done)
}

async fn enqueue(client: &Client, new: EnqueueArgs, context: &Context) -> anyhow::Result<Exit> {
    let answer = client.post("v1/jobs", &body(&new)?).await?;
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    let notes = [
        ("duplicate", "was made before and stands for this one as well"),
        ("replaced", "was made before and does now what this one asks for"),
        ("throttled", "was made too short a time ago for another one; nothing was made"),
    ];
    for (_, note) in notes.iter().filter(|(word, _)| answer[*word] == true) {
        say(&format!("{id} {note}"));
    }
    if new.wait {
        return show(client, &id, true, context).await;
    }
    context.out.show(&answer, || Table::of(std::slice::from_ref(&answer), ["id", "state"]))?;
    Ok(Exit::Done)
}

/// Only what was said goes into the body, so that the server's defaults hold.
fn body(new: &EnqueueArgs) -> anyhow::Result<Json> {
    let mut body = Map::from_iter([("kind".to_owned(), json!(new.kind)), ("args".to_owned(), arguments(&new.args)?)]);
    let fields = [
        ("key", json!(new.key)),
        ("sequence", json!(new.sequence)),
        ("tenant", json!(new.tenant)),
        ("queue", json!(new.queue)),
        ("priority", json!(new.priority)),
        ("run_at", json!(new.run_at)),
        ("deadline", json!(new.deadline)),
        ("max_attempts", json!(new.max_attempts)),
    ];
    body.extend(fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)));
    if !new.tags.is_empty() {
        body.insert("tags".to_owned(), json!(new.tags));
    }
    Ok(Json::Object(body))
}

fn arguments(text: &str) -> anyhow::Result<Json> {
    let text = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|e| Failure::new(Exit::Usage, format!("cannot read {file}: {e}")))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|e| Failure::new(Exit::Usage, format!("--args is not JSON: {e}")).into())
}

/// One after the other; what fails is said, the rest is done, the last failure is the exit code.
async fn act(client: &Client, ids: &[String], action: &str, context: &Context) -> anyhow::Result<Exit> {
    let segments = ids.iter().map(|id| segment(id)).collect::<anyhow::Result<Vec<_>>>()?;
    let (mut items, mut exit) = (Vec::new(), Exit::Done);
    for id in segments {
        match client.post(&format!("v1/jobs/{id}/{action}"), &json!({})).await {
            Ok(answer) => items.push(answer),
            Err(error) => {
                say(&format!("{id}: {error:#}"));
                exit = crate::exit::of(&error);
            }
        }
    }
    let value = json!({ "items": items });
    context.out.show(&value, || Table::of_list(&value, ["id", "state"]))?;
    Ok(exit)
}

async fn look(client: &Client, ids: &[String], context: &Context) -> anyhow::Result<Exit> {
    let mut items = Vec::new();
    for id in ids {
        items.push(client.get(&format!("v1/jobs/{}", segment(id)?), &[]).await.with_context(|| id.clone())?);
    }
    say("nothing was cancelled; this is what would be:");
    let value = json!({ "items": items });
    context.out.show(&value, || Table::of_list(&value, COLUMNS))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        new: EnqueueArgs,
    }

    #[test]
    fn only_what_was_said_is_sent() {
        let line = Line::parse_from(["x", "email", "--args", "{\"to\":\"a\"}", "--priority", "2", "--tag", "vip"]);
        let sent = body(&line.new).unwrap();
        assert_eq!(sent, json!({"kind": "email", "args": {"to": "a"}, "priority": 2, "tags": ["vip"]}));
        assert_eq!(crate::exit::of(&arguments("{").unwrap_err()), Exit::Usage);
    }
}
