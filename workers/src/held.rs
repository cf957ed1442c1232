//! The jobs this process holds under a lease right now, and the string to pull on each.

use clawr_engine::kind::{Stop, StopSignal};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Held {
    jobs: Arc<Mutex<HashMap<String, watch::Sender<Stop>>>>,
}

/// A job's place in [`Held`]; leaves it when dropped.
pub struct Hold {
    id: String,
    held: Held,
    /// Tells the handler when and why to stop.
    pub stop: StopSignal,
    confirmed: Mutex<BTreeSet<String>>,
}

impl Hold {
    /// Remembers keys of effects that are known to have happened.
    pub fn confirmed(&self, keys: Vec<String>) {
        self.confirmed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(keys);
    }

    /// Those keys, once.
    pub fn take_confirmed(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.confirmed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Held {
    /// Takes the job in.
    pub fn hold(&self, id: &str) -> Hold {
        let (sender, stop) = watch::channel(Stop::No);
        self.with(|jobs| jobs.insert(id.to_owned(), sender));
        Hold { id: id.to_owned(), held: self.clone(), stop: StopSignal::new(stop), confirmed: Mutex::default() }
    }

    /// Whether this process holds the job.
    pub fn has(&self, id: &str) -> bool {
        self.with(|jobs| jobs.contains_key(id))
    }

    /// How many it holds.
    pub fn count(&self) -> usize {
        self.with(|jobs| jobs.len())
    }

    /// Asks one handler to end its job.
    pub fn cancel(&self, id: &str, reason: &str) {
        self.with(|jobs| {
            if let Some(sender) = jobs.get(id) {
                // who is gone is not asked, who was asked is not asked again
                sender.send_if_modified(|stop| {
                    let first = *stop == Stop::No;
                    if first {
                        *stop = Stop::Cancel(reason.to_owned());
                    }
                    first
                });
            }
        });
    }

    /// Takes all jobs from their handlers.
    pub fn drop_all(&self) {
        self.with(|jobs| {
            for sender in jobs.values() {
                sender.send_replace(Stop::Gone);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, watch::Sender<Stop>>) -> T) -> T {
        act(&mut self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.with(|jobs| jobs.remove(&self.id));
    }
}
