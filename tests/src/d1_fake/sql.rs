//! Reads SQL far enough to know what D1 would refuse: words, literals, parameters and brackets, no grammar. SQLite's own
//! limits cannot be lowered through a safe driver, so the ones that D1 lowers are counted here.

use serde_json::Value as Json;

const SQL_BYTES_MAX: usize = 100_000;
const PARAMS_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 2_000_000;
const COMPOUND_TERMS_MAX: usize = 5;
const PATTERN_BYTES_MAX: usize = 50;
const ARGUMENTS_MAX: usize = 32;

const TRANSACTION: &str = "To execute a transaction, please use the state.storage.transaction() or \
    state.storage.transactionSync() APIs instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements. The JavaScript \
    API is safer because it will automatically roll back on exceptions, and because it interacts correctly with Durable \
    Objects' automatic atomic write coalescing.";
const NOT_AUTHORIZED: &str = "not authorized: SQLITE_AUTH";
const WRONG_COUNT: &str = "Wrong number of parameter bindings for SQL query.";

const PRAGMAS: &[&str] = &[
    "data_version",
    "page_size",
    "case_sensitive_like",
    "foreign_keys",
    "defer_foreign_keys",
    "ignore_check_constraints",
    "legacy_alter_table",
    "recursive_triggers",
    "reverse_unordered_selects",
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "quick_check",
    "optimize",
    "table_info",
    "table_list",
    "table_xinfo",
];
const DENIED_FUNCTIONS: &[&str] = &["sqlite_version", "sqlite_source_id", "load_extension"];
/// Only these take more arguments than D1 allows.
const VARIADIC: &[&str] = &[
    "coalesce",
    "max",
    "min",
    "printf",
    "format",
    "char",
    "concat",
    "concat_ws",
    "json_array",
    "json_object",
    "json_extract",
    "json_set",
    "json_insert",
    "json_replace",
    "json_remove",
    "jsonb_array",
    "jsonb_object",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Literal,
    Param,
    Other,
}

/// A token; words are compared in lower case.
#[derive(Debug)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.kind != Kind::Literal && self.text.eq_ignore_ascii_case(word)
    }
}

/// A statement as SQLite shall run it: named parameters have become numbers.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) sql: String,
    /// It makes or alters a table.
    pub(super) changes_tables: bool,
}

/// How many statements `sql` holds.
pub(super) fn statements(sql: &str) -> usize {
    split(&tokens(sql)).len()
}

/// Refuses what D1 refuses before it runs anything, with D1's texts.
pub(super) fn check(sql: &str, params: &[Json]) -> Result<Checked, String> {
    if sql.len() > SQL_BYTES_MAX {
        return Err("statement too long: SQLITE_TOOBIG".into());
    }
    let tokens = tokens(sql);
    refuse_verbs(&tokens)?;
    refuse_functions(&tokens)?;
    refuse_compounds(&tokens)?;
    let sql = number(sql, &tokens, params.len())?;
    refuse_values(params)?;
    refuse_patterns(&tokens, params)?;
    let changes_tables = tokens.first().is_some_and(|t| t.is("create") || t.is("alter"));
    Ok(Checked { sql, changes_tables })
}

/// True for a value that D1 would not store or return.
pub(super) fn too_big(bytes: usize) -> bool {
    bytes > VALUE_BYTES_MAX
}

fn refuse_verbs(tokens: &[Token<'_>]) -> Result<(), String> {
    let head: Vec<String> = tokens.iter().take(4).map(|t| t.text.to_ascii_lowercase()).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    match head[..] {
        ["begin" | "commit" | "end" | "rollback" | "savepoint" | "release", ..] => Err(TRANSACTION.into()),
        ["attach" | "detach" | "vacuum", ..] => Err(NOT_AUTHORIZED.into()),
        ["create", "temp" | "temporary", ..] => Err(NOT_AUTHORIZED.into()),
        ["pragma", _, ".", name] | ["pragma", name, ..] if !PRAGMAS.contains(&name) => Err(NOT_AUTHORIZED.into()),
        _ => Ok(()),
    }
}

fn refuse_functions(tokens: &[Token<'_>]) -> Result<(), String> {
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].kind != Kind::Word || pair[1].text != "(" {
            continue;
        }
        let name = pair[0].text.to_ascii_lowercase();
        if DENIED_FUNCTIONS.contains(&name.as_str()) {
            return Err(format!("not authorized to use function: {name}: SQLITE_ERROR"));
        }
        if VARIADIC.contains(&name.as_str()) && arguments(&tokens[at + 2..]) > ARGUMENTS_MAX {
            return Err(format!("too many arguments on function {name}: SQLITE_ERROR"));
        }
    }
    Ok(())
}

