//! What all handlers share: the queue, the kinds, the door for reports, who may do what, and how much at once.

use crate::health::ReadyCache;
use crate::metrics::Counters;
use crate::tenants::Names;
use axum::body::Bytes;
use clawr_domain::access::{Pepper, Verifier};
use clawr_domain::ports::Ports;
use clawr_domain::settlement::Intake;
use clawr_engine::clock::Clock;
use clawr_engine::db::Db;
use clawr_engine::kind::Registry;
use clawr_engine::queue::Queue;
use futures::future::BoxFuture;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// How the API behaves; [`Settings::new`] has the defaults.
#[derive(Clone)]
pub struct Settings {
    /// Scheme and host that clients see, without a trailing slash.
    pub base_url: String,
    /// Path in front of every route: empty, or `/clawr`.
    pub base_path: String,
    /// Largest request body in bytes.
    pub body_max: usize,
    /// Largest `args` of a job in bytes.
    pub args_max: usize,
    /// Requests in flight; one more is refused at once with 503.
    pub in_flight_max: usize,
    /// A request that takes longer is answered with 503; `?wait=` comes on top.
    pub request_timeout: Duration,
    /// What `/readyz` says; asked at most once a second.
    pub readiness: Arc<dyn Fn() -> BoxFuture<'static, Readiness> + Send + Sync>,
}

impl Settings {
    /// Body 256 KiB, args 64 KiB, 1024 requests in flight, 30 s each, always ready.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            base_path: String::new(),
            body_max: 262_144,
            args_max: 65_536,
            in_flight_max: 1024,
            request_timeout: Duration::from_secs(30),
            readiness: Arc::new(|| Box::pin(async { Readiness::default() })),
        }
    }
}

/// Whether this process can do its work, and why not.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// One for each thing that must be so.
    pub checks: Vec<Check>,
    /// Passes of the claim loop so far, if this process claims.
    pub claim_ticks: Option<u64>,
}

impl Readiness {
    /// True if every check is fine.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|c| c.ok)
    }
}

/// One thing that must be so. The name is all that strangers see of it.
#[derive(Clone, Debug)]
pub struct Check {
    /// `schema`, `claims`, `clock`.
    pub name: &'static str,
    /// Whether it is so.
    pub ok: bool,
}

/// What the binary wires in.
pub struct Parts {
    /// Jobs.
    pub queue: Queue,
    /// Kinds.
    pub registry: Registry<Ports>,
    /// Who a bearer is.
    pub verifier: Verifier,
    /// The door for settlement reports.
    pub intake: Intake,
    /// What API keys are hashed with.
    pub pepper: Pepper,
}

/// Cheap to clone; one for each process.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    settings: Settings,
    counters: Counters,
    in_flight: Arc<Semaphore>,
    waiters: Arc<Semaphore>,
    ready: ReadyCache,
    names: Names,
    document: OnceLock<Bytes>,
    docs_page: OnceLock<Bytes>,
    draining: watch::Sender<bool>,
}

impl Api {
    /// Puts the parts together; starts nothing.
    pub fn new(mut parts: Parts, settings: Settings) -> Self {
        parts.queue = parts.queue.with_classes(parts.registry.classes());
        let in_flight = Arc::new(Semaphore::new(settings.in_flight_max));
        let waiters = Arc::new(Semaphore::new((settings.in_flight_max / 4).max(1)));
        let counters = Counters::new(crate::routes::paths(&settings.base_path));
        let (draining, _) = watch::channel(false);
        let (ready, names) = (ReadyCache::default(), Names::default());
        let (document, docs_page) = (OnceLock::new(), OnceLock::new());
        let inner = Inner { parts, settings, counters, in_flight, waiters, ready, names, document, docs_page, draining };
        Self { inner: Arc::new(inner) }
    }

    /// From here on long polls answer at once and `/readyz` says no, so that a graceful stop is a quick one.
    pub fn drain(&self) {
        self.inner.draining.send_replace(true);
    }

    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.inner.draining.subscribe()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.inner.parts.queue
    }

    pub(crate) fn db(&self) -> &Db {
        self.inner.parts.queue.db()
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.inner.parts.queue.clock()
    }

    pub(crate) fn registry(&self) -> &Registry<Ports> {
        &self.inner.parts.registry
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.inner.parts.verifier
    }

    pub(crate) fn intake(&self) -> &Intake {
        &self.inner.parts.intake
    }

    pub(crate) fn pepper(&self) -> &Pepper {
        &self.inner.parts.pepper
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// One permit for each request in flight.
    pub(crate) fn in_flight(&self) -> &Arc<Semaphore> {
        &self.inner.in_flight
    }

    /// One permit for each long poll; they may take a quarter of all requests.
    pub(crate) fn waiters(&self) -> &Arc<Semaphore> {
        &self.inner.waiters
    }

    /// The document as text, made once.
    pub(crate) fn document(&self) -> &Bytes {
        self.inner.document.get_or_init(|| crate::openapi::document(self.settings()).to_string().into())
    }

    /// The document as a page, made once.
    pub(crate) fn docs_page(&self) -> &OnceLock<Bytes> {
        &self.inner.docs_page
    }

    /// What tenants are called.
    pub(crate) fn names(&self) -> &Names {
        &self.inner.names
    }

    pub(crate) fn ready(&self) -> &ReadyCache {
        &self.inner.ready
    }
}
