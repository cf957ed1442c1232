//! The repository's own rules, as facts about its files.
//!
//! A rule is a pure function from a file (path, text) to what is wrong with it. Every fact proves twice: on texts that
//! break the rule, which it must see, and on the tree as it is, which must be clean. Cargo enforces the arrows between
//! the crates by itself once they are drawn; this says which ones may be drawn, and keeps drivers, runtimes, status
//! codes, the environment and the clock in the one place each of them has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "tidy/mutants.rs"]
mod mutants;
#[path = "tidy/text.rs"]
mod text;
use text::{code_of, contains_word, is_statement, is_word, lines, production, sql_code};

/// What is wrong, as (line, sentence); line 0 means the file as a whole.
type Faults = Vec<(usize, String)>;

/// A rule over one file: its path from the root with `/`, and its text.
type Rule<'a> = &'a dyn Fn(&str, &str) -> Faults;

// ---------------------------------------------------------------- crates

#[test]
fn crates_depend_only_downwards() {
    fact(
        &arrows,
        &[
            ("jobs/engine/Cargo.toml", "[dependencies]\nclawr-domain = { workspace = true }\n"),
            ("jobs/engine/Cargo.toml", "[dev-dependencies]\nclawr-tests.workspace = true\n"),
            ("jobs/domain/Cargo.toml", "[dependencies]\nclawr-kinds = { workspace = true }\n"),
            ("api/Cargo.toml", "[dependencies.clawr-workers]\nworkspace = true\n"),
            ("workers/Cargo.toml", "[dependencies]\nclawr-api = { path = \"../api\" }\n"),
            ("ops/Cargo.toml", "[dev-dependencies]\nclawr-tests = { workspace = true }\n"),
        ],
        &[
            ("jobs/kinds/Cargo.toml", "[dependencies]\nclawr-engine = { workspace = true }\nclawr-domain = { workspace = true }\n"),
            ("Cargo.toml", "[workspace.dependencies]\nclawr-api = { path = \"api\" }\n"),
        ],
    );
}

#[test]
fn the_domain_knows_no_server_no_runtime_and_no_driver() {
    fact(
        &foreign,
        &[
            ("jobs/domain/Cargo.toml", "[dependencies]\nsqlx = { workspace = true }\n"),
            ("jobs/domain/Cargo.toml", "[dev-dependencies]\naxum.workspace = true\n"),
            ("jobs/kinds/Cargo.toml", "[dependencies]\napalis-core = { workspace = true }\n"),
            ("jobs/engine/Cargo.toml", "[dependencies.apalis]\nworkspace = true\n"),
            ("api/Cargo.toml", "[dependencies]\nsqlx = \"0.9\"\n"),
        ],
        &[
            ("jobs/engine/Cargo.toml", "[dependencies]\nsqlx = { workspace = true }\n"),
            ("workers/Cargo.toml", "[dependencies]\napalis = { workspace = true }\n"),
        ],
    );
}

/// What each crate may use of ours.
const ARROWS: [(&str, &[&str]); 7] = [
    ("jobs/engine/Cargo.toml", &[]),
    ("jobs/domain/Cargo.toml", &["clawr-engine"]),
    ("jobs/kinds/Cargo.toml", &["clawr-engine", "clawr-domain"]),
    ("api/Cargo.toml", &["clawr-engine", "clawr-domain", "clawr-kinds"]),
    ("workers/Cargo.toml", &["clawr-engine", "clawr-domain", "clawr-kinds"]),
    ("ops/Cargo.toml", &["clawr-engine", "clawr-domain", "clawr-kinds", "clawr-workers", "clawr-api"]),
    ("tests/Cargo.toml", &["clawr-engine", "clawr-domain", "clawr-kinds", "clawr-workers", "clawr-api", "clawr"]),
];

fn arrows(path: &str, text: &str) -> Faults {
    let Some((_, allowed)) = ARROWS.iter().find(|(file, _)| *file == path) else { return vec![] };
    let ours = dependencies(text).into_iter().filter(|(_, name)| name.starts_with("clawr"));
    ours.filter(|(_, name)| !allowed.contains(&name.as_str())).map(|(at, name)| (at, format!("may not depend on {name}"))).collect()
}

