//! The table of settings. Reading, checking, suggestions, `check-config` and the example file all follow it.

/// What a setting's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    Text,
    /// A whole number within bounds.
    Number(i64, i64),
    /// A list of texts; in the environment separated by commas.
    Texts,
    /// Names with a whole number each; in the environment `a=1,b=2`.
    Slots,
    /// Tables by name; in the environment an inline table.
    Tables,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted path.
    pub path: &'static str,
    /// What a value looks like.
    pub shape: Shape,
    /// The default, as the text a flag would have; `None` = worked out or absent.
    pub default: Option<&'static str>,
    /// What it is, in a line.
    pub about: &'static str,
}

const fn key(path: &'static str, shape: Shape, default: Option<&'static str>, about: &'static str) -> Key {
    Key { path, shape, default, about }
}

/// All settings, in the order they are shown.
pub const KEYS: &[Key] = &[
    key("store.url", Shape::Text, None, "sqlite:///path, postgres://…, d1://account/database or d1+https://gateway/account/database"),
    key("store.schema", Shape::Text, Some("clawr"), "Postgres: the schema of all tables"),
    key("store.connections", Shape::Number(2, 500), Some("10"), "Postgres: connections of each of the two pools"),
    key("store.token_file", Shape::Text, None, "D1: file with the bearer token"),
    key("http.listen", Shape::Text, Some("127.0.0.1:8080"), "address and port of the API; port 0 takes a free one"),
    key("http.base_url", Shape::Text, None, "the URL clients use, where it differs from the address listened on"),
    key("http.base_path", Shape::Text, None, "a path in front of every route, such as /clawr"),
    key("metrics.listen", Shape::Text, Some("127.0.0.1:9464"), "address and port of /metrics; `off` serves none"),
    key("workers.queues", Shape::Slots, None, "queues to work on and slots of each; default: every queue, 4 slots"),
    key("workers.shutdown_grace_s", Shape::Number(0, 3600), Some("25"), "seconds that running jobs may finish in after a stop"),
    key("workers.name", Shape::Text, None, "a label for this process; default: the host's name"),
    key("retention.short_days", Shape::Number(1, 90), None, "days that ended jobs are kept; without it as the store says, at first 7"),
    key(
        "retention.long_days",
        Shape::Number(365, 36_500),
        None,
        "days that ended money jobs are kept; without it as the store says, at first 3650",
    ),
    key("chain.network", Shape::Text, Some("eip155:8453"), "the network payments are accepted on, CAIP-2"),
    key("chain.v1_name", Shape::Text, None, "what version 1 of x402 calls it; known for Base and Base Sepolia"),
    key("chain.token", Shape::Text, None, "the token contract that counts as USDC; known for Base and Base Sepolia"),
    key("chain.treasury", Shape::Text, None, "our address that callers pay to; without it every report is refused"),
    key("chain.former_treasuries", Shape::Texts, Some(""), "addresses that were ours before: late reports may name them"),
    key("chain.networks", Shape::Tables, None, "further networks: \"eip155:N\" = { v1_name = \"…\", assets = [\"0x…\"] }"),
    key("log.format", Shape::Text, Some("auto"), "json, pretty, or auto: pretty on a terminal"),
    key("log.level", Shape::Text, Some("info"), "error, warn, info, debug, trace, or a filter: info,clawr_engine=debug"),
    key("secrets.register_pepper_file", Shape::Text, None, "file of 32 random bytes or more; keys jobs' identities, can never change"),
    key("secrets.key_pepper_file", Shape::Text, None, "file of 32 random bytes or more; keys the hashes of API keys"),
    key(
        "secrets.args_keys_file",
        Shape::Text,
        None,
        "file of keys for args of kinds that encrypt: lines `id` and 64 hex digits, current first",
    ),
];

/// The setting at `path`.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The setting that `path` is or lies within, such as `workers.queues` for `workers.queues.money`.
pub fn covering(path: &str) -> Option<&'static Key> {
    let holds = |key: &&Key| matches!(key.shape, Shape::Slots | Shape::Tables) && path.starts_with(&format!("{}.", key.path));
    find(path).or_else(|| KEYS.iter().find(holds))
}

/// True if some setting lies below `path`.
pub fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}
