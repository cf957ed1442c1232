//! The table: per command what it does on the running system, and a call that fails.

use super::acts::{self, Act};
use super::effects;
use super::encryption;
use super::limits;
use super::pauses;
use super::sequences;
use super::signals;

/// One command.
pub struct Row {
    /// As typed after `clawr`.
    pub command: &'static str,
    /// Acts, and is seen to have acted.
    pub acts: Act,
    /// A call that must fail; `{…}` is filled in by the running system.
    pub fails: &'static str,
    /// With this exit code,
    pub exit: i32,
    /// and this on stderr.
    pub says: &'static str,
}

const fn row(command: &'static str, acts: Act, fails: &'static str, exit: i32, says: &'static str) -> Row {
    Row { command, acts, fails, exit, says }
}

/// All commands, in the order they act.
pub const ROWS: &[Row] = &[
    row("demo", acts::demo, "demo --once --set http.listen=nowhere", 2, "http.listen must be ADDRESS:PORT"),
    row("serve", acts::serve, "serve --listen {address}", 1, "cannot listen on {address} (http.listen)"),
    row("work", acts::work, "work --set workers.queues=money", 2, "workers.queues must be name=slots"),
    row("migrate plan", acts::migrate_plan, "migrate plan --set store.url=mysql://x/y", 2, "store.url unknown store URL"),
    row("migrate up", acts::migrate_up, "migrate up --set store.url=sqlite://{folder}/none/x.db", 1, "/none/x.db"),
    row(
        "migrate status",
        acts::migrate_status,
        "migrate status --set store.url=sqlite://{folder}/empty.db",
        1,
        "0001_engine_core is pending",
    ),
    row("doctor", acts::doctor, "doctor --set chain.treasury= --set chain.former_treasuries=", 1, "treasury: chain.treasury is not set"),
    row(
        "check-config",
        acts::check_config,
        "check-config --set log.lvel=info",
        2,
        "log.lvel is not a setting (--set log.lvel); did you mean log.level?",
    ),
    row("config init", acts::config_init, "config init clawr.toml", 4, "clawr.toml is there already"),
    row("config keys", acts::config_keys, "config keys store.url", 2, "unexpected argument 'store.url'"),
    row("tenants create", acts::tenants_create, "tenants create acme --name Other", 4, "tenant acme exists with other content"),
    row("tenants list", acts::tenants_list, "tenants list --url http://127.0.0.1:1", 69, "no answer from http://127.0.0.1:1/"),
    row("apis create", acts::apis_create, "apis create acme x --type car --price-micros 1", 2, "/resource_type must be one of"),
    row("apis list", acts::apis_list, "apis list --tenant nobody", 3, "no such tenant"),
    row("keys create", acts::keys_create, "keys create --global --scope fly", 2, "/scopes/0 must be read"),
    row("keys list", acts::keys_list, "keys list --key-file weak", 5, "lacks the scope admin"),
    row("keys rotate", acts::keys_rotate, "keys rotate key_{nobodys}", 3, "key_{nobodys}: the server said 404: no such key"),
    row(
        "keys rewrap-args",
        encryption::rewrap_args,
        "keys rewrap-args --set secrets.args_keys_file=",
        2,
        "secrets.args_keys_file is not set",
    ),
    row("keys revoke", acts::keys_revoke, "keys revoke key_{nobodys}", 2, "Say --yes to do it"),
    row(
        "jobs enqueue",
        acts::jobs_enqueue,
        "jobs enqueue chaos_sleep --args {\"ms\":2} --key cli-once",
        4,
        "the key belongs to a job with other content",
    ),
    row("jobs list", acts::jobs_list, "jobs list state:lost", 2, "/q lost is not a state"),
    row("jobs show", acts::jobs_show, "jobs show job_{nobodys}", 3, "job_{nobodys}: the server said 404: no such job"),
    row("jobs cancel", acts::jobs_cancel, "jobs cancel --yes job_{nobodys}", 3, "job_{nobodys}: the server said 404: no such job"),
    row("jobs retry", acts::jobs_retry, "jobs retry ../x", 2, "\"../x\" is no id"),
    row("jobs tail", acts::jobs_tail, "jobs tail --key-file forged", 5, "the server said 401"),
    row("jobs replay", acts::jobs_replay, "jobs replay job_{nobodys}", 3, "job_{nobodys}: the server said 404"),
    row("jobs explain", pauses::explain, "jobs explain job_{nobodys}", 3, "404"),
    row("queues list", pauses::list, "queues list --url nowhere", 2, "--url nowhere"),
    row("queues pause", pauses::pause, "queues pause attic --why rats --until yesterday", 2, "/until must be"),
    row("queues resume", pauses::resume, "queues resume cellar", 3, "queue cellar is not paused"),
    row("queues limit", limits::limit, "queues limit attic --concurrency 0 --why rats", 2, "/concurrency must be an integer from 1"),
    row("queues limits", limits::limits, "queues limits --url nowhere", 2, "--url nowhere"),
    row("queues share", limits::share, "queues share attic --weight acme=0 --why rats", 2, "/weights/acme must be an integer from 1"),
    row("queues shares", limits::shares, "queues shares --url nowhere", 2, "--url nowhere"),
    row("queues unshare", limits::unshare, "queues unshare attic", 3, "the server said 404: no such shared queue"),
    row("queues unlimit", limits::unlimit, "queues unlimit lim_{nobodys}", 3, "the server said 404: no such limit"),
    row("workers", acts::workers, "workers --key-file none", 2, "cannot read none"),
    row("settlements list", acts::settlements_list, "settlements list --state lost", 2, "/state must be one of"),
    row("settlements show", acts::settlements_show, "settlements show stl_{nobodys}", 3, "stl_{nobodys}: the server said 404"),
    row("effects list", effects::list, "effects list --state lost", 2, "state must be one of"),
    row("effects show", effects::show, "effects show eff_{nobodys}", 3, "eff_{nobodys}: the server said 404"),
    row(
        "effects resolve",
        effects::resolve,
        "effects resolve eff_{nobodys} --verdict maybe --evidence letter --reason telephone",
        2,
        "/verdict must be confirmed, rejected or absent",
    ),
    row("sequences list", sequences::list, "sequences list --tenant nobody", 3, "no such tenant"),
    row("sequences unblock", sequences::unblock, "sequences unblock nothing", 4, "no dead job stops this sequence"),
    row("signals send", signals::send, "signals send paid order --id cli-1", 4, "this id is that of a signal with other content"),
    row("ledger balances", acts::ledger_balances, "ledger balances --limit 0", 2, "/limit must be an integer"),
    row("ledger verify", acts::ledger_verify, "ledger verify", 1, "findings"),
    row("audit tail", acts::audit_tail, "audit tail -n few", 2, "invalid value 'few' for '--limit <LIMIT>'"),
    row("audit verify", acts::audit_verify, "audit verify", 1, "findings"),
    row("health", acts::health, "health --url http://127.0.0.1:1", 69, "no answer from http://127.0.0.1:1/"),
    row("bench queue", acts::bench_queue, "bench queue --jobs 0", 2, "invalid value '0' for '--jobs <JOBS>'"),
    row("bench flat", acts::bench_flat, "bench flat --hold-snapshot long", 2, "must be a time like 90s or 10m"),
    row("bench limits", acts::bench_limits, "bench limits --jobs many", 2, "invalid value 'many' for '--jobs <JOBS>'"),
    row("bench shares", acts::bench_shares, "bench shares --seconds 0", 2, "invalid value '0' for '--seconds <SECONDS>'"),
    row("bench cron", acts::bench_cron, "bench cron --rounds 0", 2, "invalid value '0' for '--rounds <ROUNDS>'"),
    row("bench intake", acts::bench_intake, "bench intake --store mysql://x/y", 2, "unknown store URL mysql://x/y"),
    row("completions", acts::completions, "completions korn", 2, "invalid value 'korn' for '<SHELL>'"),
    row("man", acts::man, "man jobs", 2, "unexpected argument 'jobs'"),
];
