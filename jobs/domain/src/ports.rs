//! What the business needs from outside, handed to every handler.

use clawr_engine::clock::Clock;

/// The adapters a handler may use; wired together once, by the binary.
#[derive(Clone)]
pub struct Ports {
    /// Time as the store tells it.
    pub clock: Clock,
}
