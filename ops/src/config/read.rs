//! From merged values to the checked [`Config`].

use super::values::Values;
use super::{Config, Environment, Flags, Http, Log, LogFormat, Problems, Retention, SecretFiles, Workers, layers};
use clawr_domain::settlement::Network;
use clawr_engine::db::{DbConfig, StoreUrl};
use clawr_engine::seal::KeyRing;
use figment::value::{Dict, Value};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Networks whose names and token everybody knows: CAIP-2, name in x402 version 1, USDC contract.
const KNOWN: [(&str, &str, &str); 2] = [
    ("eip155:8453", "base", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
    ("eip155:84532", "base-sepolia", "0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
];

/// Reads everything; says everything that is wrong.
pub fn config(environment: &Environment, flags: &Flags) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let figment = layers::all(environment, flags, &mut problems);
    let mut values = Values::new(figment, problems);
    let v = &mut values;
    let config = Config {
        store: store(v),
        http: http(v),
        metrics_listen: metrics(v),
        workers: workers(v),
        retention: Retention { short_days: days(v, "retention.short_days"), long_days: days(v, "retention.long_days") },
        networks: networks(v),
        log: log(v),
        secret_files: SecretFiles {
            register_pepper: path(v, "secrets.register_pepper_file"),
            key_pepper: path(v, "secrets.key_pepper_file"),
        },
        args_keys: Arc::new(args_keys(v)),
        effective: v.effective(),
    };
    if values.problems.is_empty() { Ok(config) } else { Err(Problems(values.problems)) }
}

fn store(v: &mut Values) -> DbConfig {
    let url = v.parsed("store.url", StoreUrl::Sqlite(PathBuf::new()), |text| text.parse());
    let token = token(v);
    let connections = u32::try_from(v.number("store.connections")).unwrap_or(10);
    DbConfig { schema: v.text("store.schema").unwrap_or_default(), connections, token, ..DbConfig::new(url) }
}

fn token(v: &mut Values) -> Option<String> {
    let file = v.text("store.token_file")?;
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) => {
            v.problem("store.token_file", format!("cannot be read: {file}: {error}"));
            None
        }
    }
}

fn args_keys(v: &mut Values) -> KeyRing {
    let Some(file) = v.text("secrets.args_keys_file") else { return KeyRing::default() };
    let read = std::fs::read_to_string(&file).map_err(|error| vec![format!("cannot be read: {error}")]);
    match read.and_then(|text| KeyRing::parse(&text)) {
        Ok(ring) => ring,
        Err(faults) => {
            faults.iter().for_each(|fault| v.problem("secrets.args_keys_file", format!("{file}: {fault}")));
            KeyRing::default()
        }
    }
}

fn http(v: &mut Values) -> Http {
    let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    Http {
        listen: v.parsed("http.listen", nowhere, address),
        base_url: v.parsed("http.base_url", String::new(), base_url),
        base_path: v.parsed("http.base_path", String::new(), base_path),
    }
}

fn metrics(v: &mut Values) -> Option<SocketAddr> {
    v.parsed("metrics.listen", None, |text| if text == "off" { Ok(None) } else { address(text).map(Some) })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = numeric.as_deref().unwrap_or(text).parse();
    parsed.map_err(|_| format!("must be ADDRESS:PORT, such as 127.0.0.1:8080, and is {text}"))
}

fn base_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    match url.starts_with("http://") || url.starts_with("https://") {
        true => Ok(url.to_owned()),
        false => Err("must begin with http:// or https://".to_owned()),
    }
}

fn base_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_fine = path.is_empty() || (path.starts_with('/') && !path.contains(['?', '#', ' ']));
    if is_fine { Ok(path.to_owned()) } else { Err("must be a path that begins with a slash".to_owned()) }
}

fn workers(v: &mut Values) -> Workers {
    let grace = u64::try_from(v.number("workers.shutdown_grace_s")).unwrap_or(0);
    Workers { queues: v.slots("workers.queues"), grace: Duration::from_secs(grace), name: v.text("workers.name").unwrap_or_default() }
}

fn days(v: &Values, path: &str) -> Option<i64> {
    Some(v.number(path)).filter(|days| *days > 0)
}

fn log(v: &mut Values) -> Log {
    let format = |text: &str| match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        other => Err(format!("must be auto, json or pretty, and is {other}")),
    };
    let level = |text: &str| match crate::logging::is_filter(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("must be error, warn, info, debug, trace or a filter, and is {text}")),
    };
    Log { format: v.parsed("log.format", LogFormat::Auto, format), level: v.parsed("log.level", "info".to_owned(), level) }
}

fn path(v: &Values, key: &str) -> Option<PathBuf> {
    v.text(key).map(PathBuf::from)
}

/// The network of `chain.*`, then the further ones; all pay to the same treasuries.
fn networks(v: &mut Values) -> Vec<Network> {
    let mut treasuries: Vec<String> = v.text("chain.treasury").into_iter().collect();
    check_addresses(v, "chain.treasury", &treasuries);
    let former = v.texts("chain.former_treasuries");
    check_addresses(v, "chain.former_treasuries", &former);
    treasuries.extend(former);
    let mut all = vec![main_network(v, &treasuries)];
    for (id, table) in v.tables("chain.networks") {
        all.push(further_network(v, id, &table, &treasuries));
    }
    for i in 1..all.len() {
        if all[..i].iter().any(|earlier| earlier.id == all[i].id) {
            v.problem("chain.networks", format!("names {} a second time", all[i].id));
        }
    }
    all
}

fn main_network(v: &mut Values, treasuries: &[String]) -> Network {
    let id = v.parsed("chain.network", String::new(), caip2);
    let known = KNOWN.iter().find(|(known, ..)| *known == id);
    let token = v.text("chain.token").or_else(|| known.map(|(_, _, token)| (*token).to_owned()));
    let assets: Vec<String> = token.into_iter().collect();
    check_addresses(v, "chain.token", &assets);
    if assets.is_empty() && !id.is_empty() {
        v.problem("chain.token", format!("must be set: the token of {id} is not known"));
    }
    let v1_name = v.text("chain.v1_name").or_else(|| known.map(|(_, name, _)| (*name).to_owned())).unwrap_or_default();
    Network { id, v1_name, assets, treasuries: treasuries.to_vec() }
}

fn further_network(v: &mut Values, id: String, table: &Dict, treasuries: &[String]) -> Network {
    if let Err(why) = caip2(&id) {
        v.problem("chain.networks", format!("{why}: {id}"));
    }
    for name in table.keys().filter(|name| !["v1_name", "assets"].contains(&name.as_str())) {
        v.problem("chain.networks", format!("knows v1_name and assets, not {name}"));
    }
    let v1_name = table.get("v1_name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let items = table.get("assets").and_then(Value::as_array).unwrap_or_default();
    let assets: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if assets.is_empty() {
        v.problem("chain.networks", format!("needs assets = [\"0x…\"] for {id}"));
    }
    check_addresses(v, "chain.networks", &assets);
    Network { id, v1_name, assets, treasuries: treasuries.to_vec() }
}

fn caip2(text: &str) -> Result<String, String> {
    let is_fine = text.strip_prefix("eip155:").is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    if is_fine { Ok(text.to_owned()) } else { Err("must be a CAIP-2 network such as eip155:8453".to_owned()) }
}

fn check_addresses(v: &mut Values, path: &str, addresses: &[String]) {
    let is_address = |a: &str| a.strip_prefix("0x").is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    for address in addresses.iter().filter(|a| !is_address(a)) {
        v.problem(path, format!("must be an address, 0x and 40 hex digits, and is {address}"));
    }
}