fn foreign(path: &str, text: &str) -> Faults {
    let banned: &[&str] = match path {
        "jobs/engine/Cargo.toml" => &["apalis", "axum", "hyper", "tower-http", "lettre"],
        "jobs/domain/Cargo.toml" | "jobs/kinds/Cargo.toml" => &["sqlx", "apalis", "axum", "hyper", "tower-http", "reqwest", "lettre"],
        "api/Cargo.toml" => &["sqlx", "apalis", "reqwest", "lettre"],
        "ops/Cargo.toml" => &["sqlx", "apalis"],
        "workers/Cargo.toml" => &["sqlx", "axum"],
        _ => return vec![],
    };
    let is_banned = |name: &str| banned.iter().any(|b| name == *b || name.starts_with(&format!("{b}-")));
    dependencies(text).into_iter().filter(|(_, n)| is_banned(n)).map(|(at, n)| (at, format!("{n} has no place in this crate"))).collect()
}

/// Names of all `[…dependencies]` of a manifest, with their lines.
fn dependencies(text: &str) -> Vec<(usize, String)> {
    let mut names = vec![];
    let mut inside = false;
    for (at, line) in lines(text) {
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header.ends_with("dependencies");
            if let Some((_, name)) = header.split_once("dependencies.") {
                names.push((at, name.to_owned()));
            }
        } else if inside && line.contains('=') && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.push((at, name.trim_matches('"').to_owned()));
        }
    }
    names
}

// ---------------------------------------------------------------- confined names

#[test]
fn a_database_driver_is_named_only_inside_the_store() {
    fact(
        &|path, text| confined(path, text, "sqlx", &["jobs/engine/src/db.rs", "jobs/engine/src/db/", "tests/"]),
        &[("jobs/engine/src/queue.rs", "fn f(pool: &sqlx::PgPool) {}\n"), ("api/src/jobs.rs", "use sqlx::Row;\n")],
        &[
            ("jobs/engine/src/db/postgres.rs", "use sqlx::PgPool;\n"),
            ("jobs/engine/src/queue.rs", "// unlike sqlx\nlet filter = \"sqlx=warn\"; let sqlx_like = 1;\n"),
        ],
    );
}

#[test]
fn an_http_client_is_named_only_by_adapters() {
    let places = ["jobs/engine/src/db/", "workers/src/adapters", "ops/", "tests/"];
    fact(
        &|path, text| confined(path, text, "reqwest", &places),
        &[("jobs/domain/src/probes.rs", "let c = reqwest::Client::new();\n"), ("workers/src/executor.rs", "use reqwest::Client;\n")],
        &[("jobs/engine/src/db/d1.rs", "use reqwest::Client;\n"), ("workers/src/adapters/mail.rs", "use reqwest::Url;\n")],
    );
}

#[test]
fn apalis_is_named_only_by_the_pools() {
    fact(
        &|path, text| [confined(path, text, "apalis", POOL), confined(path, text, "apalis_core", POOL)].concat(),
        &[("workers/src/executor.rs", "use apalis::prelude::*;\n"), ("ops/src/main.rs", "apalis_core::worker();\n")],
        &[
            ("workers/src/pool/backend.rs", "use apalis_core::backend::Backend;\n"),
            ("workers/src/lib.rs", "//! The pools stand on apalis.\n"),
        ],
    );
}
const POOL: &[&str] = &["workers/src/pool.rs", "workers/src/pool/", "tests/"];

#[test]
fn the_status_of_an_answer_is_decided_in_the_api() {
    fact(
        &status_codes,
        &[("jobs/domain/src/caps.rs", "Err(StatusCode::PAYMENT_REQUIRED)\n"), ("workers/src/a.rs", "use axum::http::StatusCode;\n")],
        &[("api/src/error.rs", "StatusCode::NOT_FOUND\n"), ("ops/src/client.rs", "if s == reqwest::StatusCode::CONFLICT {}\n")],
    );
}

