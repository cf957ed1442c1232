//! The seam to apalis: our claim stream is its backend, its worker drives our executor.
//!
//! apalis 1.0 supplies the loop that polls claims and drains what is in flight. Nothing else: no I/O happens inside a
//! poll function, the backend never errors (an error would end the worker and drop running handlers), decoding,
//! time-outs, panics, retries and acknowledgement are the executor's, and at shutdown what was claimed and never
//! started is given back. See `ops/docs/decisions/0003-apalis-as-worker-runtime-only.md`.

use super::claims::Claim;
use crate::executor::Executor;
use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::WorkerError;
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use futures::future::BoxFuture;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, watch};

/// Runs one pool until `stop`; returns when nothing is in flight and everything unstarted was given back.
pub(crate) async fn run_pool(name: &str, inbox: mpsc::Receiver<Claim>, executor: Executor, mut stop: watch::Receiver<bool>) {
    let backend = ClaimBackend { inbox, executor: executor.clone(), closing: None };
    let handler = move |claim: Claim| {
        let executor = executor.clone();
        async move {
            executor.execute(claim.job, claim.hold).await;
            drop(claim.slot);
        }
    };
    let worker = WorkerBuilder::new(name).backend(backend).build(handler);
    let stopped = async move {
        // a closed channel means the process is going away: stop as well
        drop(stop.wait_for(|s| *s).await);
        Ok::<(), WorkerError>(())
    };
    let running: BoxFuture<'static, Result<(), WorkerError>> = Box::pin(worker.run_until(stopped));
    if let Err(error) = running.await {
        tracing::error!(pool = name, "the worker runtime ended: {error}");
    }
}

struct ClaimBackend {
    inbox: mpsc::Receiver<Claim>,
    executor: Executor,
    closing: Option<BoxFuture<'static, ()>>,
}

impl Backend for ClaimBackend {
    type Task = Task<Claim>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Task<Claim>, Infallible>>> {
        self.inbox.poll_recv(cx).map(|claim| claim.map(|claim| Ok(Task::new(claim))))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        let closing = self.closing.get_or_insert_with(|| {
            self.inbox.close();
            let mut unstarted = Vec::new();
            while let Ok(claim) = self.inbox.try_recv() {
                unstarted.push(claim.job);
            }
            let executor = self.executor.clone();
            Box::pin(async move {
                let all = unstarted.into_iter().map(|job| executor.give_back(job));
                futures::future::join_all(all).await;
            })
        });
        closing.as_mut().poll(cx).map(Ok)
    }
}

impl BackendConfig for ClaimBackend {
    type Args = Claim;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = NoLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> NoLayer {
        NoLayer
    }
}

/// The executor does what a backend's layer would do.
#[derive(Clone, Copy)]
struct NoLayer;

impl<S> tower_layer::Layer<S> for NoLayer {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}