/// Arguments up to the bracket that closes the call.
fn arguments(tokens: &[Token<'_>]) -> usize {
    let (mut depth, mut commas) = (0_usize, 0);
    for token in tokens {
        match token.text {
            "(" => depth += 1,
            ")" if depth == 0 => break,
            ")" => depth -= 1,
            "," if depth == 0 => commas += 1,
            _ => {}
        }
    }
    commas + 1
}

/// Counts the selects that one bracket level joins.
fn refuse_compounds(tokens: &[Token<'_>]) -> Result<(), String> {
    let mut terms = vec![1_usize];
    for token in tokens {
        match token.text {
            "(" => terms.push(1),
            ")" if terms.len() > 1 => drop(terms.pop()),
            ";" => terms = vec![1],
            _ => {}
        }
        let joins = ["union", "intersect", "except"].iter().any(|word| token.is(word));
        if let (true, Some(here)) = (joins, terms.last_mut()) {
            *here += 1;
            if *here > COMPOUND_TERMS_MAX {
                return Err("too many terms in compound SELECT: SQLITE_ERROR".into());
            }
        }
    }
    Ok(())
}

/// Numbers the parameters as SQLite does (a name gets the next free number at its first appearance) and compares their
/// count with what was given. Written out, because the driver would read `$2` as the second parameter and D1 does not.
fn number(sql: &str, tokens: &[Token<'_>], given: usize) -> Result<String, String> {
    let mut names: Vec<Option<&str>> = Vec::new();
    let mut out = String::with_capacity(sql.len());
    let mut written = sql;
    for token in tokens.iter().filter(|t| t.kind == Kind::Param) {
        let n = parameter(token.text, &mut names)?;
        let at = offset(written, token.text);
        out.push_str(&written[..at]);
        out.push_str(&format!("?{n}"));
        written = &written[at + token.text.len()..];
    }
    out.push_str(written);
    if names.len() != given { Err(WRONG_COUNT.into()) } else { Ok(out) }
}

fn parameter<'a>(text: &'a str, names: &mut Vec<Option<&'a str>>) -> Result<usize, String> {
    if let Some(n) = text.strip_prefix('?').filter(|n| !n.is_empty()) {
        let n = n.parse().ok().filter(|n| (1..=PARAMS_MAX).contains(n));
        let n = n.ok_or("variable number must be between ?1 and ?100: SQLITE_ERROR")?;
        names.resize(names.len().max(n), None);
        return Ok(n);
    }
    if let Some(at) = names.iter().position(|known| text != "?" && *known == Some(text)) {
        return Ok(at + 1);
    }
    names.push(Some(text));
    if names.len() > PARAMS_MAX { Err("too many SQL variables: SQLITE_ERROR".into()) } else { Ok(names.len()) }
}

/// Where `part`, a slice of `whole`, begins.
fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

fn refuse_values(params: &[Json]) -> Result<(), String> {
    match params.iter().any(|p| p.as_str().is_some_and(|text| too_big(text.len()))) {
        true => Err("string or blob too big: SQLITE_TOOBIG".into()),
        false => Ok(()),
    }
}

/// Sees patterns that are literals or parameters; a computed one escapes.
fn refuse_patterns(tokens: &[Token<'_>], params: &[Json]) -> Result<(), String> {
    let patterns = tokens.windows(2).filter(|pair| pair[0].is("like") || pair[0].is("glob")).map(|pair| &pair[1]);
    for token in patterns {
        let bytes = match token.kind {
            Kind::Literal => token.text.len() - 2,
            Kind::Param => bound(token.text, params).map_or(0, str::len),
            Kind::Word | Kind::Other => 0,
        };
        if bytes > PATTERN_BYTES_MAX {
            return Err("LIKE or GLOB pattern too complex: SQLITE_ERROR".into());
        }
    }
    Ok(())
}

fn bound<'p>(text: &str, params: &'p [Json]) -> Option<&'p str> {
    let n: usize = text.strip_prefix('?')?.parse().ok()?;
    params.get(n.checked_sub(1)?)?.as_str()
}

/// Cuts at semicolons; inside `create trigger` only at the one after `; end`. Empty statements are none.
fn split<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut found = Vec::new();
    let mut start = 0;
    for at in 0..tokens.len() {
        if tokens[at].text == ";" && ends(&tokens[start..at]) {
            found.push(&tokens[start..at]);
            start = at + 1;
        }
    }
    found.push(&tokens[start..]);
    found.retain(|statement| !statement.is_empty());
    found
}