fn status_codes(path: &str, text: &str) -> Faults {
    let others = text.replace("reqwest::StatusCode", "reqwest::Theirs");
    confined(path, &others, "StatusCode", &["api/", "tests/"])
}

#[test]
fn the_environment_is_read_only_by_the_configuration() {
    fact(
        &environment,
        &[
            ("workers/src/a.rs", "let v = std::env::var(\"X\");\n"),
            ("api/src/a.rs", "use std::env;\n"),
            ("ops/src/main.rs", "let v = env::var_os(\"HOME\");\n"),
            ("ops/src/demo.rs", "let d = std::env::temp_dir();\n"),
        ],
        &[
            ("ops/src/config.rs", "let v = std::env::vars();\n"),
            ("ops/src/main.rs", "let a = std::env::args_os();\n"),
            ("api/src/a.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\");\n"),
            ("api/src/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn d() { std::env::temp_dir(); }\n}\n"),
        ],
    );
}

fn environment(path: &str, text: &str) -> Faults {
    if path.starts_with("jobs/domain/tests/") {
        return vec![];
    }
    let main = path == "ops/src/main.rs";
    let text = if main { text.replace("std::env::args", "arguments") } else { text.to_owned() };
    let places = ["ops/src/config.rs", "tests/"];
    [confined(path, &text, "std::env", &places), confined(path, &text, "env::", &places)].concat()
}

#[test]
fn the_wall_clock_is_read_in_one_file() {
    let nows = ["SystemTime::now", "Utc::now", "Local::now", "Timestamp::now", "Zoned::now", "now_v7", "UNIX_EPOCH.elapsed"];
    fact(
        &|path, text| nows.iter().flat_map(|now| confined(path, text, now, &["jobs/engine/src/clock.rs", "tests/"])).collect(),
        &[
            ("jobs/engine/src/ids.rs", "let t = std::time::SystemTime::now();\n"),
            ("jobs/domain/src/a.rs", "let t = jiff::Timestamp::now();\n"),
            ("jobs/engine/src/ids.rs", "let id = Uuid::now_v7();\n"),
        ],
        &[("jobs/engine/src/clock.rs", "SystemTime::now()\n"), ("workers/src/a.rs", "std::time::Instant::now(); clock.now();\n")],
    );
}

/// Production code of a `.rs` file outside `places` does not say `word`; comments, strings and its unit tests may.
fn confined(path: &str, text: &str, word: &str, places: &[&str]) -> Faults {
    if !path.ends_with(".rs") || places.iter().any(|place| path.starts_with(place)) {
        return vec![];
    }
    let code = code_of(text);
    let found = lines(production(&code)).into_iter().filter(|(_, line)| contains_word(line, word));
    found.map(|(at, _)| (at, format!("`{word}` belongs in {}", places[0]))).collect()
}

// ---------------------------------------------------------------- SQL

#[test]
fn a_statement_file_says_its_parameters_and_what_it_does() {
    fact(
        &statement_head,
        &[
            ("jobs/engine/src/sql/a.sql", "select 1\n"),
            ("jobs/engine/src/sql/a.sql", "-- params: int\nselect $1\n"),
            ("jobs/domain/src/sql/a.sql", "-- params: none\n-- todo\nselect 1\n"),
            ("jobs/domain/src/sql/a.sql", "-- params: none\n-- One row of the guard table.\nselect 1; select 2\n"),
        ],
        &[
            ("jobs/engine/src/sql/a.sql", "-- params: none\n-- The number one; no index.\nselect ';' as a\n"),
            ("migrations/sqlite/0001_engine_core.sql", "-- The queue.\n"),
        ],
    );
}

