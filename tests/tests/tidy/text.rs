//! Reading source text well enough to tell code from comments and literals. Not a parser: it has to be right about the
//! files of this repository, and a rule that it misleads shows in the rule's own examples.

/// Lines with their numbers from 1.
pub fn lines(text: &str) -> Vec<(usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line)).collect()
}

/// A character of a name.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `word` stands in `line` and is not a part of a longer word.
pub fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(i, _)| {
        let before = !word.starts_with(is_word) || !line[..i].ends_with(is_word);
        let after = !word.ends_with(is_word) || !line[i + word.len()..].starts_with(is_word);
        before && after
    })
}

/// A file of one SQL statement.
pub fn is_statement(path: &str) -> bool {
    path.starts_with("jobs/") && path.contains("/src/") && path.ends_with(".sql")
}

/// What stands before a file's unit tests.
pub fn production(code: &str) -> &str {
    let end = code.match_indices("#[cfg(test)]\nmod ").find(|(i, _)| code[*i..].lines().nth(1).is_some_and(|line| line.ends_with('{')));
    end.map_or(code, |(i, _)| &code[..i])
}

/// SQL with comments and the insides of literals blanked, line for line.
pub fn sql_code(text: &str) -> String {
    blank(text, "--", &["'"])
}

/// Rust with comments and the insides of strings blanked, line for line.
pub fn code_of(text: &str) -> String {
    blank(&text.replace("'\"'", "' '").replace("'\\\"'", "'  '"), "//", &["r##\"", "r#\"", "\""])
}

/// Blanks from `comment` to the end of the line, and between `quotes`, keeping line ends.
fn blank(text: &str, comment: &str, quotes: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with(comment) {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(open) = quotes.iter().find(|quote| rest.starts_with(**quote)) {
            literal(rest, open)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[skipped..];
    }
    out
}

/// Length of the literal that begins with `open`: `"…"` with escapes, `r#"…"#`, `'…'`.
fn literal(text: &str, open: &str) -> usize {
    let close: String = open.trim_start_matches('r').chars().rev().collect();
    let mut at = open.len();
    while at < text.len() && !text[at..].starts_with(&close) {
        let escape = open == "\"" && text[at..].starts_with('\\');
        let chars = if escape { 2 } else { 1 };
        at += text[at..].chars().take(chars).map(char::len_utf8).sum::<usize>();
    }
    (at + close.len()).min(text.len())
}
