//! Calls that arrive while one is in flight share the next: no added latency when idle, one commit for many when busy.

use crate::db::DbError;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

type Call<I, O> = (I, oneshot::Sender<Result<O, DbError>>);
type Batch<I, O> = Arc<dyn Fn(Vec<I>) -> BoxFuture<'static, Result<Vec<O>, DbError>> + Send + Sync>;

/// Cheap to clone; all clones share the batches. Ends with its last clone.
pub struct Coalescer<I, O> {
    sender: mpsc::Sender<Call<I, O>>,
}

impl<I, O> Clone for Coalescer<I, O> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<I: Clone + Send + 'static, O: Send + 'static> Coalescer<I, O> {
    /// `batch` gets at most `most` inputs and returns one output for each, in order. `lanes` batches may be in flight
    /// at once. `fits` says whether an input may join the ones gathered already (equal keys wait for the next batch).
    pub fn start(most: usize, lanes: usize, batch: Batch<I, O>, fits: fn(&[I], &I) -> bool) -> Self {
        let (sender, inbox) = mpsc::channel(4096);
        tokio::spawn(gather(inbox, most, lanes, batch, fits));
        Self { sender }
    }

    /// Hands in one input and waits for its output.
    pub async fn call(&self, input: I) -> Result<O, DbError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send((input, reply)).await.map_err(|_| DbError::Unavailable("shutting down".into()))?;
        answer.await.map_err(|_| DbError::Unknown("the batch was dropped".into()))?
    }
}

async fn gather<I: Clone + Send + 'static, O: Send + 'static>(
    mut inbox: mpsc::Receiver<Call<I, O>>,
    most: usize,
    lanes: usize,
    batch: Batch<I, O>,
    fits: fn(&[I], &I) -> bool,
) {
    let lanes = Arc::new(tokio::sync::Semaphore::new(lanes));
    let mut held_back: Option<Call<I, O>> = None;
    loop {
        let Ok(lane) = lanes.clone().acquire_owned().await else { return };
        let first = match held_back.take() {
            Some(call) => call,
            None => match inbox.recv().await {
                Some(call) => call,
                None => return,
            },
        };
        let (mut inputs, mut replies) = (vec![first.0], vec![first.1]);
        while inputs.len() < most {
            let Ok((input, reply)) = inbox.try_recv() else { break };
            if !fits(&inputs, &input) {
                held_back = Some((input, reply));
                break;
            }
            inputs.push(input);
            replies.push(reply);
        }
        let batch = batch.clone();
        tokio::spawn(async move {
            run(inputs, replies, batch).await;
            drop(lane);
        });
    }
}

/// Runs a batch; if it was refused as a whole for a reason one member may have brought, each runs alone.
async fn run<I: Clone, O>(inputs: Vec<I>, replies: Vec<oneshot::Sender<Result<O, DbError>>>, batch: Batch<I, O>) {
    match batch(inputs.clone()).await {
        Ok(outputs) => {
            for (reply, output) in replies.into_iter().zip(outputs) {
                drop(reply.send(Ok(output)));
            }
        }
        Err(error) if inputs.len() == 1 || error.is_retryable() => {
            for reply in replies {
                drop(reply.send(Err(error.clone())));
            }
        }
        Err(_) => {
            for (input, reply) in inputs.into_iter().zip(replies) {
                let answer = batch(vec![input]).await.and_then(|mut o| o.pop().ok_or_else(|| DbError::Bug("no output".into())));
                drop(reply.send(answer));
            }
        }
    }
}
