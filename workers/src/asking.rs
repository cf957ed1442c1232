//! How a job that resolves effects reaches the kinds that intended them.

use clawr_domain::ports::Ports;
use clawr_engine::effect::{Look, Stored};
use clawr_engine::kind::{Asking, EffectPolicy, Registry};
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// All kinds of this binary with their ports.
pub struct Asker {
    pub(crate) registry: Registry<Ports>,
    pub(crate) ports: Ports,
}

impl Asking for Asker {
    fn policy(&self, kind: &str) -> Option<EffectPolicy> {
        self.registry.get(kind).map(|entry| entry.policy.effects)
    }

    fn look(&self, effect: Stored) -> BoxFuture<'static, Look> {
        match self.registry.get(&effect.kind) {
            Some(entry) => entry.look(effect, self.ports.clone()),
            None => async move { Look::Unknown(format!("this binary has no kind {}", effect.kind)) }.boxed(),
        }
    }
}
