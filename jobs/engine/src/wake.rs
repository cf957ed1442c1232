//! In-process wake-ups, one counter per queue. A waiter sees at least one change for any number of wakes, so nothing
//! is lost between looking and waiting; a wake that gets lost on the way between processes costs one poll.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Cheap to clone; all clones share the same queues.
#[derive(Clone, Default)]
pub struct Wakes {
    queues: Arc<Mutex<HashMap<String, watch::Sender<u64>>>>,
}

impl Wakes {
    /// No queue has a waiter yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A receiver that changes whenever `queue` may have new work.
    pub fn subscribe(&self, queue: &str) -> watch::Receiver<u64> {
        self.with(|queues| queues.entry(queue.to_owned()).or_insert_with(|| watch::channel(0).0).subscribe())
    }

    /// Wakes the waiters of one queue.
    pub fn wake(&self, queue: &str) {
        self.with(|queues| {
            if let Some(sender) = queues.get(queue) {
                sender.send_modify(|n| *n += 1);
            }
        });
    }

    /// Wakes everybody: another process wrote something, nobody said what.
    pub fn wake_all(&self) {
        self.with(|queues| queues.values().for_each(|sender| sender.send_modify(|n| *n += 1)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, watch::Sender<u64>>) -> T) -> T {
        act(&mut self.queues.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}
