//! The table of requests. Order matters: later requests meet the tables and rows of earlier ones.

use serde_json::{Value as Json, json};

/// Where a request goes and who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// POST …/query with the right token.
    Query,
    /// POST …/raw with the right token.
    Raw,
    /// POST to a route that does not exist.
    Nowhere,
    /// POST …/query with a wrong token.
    Stranger,
    /// GET …/query.
    Get,
}

/// A difference that is known and meant.
#[derive(Debug)]
pub struct Differs {
    /// What workerd answers; the case's own status is the fake's.
    pub workerd_status: u16,
    /// Why both are right.
    pub why: &'static str,
}

/// One request and the status it must have.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub target: Target,
    pub body: String,
    pub status: u16,
    pub differs: Option<Differs>,
}

impl Case {
    fn differs(mut self, workerd_status: u16, why: &'static str) -> Case {
        self.differs = Some(Differs { workerd_status, why });
        self
    }
}

fn case(name: &'static str, target: Target, status: u16, body: String) -> Case {
    Case { name, target, body, status, differs: None }
}

fn ask(name: &'static str, status: u16, sql: &str, params: Json) -> Case {
    case(name, Target::Query, status, json!({"sql": sql, "params": params}).to_string())
}

fn batch(name: &'static str, status: u16, entries: &[(&str, Json)]) -> Case {
    let entries: Vec<Json> = entries.iter().map(|(sql, params)| json!({"sql": sql, "params": params})).collect();
    case(name, Target::Query, status, json!({"batch": entries}).to_string())
}

fn to(name: &'static str, target: Target, status: u16, body: &str) -> Case {
    case(name, target, status, body.to_owned())
}

/// All requests, in order.
pub fn cases() -> Vec<Case> {
    let parts = [schema(), binding(), reading(), constraints(), batches(), refused(), limits(), envelopes(), known_differences()];
    parts.into_iter().flatten().collect()
}

fn schema() -> Vec<Case> {
    vec![
        batch(
            "a schema in one batch",
            200,
            &[
                (
                    "create table jobs (id text not null primary key, n integer not null constraint n_positive check (n > 0), note text) strict",
                    json!([]),
                ),
                ("create unique index jobs_note on jobs (note)", json!([])),
                ("create table guard (stale integer constraint stale check (stale is null)) strict", json!([])),
                ("create table parent (id integer primary key) strict", json!([])),
                ("create table child (id integer primary key, parent integer references parent (id)) strict", json!([])),
                (
                    "create table later (id integer primary key, parent integer references parent (id) deferrable initially deferred) strict",
                    json!([]),
                ),
                ("create table log (id text primary key, line text) strict, without rowid", json!([])),
                ("create trigger log_no_update before update on log BEGIN SELECT RAISE(ABORT, 'log is append-only'); END", json!([])),
                ("create trigger log_no_delete before delete on log BEGIN SELECT RAISE(ABORT, 'log is append-only'); END;", json!([])),
                (
                    "create trigger log_once before insert on log when exists (select 1 from log where id = new.id) BEGIN SELECT RAISE(ABORT, 'duplicate log_id'); END",
                    json!([]),
                ),
            ],
        ),
        ask("a table that exists", 400, "create table jobs (id text)", json!([])),
        ask("a view", 200, "create view ready as select id from jobs where n > 1", json!([])),
    ]
}

fn binding() -> Vec<Case> {
    vec![
        ask("a text parameter is text", 200, "select ?1 as v, typeof(?1) as t", json!(["x"])),
        ask("a number is REAL", 200, "select typeof(?1) as t, 'x' || ?1 as v, ?1 / 2 as half", json!([1])),
        ask("a boolean is REAL", 200, "select ?1 as v, typeof(?1) as t", json!([true])),
        ask("null is NULL", 200, "select ?1 as v, typeof(?1) as t", json!([null])),
        ask("an integer as text, cast", 200, "select cast(cast(?1 as integer) as text) as v", json!(["9007199254740993"])),
        ask("text has no affinity", 200, "select 5 = ?1 as bare, 5 = cast(?1 as integer) as cast_", json!(["5"])),
        ask(
            "text into an integer column",
            200,
            "insert into jobs (id, n) values (?1, ?2) returning id, n, typeof(n) as t",
            json!(["bind", "7"]),
        ),
        ask("a number into an integer column", 200, "update jobs set n = ?1 returning n, typeof(n) as t", json!([3])),
        ask("a number into a text column", 200, "update jobs set note = ?1 returning note", json!([1])),
        ask("words into an integer column", 400, "insert into jobs (id, n) values ('w', ?1)", json!(["12abc"])),
        ask("limit takes text", 200, "select value from json_each('[1,2,3]') limit ?1", json!(["2"])),
        ask("numbered parameters in any order", 200, "select ?2 as a, ?1 as b, ?2 as c", json!(["one", "two"])),
        ask("dollars are names, numbered by appearance", 200, "select $2 as a, $1 as b", json!(["one", "two"])),
        ask("too few parameters", 400, "select ?1, ?2", json!(["one"])),
        ask("too many parameters", 400, "select ?1", json!(["one", "two"])),
        ask("parameters for nothing", 400, "select 1", json!(["one"])),
        ask("an array parameter", 400, "select ?1", json!([[1]])),
        ask("an object parameter", 400, "select ?1", json!([{"a": 1}])),
    ]
}

