//! The listeners: the API on one, metrics on another. They stop after `/readyz` said so.

use super::{House, Pools};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use clawr_api::{Api, Check, Readiness, Settings, metrics_router, router, serve};
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, migrate};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A clock that may be further off than this is no clock to schedule by.
const CLOCK_BOUND_MAX_US: i64 = 5_000_000;
/// How often a process without workers compares its clock with the store's.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// How long a balancer may see the 503 of `/readyz` before nobody listens.
const DRAIN: Duration = Duration::from_millis(300);

/// The listeners of a process.
pub struct Server {
    /// What clients use, without a slash at the end.
    pub url: String,
    /// Where metrics are, if they are served.
    pub metrics_url: Option<String>,
    api: Api,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds and serves. Without `pools` this process runs no jobs, and keeps its clock by itself.
    pub async fn start(house: &House, config: &Config, pools: Option<Pools>) -> anyhow::Result<Server> {
        let listener = bind(config.http.listen, "http.listen").await?;
        let metrics = metrics_listener(config).await?;
        let base = address_url(listener.local_addr()?);
        let base_url = if config.http.base_url.is_empty() { base.clone() } else { config.http.base_url.clone() };
        let mut settings = Settings::new(base_url);
        settings.base_path = config.http.base_path.clone();
        settings.readiness = readiness(house.db.clone(), house.clock.clone(), pools.clone());
        let api = house.api(config, settings)?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![tokio::spawn(ended(serve(listener, router(api.clone()), until(stopped.clone()))))];
        let mut metrics_url = None;
        if let Some(listener) = metrics {
            metrics_url = Some(format!("{}/metrics", address_url(listener.local_addr()?)));
            tasks.push(tokio::spawn(ended(serve(listener, metrics_router(api.clone()), until(stopped.clone())))));
        }
        if pools.is_none() {
            tasks.push(tokio::spawn(keep_clock(house.db.clone(), house.clock.clone(), stopped)));
        }
        Ok(Server { url: format!("{base}{}", config.http.base_path), metrics_url, api, stop, tasks })
    }

    /// Says no on `/readyz`, answers long polls, stops listening, lets requests end.
    pub async fn stop(self) {
        self.api.drain();
        tokio::time::sleep(DRAIN).await;
        self.stop.send_replace(true);
        futures::future::join_all(self.tasks).await;
    }
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|e| Failure::new(Exit::Failed, format!("cannot listen on {address} ({setting}): {e}")).into())
}

/// The default port may be another process's: metrics are then left out; a configured one must be free.
async fn metrics_listener(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = config.metrics_listen else { return Ok(None) };
    match bind(address, "metrics.listen").await {
        Err(error) if config.source("metrics.listen") == "default" => {
            tracing::warn!("no metrics: {error}");
            Ok(None)
        }
        bound => bound.map(Some),
    }
}

/// An address as a URL one can open; "everywhere" is opened at home.
fn address_url(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(a) if a.ip().is_unspecified() => format!("http://127.0.0.1:{}", a.port()),
        SocketAddr::V6(a) if a.ip().is_unspecified() => format!("http://[::1]:{}", a.port()),
        other => format!("http://{other}"),
    }
}

async fn until(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|s| *s).await);
}

async fn ended(serving: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = serving.await {
        tracing::error!("a listener ended: {error}");
    }
}

type Ask = Arc<dyn Fn() -> futures::future::BoxFuture<'static, Readiness> + Send + std::marker::Sync>;

fn readiness(db: Db, clock: Clock, pools: Option<Pools>) -> Ask {
    Arc::new(move || {
        let (db, clock, pools) = (db.clone(), clock.clone(), pools.clone());
        Box::pin(async move {
            let schema = migrate::require_current(&db).await.is_ok();
            let mut checks = vec![check("schema", schema), check("clock", clock.error_bound_us() < CLOCK_BOUND_MAX_US)];
            checks.extend(pools.as_ref().map(|p| check("claims", p.is_claiming())));
            Readiness { checks, claim_ticks: pools.and_then(|p| p.ticks()) }
        })
    })
}

fn check(name: &'static str, ok: bool) -> Check {
    Check { name, ok }
}

async fn keep_clock(db: Db, clock: Clock, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(CLOCK_EVERY) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
        if let Err(error) = clock.follow(&db).await {
            tracing::warn!("failed to ask the store for its time: {error}");
        }
    }
}