fn statement_head(path: &str, text: &str) -> Faults {
    if !is_statement(path) {
        return vec![];
    }
    let mut faults = vec![];
    let mut head = text.lines();
    if !head.next().is_some_and(|line| line.starts_with("-- params:")) {
        faults.push((1, "first line must be `-- params: …`".to_owned()));
    }
    let says = head.next().and_then(|line| line.strip_prefix("-- ")).unwrap_or_default();
    if says.split_whitespace().count() < 3 {
        faults.push((2, "second line must be a sentence: what is selected or written, which index serves it".to_owned()));
    }
    if sql_code(text).trim().trim_end_matches(';').contains(';') {
        faults.push((0, "one file is one statement".to_owned()));
    }
    faults
}

#[test]
fn sql_means_the_same_on_every_store() {
    fact(
        &portable,
        &[
            ("jobs/engine/src/a.sql", "select GREATEST(a, b) from jobs\n"),
            ("jobs/engine/src/a.sql", "update jobs set at = now()\n"),
            ("jobs/domain/src/a.sql", "insert or ignore into t values ($1)\n"),
            ("jobs/domain/src/a.sql", "select a from t where a ilike $1\n"),
            ("migrations/postgres/0002_app_x.sql", "create table t (at bigint default current_timestamp)\n"),
            ("migrations/sqlite/0002_app_x.sql", "create table t (a text references u deferrable)\n"),
            ("migrations/sqlite/0002_app_x.sql", "create trigger a before insert on t BEGIN SELECT RAISE(IGNORE); END;\n"),
            ("migrations/sqlite/0002_app_x.sql", "create trigger a before insert on t BEGIN SELECT RAISE(ROLLBACK, 'x'); END;\n"),
        ],
        &[
            ("jobs/engine/src/a.sql", "-- never now()\nselect 'now()' as text from jobs where knows(1) = 1\n"),
            ("migrations/postgres/0002_app_x.sql", "create or replace function f() returns trigger\n"),
        ],
    );
}

fn portable(path: &str, text: &str) -> Faults {
    if !path.ends_with(".sql") {
        return vec![];
    }
    const NEVER: [(&str, &str); 10] = [
        ("greatest(", "SQLite has no greatest: case when"),
        ("now()", "time is a parameter, from the Clock"),
        ("current_timestamp", "time is a parameter, from the Clock"),
        ("or ignore", "hides what was refused: on conflict"),
        ("or replace", "goes around append-only triggers: on conflict"),
        ("or rollback", "ends the whole group of commits"),
        ("ilike", "Postgres only: lower(a) like"),
        ("deferrable", "fails at commit, not at its statement"),
        ("raise(ignore", "lets the rest of the commit stand: RAISE(ABORT, …)"),
        ("raise(rollback", "ends the whole group of commits: RAISE(ABORT, …)"),
    ];
    let code = sql_code(text).to_lowercase().replace("create or replace", "create");
    let mut faults = vec![];
    for (at, line) in lines(&code) {
        for (word, why) in NEVER.iter().filter(|(word, _)| contains_word(line, word)) {
            faults.push((at, format!("`{word}`: {why}")));
        }
    }
    faults
}

#[test]
fn a_trigger_is_one_line_that_every_splitter_takes() {
    fact(
        &triggers,
        &[
            (LITE, "create trigger a before update on t\nBEGIN SELECT RAISE(ABORT, 'x'); END;\n"),
            (LITE, "create trigger a before update on t begin select raise(abort, 'x'); end;\n"),
            (LITE, "create trigger a before update on t BEGIN SELECT CASE WHEN 1 THEN 2 END; END;\n"),
            (LITE, "create table t (a text);\r\n"),
        ],
        &[(LITE, "create trigger a before update on t BEGIN SELECT RAISE(ABORT, 't is append-only'); END;\n--;;\n")],
    );
}
const LITE: &str = "migrations/sqlite/0001_engine_core.sql";

