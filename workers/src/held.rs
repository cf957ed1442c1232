//! The jobs this process holds under a lease right now, and the string to pull on each.

use clawr_engine::kind::{Stop, StopSignal};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Job id → its holds, by number.
type Jobs = HashMap<String, Vec<(u64, watch::Sender<Stop>)>>;

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Held {
    jobs: Arc<Mutex<Jobs>>,
    made: Arc<AtomicU64>,
}

/// A job's place in [`Held`]; leaves it when dropped.
pub struct Hold {
    id: String,
    /// Which of the holds of this job: one may begin before the one before it is dropped.
    number: u64,
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
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.with(|jobs| jobs.entry(id.to_owned()).or_default().push((number, sender)));
        Hold { id: id.to_owned(), number, held: self.clone(), stop: StopSignal::new(stop), confirmed: Mutex::default() }
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
            for (_, sender) in jobs.get(id).into_iter().flatten() {
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
            for (_, sender) in jobs.values().flatten() {
                sender.send_replace(Stop::Gone);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Jobs) -> T) -> T {
        act(&mut self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.with(|jobs| {
            if let Some(holds) = jobs.get_mut(&self.id) {
                holds.retain(|(number, _)| *number != self.number);
                if holds.is_empty() {
                    jobs.remove(&self.id);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An outcome is committed, the job is claimed again, and only then the first hold is dropped.
    #[test]
    fn the_end_of_one_hold_does_not_end_the_next() {
        let held = Held::default();
        let (first, second) = (held.hold("job_1"), held.hold("job_1"));
        drop(first);
        assert!(held.has("job_1"));
        drop(second);
        assert!(!held.has("job_1") && held.count() == 0);
    }
}
