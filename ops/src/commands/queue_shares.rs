//! `queues share`, `queues shares`, `queues unshare`: who is started how often where tenants share a queue.

use crate::cli::Context;
use crate::client::{Client, segment};
use crate::exit::Exit;
use crate::table::Table;
use clap::Args;
use serde_json::{Map, Value as Json, json};

/// Arguments of `queues share`.
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// The queue
    queue: String,
    /// A tenant's weight, like acme=3; again for each. Those without one weigh 1
    #[arg(long = "weight", value_name = "TENANT=N", value_parser = weight)]
    weights: Vec<(String, i64)>,
    /// For whoever asks why somebody else is first
    #[arg(long)]
    why: String,
}

fn weight(text: &str) -> Result<(String, i64), String> {
    let (tenant, n) = text.split_once('=').ok_or("must be TENANT=N, like acme=3")?;
    let n = n.parse().map_err(|_| format!("{n:?} is not a number"))?;
    Ok((tenant.to_owned(), n))
}

impl ShareArgs {
    fn body(&self) -> Json {
        let weights: Map<String, Json> = self.weights.iter().map(|(tenant, n)| (tenant.clone(), (*n).into())).collect();
        json!({"weights": weights, "why": self.why})
    }
}

/// Lets tenants share a queue.
pub async fn share(client: &Client, args: &ShareArgs, context: &Context) -> anyhow::Result<Exit> {
    let made = client.put(&format!("v1/queues/{}/shares", segment(&args.queue)?), &args.body()).await?;
    context.out.show(&made, || table(std::slice::from_ref(&made)))?;
    Ok(Exit::Done)
}

/// Shows the queues that are shared.
pub async fn shares(client: &Client, context: &Context) -> anyhow::Result<Exit> {
    let list = client.get("v1/shares", &[]).await?;
    context.out.show(&list, || table(list["items"].as_array().map_or(&[], Vec::as_slice)))?;
    Ok(Exit::Done)
}

/// Back to order by rank.
pub async fn unshare(client: &Client, queue: &str, context: &Context) -> anyhow::Result<Exit> {
    client.delete(&format!("v1/queues/{}/shares", segment(queue)?)).await?;
    let done = json!({"queue": queue, "ended": true});
    context.out.show(&done, || Table::of_object(&done))?;
    Ok(Exit::Done)
}

fn table(items: &[Json]) -> Table {
    Table::of(items, ["queue", "weights", "who", "why", "since"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_tenant_and_a_number() {
        assert_eq!(weight("acme=3"), Ok(("acme".into(), 3)));
        assert!(weight("acme").is_err() && weight("acme=much").is_err());
    }
}
