//! `health`: what a container or a supervisor asks. Exit 0 if the server is ready, 69 if not.

use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::exit::Exit;
use crate::out::say;
use crate::table::Table;
use clap::Args;
use serde_json::Value as Json;

/// Arguments of `health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Asks `/readyz`.
pub async fn run(args: HealthArgs, context: Context) -> anyhow::Result<Exit> {
    let client = Client::new(&args.remote, &context)?;
    let answer = client.request(reqwest::Method::GET, "readyz", &[])?.send().await.map_err(|e| client.unreachable(&e))?;
    let status = answer.status();
    let body: Json = answer.json().await.unwrap_or_default();
    context.out.show(&body, || Table::of_object(&body))?;
    if status.is_success() {
        return Ok(Exit::Done);
    }
    say(&format!("not ready: the server said {}", status.as_u16()));
    Ok(Exit::Unavailable)
}
