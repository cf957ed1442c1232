//! The table of contents: a new kind is one file here plus its two lines.

use clawr_domain::ports::Ports;
use clawr_engine::kind::Registry;

use crate::effect_resolve::EffectResolve;
use crate::settlement::Settlement;

/// Every kind this binary can run.
pub fn registry() -> Registry<Ports> {
    let kinds = Registry::builder().with::<EffectResolve>().with::<Settlement>();
    #[cfg(feature = "chaos")]
    let kinds = crate::chaos::add(kinds);
    kinds.build()
}