fn triggers(path: &str, text: &str) -> Faults {
    if !path.starts_with("migrations/sqlite/") {
        return vec![];
    }
    let mut faults = vec![];
    if text.contains('\r') {
        faults.push((0, "line ends are LF".to_owned()));
    }
    let code = sql_code(text);
    for (at, line) in lines(&code).into_iter().filter(|(_, line)| contains_word(&line.to_lowercase(), "create trigger")) {
        if !line.contains(" BEGIN ") || !line.trim_end().ends_with(" END;") {
            faults.push((at, "a trigger stands on one line, from `create trigger` over `BEGIN` to `END;`".to_owned()));
        }
        if contains_word(&line.to_lowercase(), "case") {
            faults.push((at, "no CASE in a trigger: when".to_owned()));
        }
    }
    faults
}

#[test]
fn the_engine_names_no_table_of_the_business() {
    let seen = app_tables(&[(
        "migrations/sqlite/0002_app_money.sql",
        "create table if not exists entries (id text);\ncreate table accounts(id text);",
    )]);
    assert_eq!(seen, BTreeSet::from(["accounts".to_owned(), "entries".to_owned()]));
    let tree = tree();
    let files: Vec<_> = tree.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let tables = app_tables(&files).union(&seen).cloned().collect();
    fact(
        &|path, text| engine_is_blind(path, text, &tables),
        &[
            ("migrations/sqlite/0001_engine_core.sql", "create table jobs (entry text references entries);\n"),
            ("jobs/engine/src/sql/a.sql", "select 1 from accounts\n"),
        ],
        &[
            ("migrations/sqlite/0001_engine_core.sql", "-- not entries\ncreate table jobs (open_entries integer);\n"),
            ("jobs/domain/src/a.sql", "select 1 from entries\n"),
        ],
    );
}

fn engine_is_blind(path: &str, text: &str, tables: &BTreeSet<String>) -> Faults {
    let is_engine = path.starts_with("jobs/engine/src/") || (path.starts_with("migrations/") && path.contains("_engine_"));
    if !is_engine || !path.ends_with(".sql") {
        return vec![];
    }
    let code = sql_code(text).to_lowercase();
    let named = |line: &str| tables.iter().find(|table| contains_word(line, table)).cloned();
    lines(&code).into_iter().filter_map(|(at, line)| named(line).map(|t| (at, format!("`{t}` is a table of the business")))).collect()
}

