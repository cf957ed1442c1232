//! `serve` and `work`: one process of a running system, until a signal.

use crate::cli::Context;
use crate::compose::{House, Pools, Server};
use crate::config::Config;
use crate::exit::Exit;
use crate::out::say;
use crate::signals::{Signals, Stop};
use clap::Args;
use serde_json::json;

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  clawr serve\n  clawr serve --listen 127.0.0.1:0 --no-workers\n  CLAWR_STORE__URL=postgres://… clawr serve"
)]
pub struct ServeArgs {
    /// Address and port of the API; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Serve HTTP only; `clawr work` runs the jobs elsewhere
    #[arg(long)]
    no_workers: bool,
}

/// Serves the API, and runs jobs unless told otherwise.
pub async fn serve(args: ServeArgs, context: Context) -> anyhow::Result<Exit> {
    let own: Vec<_> = args.listen.into_iter().map(|listen| ("--listen", "http.listen", listen)).collect();
    let config = context.config_with(&own)?;
    let signals = Signals::catch()?;
    let house = House::open(&config).await?;
    warn_of(&config);
    let pools = if args.no_workers { None } else { Some(Pools::start(&house, &config).await?) };
    let server = match Server::start(&house, &config, pools.clone()).await {
        Ok(server) => server,
        Err(error) => {
            stop_pools(pools.as_ref(), &config).await;
            return Err(error);
        }
    };
    announce(&context, &server, pools.as_ref())?;
    let stop = signals.wait().await;
    say("stopping: no new work; a second signal stops at once");
    server.stop().await;
    stop_pools(pools.as_ref(), &config).await;
    house.verifier.write_used().await;
    house.db.close().await;
    Ok(ended(stop))
}

/// Runs jobs without HTTP.
pub async fn work(context: Context) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let signals = Signals::catch()?;
    let house = House::open(&config).await?;
    let pools = Pools::start(&house, &config).await?;
    context.out.text(&format!("ready: working on {}\n", pools.describe()), &json!({ "queues": pools.queues }))?;
    let stop = signals.wait().await;
    say("stopping: letting running jobs finish; a second signal stops at once");
    pools.stop(config.workers.grace).await;
    house.db.close().await;
    Ok(ended(stop))
}

/// The first line is for programs, too: `listening on http://…`.
fn announce(context: &Context, server: &Server, pools: Option<&Pools>) -> anyhow::Result<()> {
    let queues = pools.map(|pools| &pools.queues);
    let value = json!({ "url": server.url, "metrics": server.metrics_url, "queues": queues });
    context.out.text(&format!("listening on {}\n", server.url), &value)?;
    if let Some(url) = &server.metrics_url {
        say(&format!("metrics on {url}"));
    }
    match pools {
        Some(pools) => say(&format!("working on {}", pools.describe())),
        None => say("no workers in this process"),
    }
    Ok(())
}

fn warn_of(config: &Config) {
    if config.networks.iter().all(|network| network.treasuries.is_empty()) {
        say("chain.treasury is not set: every settlement report will be refused");
    }
}

async fn stop_pools(pools: Option<&Pools>, config: &Config) {
    if let Some(pools) = pools {
        pools.stop(config.workers.grace).await;
    }
}

fn ended(stop: Stop) -> Exit {
    say("stopped");
    stop.exit()
}