fn ends(statement: &[Token<'_>]) -> bool {
    let skip = ["explain", "query", "plan", "temp", "temporary"];
    let mut head = statement.iter().filter(|t| !skip.iter().any(|word| t.is(word)));
    let trigger = head.next().is_some_and(|t| t.is("create")) && head.next().is_some_and(|t| t.is("trigger"));
    match statement {
        [.., semicolon, end] if trigger => semicolon.text == ";" && end.is("end"),
        _ => !trigger,
    }
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (kind, bytes) = token(rest, first);
        if let Some(kind) = kind {
            found.push(Token { kind, text: &rest[..bytes] });
        }
        rest = &rest[bytes..];
    }
    found
}

/// The kind (`None` for space and comments) and length of the token at the start of `rest`.
fn token(rest: &str, first: char) -> (Option<Kind>, usize) {
    match first {
        c if c.is_ascii_whitespace() || c == '\u{feff}' => (None, c.len_utf8()),
        '-' if rest.starts_with("--") => (None, rest.find('\n').map_or(rest.len(), |at| at + 1)),
        '/' if rest.starts_with("/*") => (None, rest[2..].find("*/").map_or(rest.len(), |at| at + 4)),
        '\'' => (Some(Kind::Literal), quoted(rest, '\'')),
        '"' | '`' => (Some(Kind::Other), quoted(rest, first)),
        '[' => (Some(Kind::Other), rest.find(']').map_or(rest.len(), |at| at + 1)),
        '?' | '$' | ':' | '@' => (Some(Kind::Param), 1 + run(&rest[1..], is_name)),
        c if is_name(c) => (Some(if c.is_ascii_digit() { Kind::Other } else { Kind::Word }), run(rest, is_name)),
        c => (Some(Kind::Other), c.len_utf8()),
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn run(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

/// Length of a quoted token; a doubled quote is part of it, a missing one runs to the end.
fn quoted(rest: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(next) = rest[at..].find(quote) {
        at += next + 1;
        if !rest[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_outside_literals_comments_and_triggers() {
        let cases = [
            ("", 0),
            ("select 1", 1),
            (";;select 1;;", 1),
            ("select 1; select 2", 2),
            ("select ';', \";\", [;], `;` -- ;\n/* ; */", 1),
            ("create trigger t after insert on a begin select 1; select case when 1 then 2 end; end;", 1),
            ("create trigger t after insert on a begin select 1; end; select 2", 2),
        ];
        for (sql, want) in cases {
            assert_eq!(statements(sql), want, "{sql}");
        }
    }

    #[test]
    fn named_parameters_are_numbered_by_first_appearance() {
        let two = [Json::Null, Json::Null];
        assert_eq!(check("select $2, $1, $2", &two).unwrap().sql, "select ?1, ?2, ?1");
        assert_eq!(check("select ?2, '?', ?", &[Json::Null, Json::Null, Json::Null]).unwrap().sql, "select ?2, '?', ?3");
        assert_eq!(check("select ?1", &two).unwrap_err(), WRONG_COUNT);
    }
}
