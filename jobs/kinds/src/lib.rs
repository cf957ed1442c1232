//! One file per job kind: payload, policy, handler. `kinds` is the table of contents.

#[cfg(feature = "chaos")]
mod chaos;
mod effect_resolve;
mod kinds;
mod settlement;

pub use kinds::registry;