fn app_tables(files: &[(&str, &str)]) -> BTreeSet<String> {
    let app = files.iter().filter(|(path, _)| path.starts_with("migrations/") && path.contains("_app_"));
    let names = app.flat_map(|(_, text)| {
        let code = sql_code(text).to_lowercase().replace("if not exists ", "");
        let name = |rest: &str| rest.split(|c: char| !is_word(c)).next().unwrap_or_default().to_owned();
        code.split("create table ").skip(1).map(name).collect::<Vec<_>>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_migration_has_its_twin() {
    let alone = twins(&["migrations/sqlite/0001_engine_core.sql", "migrations/postgres/0001_engine_jobs.sql"]);
    assert_eq!(alone.len(), 2, "{alone:?}");
    let double = ["migrations/sqlite/0001_engine_a.sql", "migrations/sqlite/0001_app_b.sql"]
        .map(|lite| [lite.to_owned(), lite.replace("sqlite", "postgres")]);
    assert_eq!(twins(&double.concat().iter().map(String::as_str).collect::<Vec<_>>()).len(), 2);
    assert_eq!(twins(&["migrations/sqlite/1_engine_a.sql", "migrations/postgres/1_engine_a.sql"]).len(), 2);
    assert_eq!(twins(&["migrations/sqlite/0001_app_a.sql", "migrations/postgres/0001_app_a.sql"]), Vec::<String>::new());

    let tree = tree();
    let faults = twins(&tree.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Names are `NNNN_engine_name.sql` or `NNNN_app_name.sql`, numbers are used once, both dialects have the same ones.
fn twins(paths: &[&str]) -> Vec<String> {
    let of = |folder: &str| -> BTreeSet<String> { paths.iter().filter_map(|p| p.strip_prefix(folder)).map(str::to_owned).collect() };
    let (lite, pg) = (of("migrations/sqlite/"), of("migrations/postgres/"));
    let mut faults: Vec<String> =
        lite.symmetric_difference(&pg).map(|name| format!("migrations: {name} is there for one dialect only")).collect();
    for (folder, names) in [("sqlite", &lite), ("postgres", &pg)] {
        let mut numbers = BTreeSet::new();
        for name in names {
            let (number, rest) = name.split_at_checked(4).unwrap_or_default();
            let named = rest.strip_prefix("_engine_").or_else(|| rest.strip_prefix("_app_")).is_some_and(|r| r.ends_with(".sql"));
            if !named || !number.chars().all(|c| c.is_ascii_digit()) {
                faults.push(format!("migrations/{folder}/{name}: names are NNNN_engine_name.sql or NNNN_app_name.sql"));
            } else if !numbers.insert(number.to_owned()) {
                faults.push(format!("migrations/{folder}/{name}: {number} is taken"));
            }
        }
    }
    faults
}

// ---------------------------------------------------------------- kinds, words, sizes

#[test]
fn a_kind_is_named_as_its_file() {
    fact(
        &kind_names,
        &[("jobs/kinds/src/email.rs", "const KIND: &'static str = \"mail\";\n"), ("jobs/kinds/src/email.rs", "//! no kind at all\n")],
        &[("jobs/kinds/src/payout_batch.rs", "    const KIND: &'static str = \"payout_batch\";\n"), ("jobs/kinds/src/kinds.rs", "")],
    );
}

fn kind_names(path: &str, text: &str) -> Faults {
    let Some(file) = path.strip_prefix("jobs/kinds/src/").and_then(|p| p.strip_suffix(".rs")) else { return vec![] };
    // tables of contents have no kind of their own; the tests' kinds live in a folder
    if ["lib", "kinds", "chaos"].contains(&file) {
        return vec![];
    }
    let file = file.strip_prefix("chaos/").unwrap_or(file);
    let consts = lines(text).into_iter().filter(|(_, line)| line.contains("const KIND: &"));
    let kinds: Vec<_> = consts.map(|(at, line)| (at, line.split('"').nth(1).unwrap_or_default())).collect();
    match kinds[..] {
        [(_, kind)] if kind == file => vec![],
        [(at, kind)] => vec![(at, format!("kind {kind} lives in {kind}.rs"))],
        _ => vec![(0, format!("one file, one kind: expected one `const KIND: &str = \"{file}\"`, found {}", kinds.len()))],
    }
}

#[test]
fn nothing_is_left_for_later_in_code() {
    fact(
        &left_open,
        &[
            ("api/src/a.rs", "fn f() { todo!() }\n"),
            ("api/src/a.rs", "unimplemented!(\"x\");\n"),
            ("tests/tests/a.rs", "#[ignore = \"slow\"]\n"),
        ],
        &[("api/src/a.rs", "// todo!() would be wrong here\nlet s = \"todo!\";\n")],
    );
}

fn left_open(path: &str, text: &str) -> Faults {
    if !path.ends_with(".rs") {
        return vec![];
    }
    let code = code_of(text);
    let open = |line: &str| ["todo!", "unimplemented!", "#[ignore"].into_iter().find(|word| line.contains(word));
    lines(&code).into_iter().filter_map(|(at, line)| open(line).map(|word| (at, format!("`{word}` does not land")))).collect()
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let home = ["/ho", "me/bob/x"].concat();
    let desk = ["see ../sha", "red/notes.md"].concat();
    let host = ["https://registry.npm", "js.org/x"].concat();
    fact(
        &machine_paths,
        &[
            ("README.md", &home),
            ("ops/docs/a.md", &format!("in `{home}`")),
            ("ops/docs/a.md", &desk),
            ("tests/d1/package-lock.json", &host),
        ],
        &[("api/src/a.rs", "route(\"/workers/{id}\"); path(\"/v1/home/\"); \"target/home/\""), ("Cargo.lock", &host)],
    );
}

fn machine_paths(path: &str, text: &str) -> Faults {
    if path == "Cargo.lock" {
        return vec![];
    }
    let folders = [["/ho", "me/"], ["/Us", "ers/"], ["/ro", "ot/"], ["/wo", "rk/"], ["../sha", "red/"]].map(|halves| halves.concat());
    let hosts = [["npm", "js.org"], ["index.crates", ".io"], ["static.crates", ".io"], ["deb.debian", ".org"], ["pypi", ".org"]]
        .map(|halves| halves.concat());
    let mut faults = vec![];
    for (at, line) in lines(text) {
        let starts = |word: &String| {
            line.match_indices(word.as_str()).any(|(i, _)| !line[..i].ends_with(|c: char| is_word(c) || "./-}".contains(c)))
        };
        faults.extend(folders.iter().filter(|word| starts(word)).map(|word| (at, format!("{word}… is a place on somebody's machine"))));
        faults.extend(hosts.iter().filter(|host| line.contains(host.as_str())).map(|host| (at, format!("{host} is a package host"))));
    }
    faults
}

#[test]
fn no_source_file_outgrows_one_idea() {
    fact(
        &length,
        &[("api/src/a.rs", &"\n".repeat(601))],
        &[("api/src/a.rs", &"\n".repeat(600)), ("tests/fixtures/a.jsonl", &"\n".repeat(700))],
    );
}

fn length(path: &str, text: &str) -> Faults {
    let count = text.lines().count();
    if path.ends_with(".rs") && count > 600 {
        vec![(0, format!("{count} lines; 600 is the limit: look for the missing noun"))]
    } else {
        vec![]
    }
}

#[test]
fn the_demo_plays_the_recorded_reports() {
    let read = |path: &str| std::fs::read(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    for file in ["events.jsonl", "given.json", "expected.json"] {
        let (demo, recorded) = (format!("ops/demo/{file}"), format!("tests/fixtures/x402/{file}"));
        assert!(read(&demo) == read(&recorded), "{demo} is not {recorded}");
    }
}

#[test]
fn the_bench_of_cron_takes_the_recorded_expressions() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let recorded = [read("tests/fixtures/cron/vixie.jsonl"), read("tests/fixtures/cron/dst.jsonl")].concat();
    let expected = recorded.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |name: &str| line[name].as_str();
        format!("{} {} {}", text("zone").unwrap_or("UTC"), text("start").expect("start"), text("expr").expect("expr"))
    });
    let bench = read("ops/src/bench/cron/expressions.txt");
    assert!(bench.lines().eq(expected), "ops/src/bench/cron/expressions.txt is not what tests/fixtures/cron has");
}

#[test]
fn the_walk_sees_the_tree() {
    let tree = tree();
    for file in ["Cargo.toml", "ops/test", "ops/src/main.rs", "tests/tests/tidy.rs", "tests/Cargo.toml"] {
        assert!(tree.iter().any(|(path, _)| path == file), "{file} was not read");
    }
}

// ---------------------------------------------------------------- machinery

/// `rule` sees every broken text, has nothing against the fine ones, and finds the tree clean.
fn fact(rule: Rule<'_>, broken: &[(&str, &str)], fine: &[(&str, &str)]) {
    for (path, text) in broken {
        assert!(!rule(path, text).is_empty(), "the rule does not see what is wrong with {path}:\n{text}");
    }
    for (path, text) in fine {
        assert_eq!(rule(path, text), vec![], "the rule is wrong about {path}:\n{text}");
    }
    let mut faults = vec![];
    for (path, text) in tree() {
        faults.extend(rule(&path, &text).into_iter().map(|(at, what)| format!("{path}:{at}: {what}")));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All text files of the repository, in order of their paths.
fn tree() -> Vec<(String, String)> {
    let mut files = vec![];
    walk(&root(), "", &mut files);
    files.sort();
    files
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    const NOT_OURS: [&str; 5] = [".git", "target", "node_modules", "mutants.out", "corpus"];
    for entry in std::fs::read_dir(folder).expect("the repository can be read").map(|entry| entry.expect("a readable entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("an entry has a type");
        // in a linked worktree `.git` is a file
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            files.push((path, text));
        }
    }
}