fn reading() -> Vec<Case> {
    vec![
        ask(
            "integers round at 2^53",
            200,
            "select 9007199254740991 as exact, 9007199254740993 as rounded, 9223372036854775807 as most",
            json!([]),
        ),
        ask("reals", 200, "select 1.5 as a, 2.0 as b, -0.25 as c, 1e300 as d", json!([])),
        ask("bytes come as an array", 200, "select x'00ff' as v", json!([])),
        ask("text beyond ASCII", 200, "select 'grüße 漢字 🦀' as v, length(?1) as n", json!(["🦀"])),
        ask("no rows", 200, "select id from jobs where id = 'nobody'", json!([])),
        ask("a number inside JSON", 200, "select json_object('a', ?1) as v", json!([1])),
        ask("a double-quoted word is text, not an error", 200, "select \"nobody\" as v", json!([])),
        ask("columns of one name", 200, "select 1 as v, 2 as v", json!([])),
        ask(
            "json_each",
            200,
            "select value ->> 'id' as id, value ->> 'n' as n from json_each(?1) order by id",
            json!([r#"[{"id":"b","n":1},{"id":"a","n":2}]"#]),
        ),
        ask(
            "json_each inserts",
            200,
            "insert into jobs (id, n) select value ->> 'id', value ->> 'n' from json_each(?1) where true on conflict do nothing returning id",
            json!([r#"[{"id":"j1","n":1},{"id":"j2","n":2}]"#]),
        ),
        ask(
            "json_each inserts again, nothing",
            200,
            "insert into jobs (id, n) select value ->> 'id', value ->> 'n' from json_each(?1) where true on conflict do nothing returning id",
            json!([r#"[{"id":"j1","n":1},{"id":"j2","n":2}]"#]),
        ),
        ask(
            "upsert with a condition",
            200,
            "insert into jobs (id, n) values ('j1', 5) on conflict (id) do update set n = n + excluded.n where n + excluded.n <= 6 returning n",
            json!([]),
        ),
        ask(
            "update of chosen rows",
            200,
            "update jobs set n = n + 1 where id in (select id from jobs where id like 'j%' order by id limit 1) returning id, n",
            json!([]),
        ),
        ask(
            "window and string_agg",
            200,
            "select string_agg(id, ',' order by id) as ids from (select id, row_number() over (order by id) as r from jobs) where r < 3",
            json!([]),
        ),
        ask("with and intersect", 200, "with a as (select 1 as v union select 2) select v from a intersect select 2", json!([])),
        ask("comments and a trailing semicolon", 200, "-- first; second\nselect 1 as v /* ; */ ;", json!([])),
        to("rows as arrays", Target::Raw, 200, r#"{"sql":"select id, n from jobs order by id"}"#),
    ]
}

fn constraints() -> Vec<Case> {
    vec![
        ask("a named CHECK", 400, "insert into jobs (id, n) values ('c', 0)", json!([])),
        ask(
            "a guard refuses",
            400,
            "insert into guard (stale) select 1 where not exists (select 1 from jobs where id = 'gone')",
            json!([]),
        ),
        ask(
            "a guard lets pass",
            200,
            "insert into guard (stale) select 1 where not exists (select 1 from jobs where id = 'j1')",
            json!([]),
        ),
        ask("a primary key", 400, "insert into jobs (id, n) values ('j1', 1)", json!([])),
        ask("a unique index", 400, "insert into jobs (id, n, note) values ('u', 1, '1.0')", json!([])),
        ask("NOT NULL", 400, "insert into jobs (id, n) values ('x', null)", json!([])),
        ask("a foreign key", 400, "insert into child (id, parent) values (1, 99)", json!([])),
        ask("a foreign key that is checked at the end", 400, "insert into later (id, parent) values (1, 99)", json!([])),
        ask("a strict type", 400, "insert into jobs (id, n) values ('x', 'word')", json!([])),
        ask("a log takes a line", 200, "insert into log (id, line) values ('l1', 'first')", json!([])),
        ask("a trigger's duplicate", 400, "insert into log (id, line) values ('l1', 'again')", json!([])),
        ask("a trigger against update", 400, "update log set line = 'changed'", json!([])),
        ask("a trigger against delete", 400, "delete from log", json!([])),
        ask("a trigger against replace", 400, "replace into log (id, line) values ('l1', 'other')", json!([])),
    ]
}

fn batches() -> Vec<Case> {
    vec![
        batch(
            "a batch sees its own writes",
            200,
            &[
                ("insert into jobs (id, n) values (?1, cast(?2 as integer))", json!(["b1", "4"])),
                ("select n from jobs where id = ?1", json!(["b1"])),
                ("delete from jobs where id = ?1 returning id", json!(["b1"])),
            ],
        ),
        batch(
            "a batch that fails at its end",
            400,
            &[
                ("insert into jobs (id, n) values ('b2', 1)", json!([])),
                ("create table left_over (x)", json!([])),
                ("insert into guard (stale) values (1)", json!([])),
            ],
        ),
        ask("nothing is left of it", 200, "select count(*) as n from jobs where id = 'b2'", json!([])),
        ask("nor its table", 400, "select * from left_over", json!([])),
        batch(
            "a batch that fails while running",
            400,
            &[("insert into jobs (id, n) values ('b3', 1)", json!([])), ("select json_extract('not json', '$')", json!([]))],
        ),
        batch(
            "a batch with a statement that cannot be prepared",
            400,
            &[("insert into jobs (id, n) values ('b3', 1)", json!([])), ("selekt", json!([]))],
        ),
        ask("nothing is left of either", 200, "select count(*) as n from jobs where id = 'b3'", json!([])),
        batch("reads only", 200, &[("select 1 as a", json!([])), ("select 2 as b", json!([]))]),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        ask("BEGIN", 400, "begin", json!([])),
        ask("COMMIT", 400, "commit", json!([])),
        ask("SAVEPOINT", 400, "savepoint a", json!([])),
        ask("a temporary table", 400, "create temp table t (x)", json!([])),
        ask("sqlite_version", 400, "select sqlite_version()", json!([])),
        ask("an unknown table", 400, "select * from nowhere", json!([])),
        ask("an unknown column", 400, "select missing from jobs", json!([])),
        ask("an unknown function", 400, "select no_such(1)", json!([])),
        ask("a syntax error", 400, "select from where", json!([])),
        ask("an unfinished statement", 400, "select", json!([])),
        ask("an unclosed literal", 400, "select 'x", json!([])),
        ask("malformed JSON inside", 400, "select json_extract('dry run', '$')", json!([])),
        ask("an integer overflow", 400, "select sum(v) from (select 9223372036854775807 as v union all select 1)", json!([])),
        ask("two statements in one entry", 400, "select 1; select 2", json!([])),
        ask("two statements behind a trigger", 400, "create trigger t after insert on jobs begin select 1; end; select 2", json!([])),
        ask("no statement", 400, " -- nothing\n", json!([])),
    ]
}

fn limits() -> Vec<Case> {
    let marks = |n: usize| format!("select {} as n", (1..=n).map(|i| format!("(?{i} is null)")).collect::<Vec<_>>().join(" + "));
    let marks_of_sql = |n: usize| format!("values {}", vec!["(?)"; n].join(", "));
    let nulls = |n: usize| Json::Array(vec![Json::Null; n]);
    let padded = |n: usize| format!("select 1 as v /*{}*/", "x".repeat(n - "select 1 as v /**/".len()));
    let terms = |n: usize| vec!["select 1 as v"; n].join(" union all ");
    let columns = |n: usize| (0..n).map(|i| format!("c{i}")).collect::<Vec<_>>().join(", ");
    let arguments = |n: usize| format!("select coalesce({}) as v", vec!["null"; n].join(", "));
    vec![
        ask("parameters up to ?100", 200, &marks(50).replace("?50 ", "?100 "), nulls(100)),
        ask("100 anonymous parameters", 200, &marks_of_sql(100), nulls(100)),
        ask("101 anonymous parameters", 400, &marks_of_sql(101), nulls(101)),
        ask("parameter 101", 400, "select ?101", nulls(101)),
        ask("100,000 bytes of SQL", 200, &padded(100_000), json!([])),
        ask("100,001 bytes of SQL", 400, &padded(100_001), json!([])),
        ask("five compound terms", 200, &terms(5), json!([])),
        ask("six compound terms", 400, &terms(6), json!([])),
        ask("600 rows of values", 200, &format!("select count(*) as n from (values {})", vec!["(1)"; 600].join(", ")), json!([])),
        ask("a pattern of 50 bytes", 200, "select 'a' like ?1 as v", json!(["x".repeat(50)])),
        ask("a pattern of 51 bytes", 400, "select 'a' like ?1 as v", json!(["x".repeat(51)])),
        ask("a literal pattern of 51 bytes", 400, &format!("select 'a' glob '{}' as v", "x".repeat(51)), json!([])),
        ask("100 columns", 200, &format!("create table wide ({})", columns(100)), json!([])),
        ask("101 columns", 400, &format!("create table wider ({})", columns(101)), json!([])),
        ask("an expression of depth 90", 200, &format!("select {} as v", vec!["1"; 90].join(" + ")), json!([])),
        ask("101 columns of a result", 400, &format!("select {}", columns(101).replace('c', "1 as c")), json!([])),
        ask("32 arguments", 200, &arguments(32), json!([])),
        ask("a value of 2,000,000 bytes", 200, "select length(?1) as n", json!(["x".repeat(2_000_000)])),
    ]
}

fn envelopes() -> Vec<Case> {
    let one = r#"{"sql":"select 1 as v"}"#;
    vec![
        to("no params at all", Target::Query, 200, one),
        to("params null", Target::Query, 200, r#"{"sql":"select 1 as v","params":null}"#),
        to("a wrong token", Target::Stranger, 401, one),
        to("an unknown route", Target::Nowhere, 404, one),
        to("GET", Target::Get, 405, ""),
        to("malformed JSON", Target::Query, 400, "{\"sql\":"),
        to("an empty body", Target::Query, 400, ""),
        to("an empty batch", Target::Query, 400, r#"{"batch":[]}"#),
        to("a body that is a number", Target::Query, 400, "7"),
        to("sql missing", Target::Query, 400, r#"{"params":[]}"#),
        to("sql that is a number", Target::Query, 400, r#"{"sql":7}"#),
        to("params that are text", Target::Query, 400, r#"{"sql":"select 1","params":"x"}"#),
        to("a batch with a hole", Target::Query, 400, r#"{"batch":[{"sql":"select 1"},null]}"#),
        to("too many statements", Target::Query, 400, &json!({"batch": vec![json!({"sql": "select 1"}); 1_001]}).to_string()),
    ]
}

/// What production and the gateway do not share. Each entry is a decision; the test fails when one stops being true.
fn known_differences() -> Vec<Case> {
    // The gateway refuses PRAGMA because its effects outlive the request; production's REST API has an allow-list, and
    // so has the fake.
    let pragma = "the gateway refuses PRAGMA, the REST API has a list";
    // workerd's own limits are wider than what D1's documents promise; the fake keeps the documents.
    let wider = "documented, not enforced by a local workerd";
    let sum = format!("select {} as v", vec!["1"; 110].join(" + "));
    let many = format!("select coalesce({}) as v", vec!["null"; 33].join(", "));
    vec![
        ask("PRAGMA of the list", 200, "pragma foreign_keys", json!([])).differs(403, pragma),
        ask("PRAGMA not of the list", 400, "/* x */ pragma user_version", json!([])).differs(403, pragma),
        ask("PRAGMA behind a byte order mark", 400, "\u{feff}pragma user_version", json!([])).differs(403, pragma),
        ask("ATTACH", 400, "attach ':memory:' as other", json!([])).differs(403, "the gateway refuses it before SQLite does"),
        ask("VACUUM", 400, "vacuum", json!([])).differs(403, "the gateway refuses it before SQLite does"),
        ask("a value of 2,000,001 bytes", 400, "select length(?1) as n", json!(["x".repeat(2_000_001)])).differs(200, wider),
        ask("an expression of depth 110", 200, &sum, json!([])).differs(400, "to measure depth takes a parser, which the fake has not"),
        ask("33 arguments", 400, &many, json!([])).differs(200, wider),
    ]
}
