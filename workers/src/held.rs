//! The jobs this process holds under a lease right now, and the string to pull on each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Held {
    jobs: Arc<Mutex<HashMap<String, watch::Sender<bool>>>>,
}

/// A job's place in [`Held`]; leaves it when dropped.
pub struct Hold {
    id: String,
    held: Held,
    /// Becomes true when the handler should stop.
    pub cancelled: watch::Receiver<bool>,
}

impl Held {
    /// Takes the job in.
    pub fn hold(&self, id: &str) -> Hold {
        let (sender, cancelled) = watch::channel(false);
        self.with(|jobs| jobs.insert(id.to_owned(), sender));
        Hold { id: id.to_owned(), held: self.clone(), cancelled }
    }

    /// Whether this process holds the job.
    pub fn has(&self, id: &str) -> bool {
        self.with(|jobs| jobs.contains_key(id))
    }

    /// How many it holds.
    pub fn count(&self) -> usize {
        self.with(|jobs| jobs.len())
    }

    /// Tells one handler to stop.
    pub fn cancel(&self, id: &str) {
        self.with(|jobs| {
            if let Some(sender) = jobs.get(id) {
                sender.send_replace(true);
            }
        });
    }

    /// Tells every handler to stop.
    pub fn cancel_all(&self) {
        self.with(|jobs| {
            for sender in jobs.values() {
                sender.send_replace(true);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, watch::Sender<bool>>) -> T) -> T {
        act(&mut self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.with(|jobs| jobs.remove(&self.id));
    }
}
