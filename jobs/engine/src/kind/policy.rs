//! How a kind is run, and how what it does outside is.

use crate::retention::Class;
use std::time::Duration;

/// Who may put a kind into the queue from outside. Money kinds and duties: nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayEnqueue {
    /// Only the system itself.
    Nobody,
    /// A global key.
    Global,
    /// A tenant's key, for that tenant; and a global key.
    Tenant,
}

/// How a kind is run.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Attempts before a job is dead.
    pub max_attempts: i64,
    /// First pause after a failure; doubles.
    pub backoff: Duration,
    /// Longest pause after a failure.
    pub backoff_max: Duration,
    /// An attempt that takes longer has failed.
    pub attempt_timeout: Duration,
    /// A job that has failed is tried again for no longer than this after its first failure; `None` = as often as it may.
    pub total: Option<Duration>,
    /// How long a running job that was asked to cancel may tidy up.
    pub cancel_within: Duration,
    /// Who may enqueue it from outside.
    pub may_enqueue: MayEnqueue,
    /// How long a key stays taken; `None` = for ever.
    pub key_life: Option<Duration>,
    /// How long its ended jobs are kept. Those that move money are kept long whatever this says.
    pub retention: Class,
    /// How its effects are called and resolved.
    pub effects: EffectPolicy,
    /// Its args are stored only sealed, and shown to nobody but its handler; see [`crate::seal`]. A kind that ran without it
    /// before gets a new payload version with it, so that binaries that cannot open its jobs leave them alone.
    pub encrypt: bool,
}

impl Policy {
    /// How long its ended jobs are kept.
    pub fn class(&self) -> Class {
        if self.effects.money { Class::Long } else { self.retention }
    }
}

/// No call may take longer: after this and the start bound a person may say that it did not happen.
pub const CALLS_MAX: Duration = Duration::from_secs(120);
/// The start bound and a call together: what looks for proof of absence waits for as long.
pub(super) const RESOLVED_WITHIN: Duration = Duration::from_secs(300);

/// How a kind's effects are called, and what happens to those that become unknown.
#[derive(Clone, Copy, Debug)]
pub struct EffectPolicy {
    /// A call starts no later than this after its intent.
    pub start_within: Duration,
    /// A call is given up after this and is then unknown.
    pub call_within: Duration,
    /// First pause before an unknown effect is repeated or looked at again; doubles.
    pub pause: Duration,
    /// Longest such pause.
    pub pause_max: Duration,
    /// Unknown for longer than this, it is a person's.
    pub max_age: Duration,
    /// `at_least_once` ones are intended at most this often; then they are a person's.
    pub tries_max: i64,
    /// Money moves by them: a person's verdict needs a second person.
    pub money: bool,
}

impl Default for EffectPolicy {
    fn default() -> Self {
        Self {
            start_within: Duration::from_secs(10),
            call_within: Duration::from_secs(30),
            pause: Duration::from_secs(5),
            pause_max: Duration::from_secs(1800),
            max_age: Duration::from_secs(24 * 3600),
            tries_max: 10,
            money: false,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 20,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(3600),
            attempt_timeout: Duration::from_secs(300),
            total: None,
            cancel_within: Duration::from_secs(10),
            may_enqueue: MayEnqueue::Nobody,
            key_life: None,
            retention: Class::Short,
            effects: EffectPolicy::default(),
            encrypt: false,
        }
    }
}
