//! What `clawr config init` writes.

/// A commented `clawr.toml`: every setting, with its default or an example.
pub const EXAMPLE: &str = include_str!("example.toml");
