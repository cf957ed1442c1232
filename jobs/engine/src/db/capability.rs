//! What one store can and another cannot. Everything else is the same on all of them.

use super::Engine;

/// Something not every store has. `ops/docs/OPERATIONS.md` says of each what the others do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// The archive lies in partitions, and what is old enough goes by dropping one.
    Partitions,
    /// The store keeps tenants apart by itself, whatever a statement asks for.
    RowSecurity,
    /// The store tells other processes at once that there is work.
    Push,
}

impl Capability {
    /// All of them, in the order of the documentation.
    pub const ALL: [Capability; 3] = [Capability::Partitions, Capability::RowSecurity, Capability::Push];

    /// The word in the documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Capability::Partitions => "partitions",
            Capability::RowSecurity => "row security",
            Capability::Push => "push",
        }
    }
}

impl Engine {
    /// Whether this store has it.
    pub fn can(self, capability: Capability) -> bool {
        match capability {
            Capability::Partitions | Capability::RowSecurity | Capability::Push => self == Engine::Postgres,
        }
    }
}
