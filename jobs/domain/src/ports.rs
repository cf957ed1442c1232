//! What the business needs from outside, handed to every handler.

use crate::settlement::Reader;
use clawr_engine::clock::Clock;
use clawr_engine::db::Db;

/// The adapters a handler may use; wired together once, by the binary.
#[derive(Clone)]
pub struct Ports {
    /// Time as the store tells it.
    pub clock: Clock,
    /// Settlements as they are stored.
    pub settlements: Reader,
}

impl Ports {
    /// The ports of one process; needs a running tokio.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { clock, settlements: Reader::start(db) }
    }
}
