//! How a running job is told to stop.

use tokio::sync::watch;

/// Why a running job should stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It should not.
    #[default]
    No,
    /// Its lease is lost or its process ends. What it does from now on is dropped; it runs again elsewhere.
    Gone,
    /// Somebody asked for its end, for this reason. It may tidy up for the kind's `cancel_within`; if it is done by then it
    /// is completed, else cancelled.
    Cancel(String),
}

/// A running job's ear for [`Stop`]. Cheap to clone.
#[derive(Clone)]
pub struct StopSignal {
    receiver: watch::Receiver<Stop>,
}

impl StopSignal {
    /// Hears what is sent to `receiver`.
    pub fn new(receiver: watch::Receiver<Stop>) -> Self {
        Self { receiver }
    }

    /// What is asked now.
    pub fn now(&self) -> Stop {
        self.receiver.borrow().clone()
    }

    /// Waits until a stop is asked that `counts`; for ever if nobody can ask any more.
    pub async fn wait(&mut self, counts: impl Fn(&Stop) -> bool) -> Stop {
        let heard = self.receiver.wait_for(|stop| counts(stop)).await.map(|stop| stop.clone());
        match heard {
            Ok(stop) => stop,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until any stop is asked.
    pub async fn asked(&mut self) -> Stop {
        self.wait(|stop| *stop != Stop::No).await
    }
}
