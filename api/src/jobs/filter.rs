//! The one filter syntax of API, command line and pages: `state:dead kind:email since:2h args.to:"a b"`. Words are
//! joined by "and"; each name at most once; an empty value does not filter.

use crate::problem::Problem;
use crate::times;
use clawr_engine::job::{Job, State};
use clawr_engine::manage::Filter;
use serde_json::Value as Json;

const WORDS_MAX: usize = 20;
const TEXT_MAX: usize = 2_000;

/// A filter as it was written.
#[derive(Debug, Default)]
pub struct Wanted {
    /// What the store looks for; `tenant` stays empty.
    pub filter: Filter,
    /// A tenant's slug.
    pub tenant: Option<String>,
    /// Members of args: path and value.
    pub args: Vec<(Vec<String>, String)>,
}

impl Wanted {
    /// Reads the text of `q=`; `now` is what `since:2h` counts from.
    pub fn parse(text: &str, now: i64) -> Result<Self, Problem> {
        let words = words(text)?;
        let mut wanted = Wanted::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &words {
            if seen.contains(&name.as_str()) {
                return Err(Problem::query("q", format!("names {name} twice")));
            }
            seen.push(name);
            if !value.is_empty() {
                wanted.narrow(name, value, now)?;
            }
        }
        Ok(wanted)
    }

    fn narrow(&mut self, name: &str, value: &str, now: i64) -> Result<(), Problem> {
        let filter = &mut self.filter;
        match name {
            "state" => {
                let state = State::parse(value).ok_or_else(|| Problem::query("q", format!("{value} is not a state")))?;
                filter.state = state.as_str().to_owned();
            }
            "kind" => filter.kind = value.to_owned(),
            "queue" => filter.queue = value.to_owned(),
            "key" => filter.key = value.to_owned(),
            "tag" => filter.tag = value.to_owned(),
            "tenant" => self.tenant = Some(value.to_owned()),
            "since" => {
                let at = times::span(value).map(|span| now - span).or_else(|| times::parse(value));
                filter.since = at.ok_or_else(|| Problem::query("q", "since wants 90s, 15m, 2h, 7d or an RFC 3339 time"))?.max(0);
            }
            _ => {
                let path = name.strip_prefix("args.").filter(|p| !p.is_empty() && !p.split('.').any(str::is_empty));
                let path = path.ok_or_else(|| Problem::query("q", format!("{name} is not a name to filter by")))?;
                self.args.push((path.split('.').map(str::to_owned).collect(), value.to_owned()));
            }
        }
        Ok(())
    }

    /// Whether the store finds more than is wanted, so that what it found must be looked at with [`Wanted::fits`].
    pub fn is_coarse(&self) -> bool {
        !self.args.is_empty() || !self.filter.tag.is_empty()
    }

    /// Whether a job's tags and args have what is wanted of them, to the letter.
    pub fn fits(&self, job: &Job) -> bool {
        let tag = &self.filter.tag;
        let tagged = tag.is_empty() || job.tags.as_array().is_some_and(|tags| tags.iter().any(|t| t.as_str() == Some(tag)));
        tagged && self.args.iter().all(|(path, value)| member(&job.args, path).is_some_and(|found| is(found, value)))
    }
}

fn member<'j>(args: &'j Json, path: &[String]) -> Option<&'j Json> {
    path.iter().try_fold(args, |value, name| match value {
        Json::Object(fields) => fields.get(name),
        Json::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn is(found: &Json, value: &str) -> bool {
    match found {
        Json::String(text) => text == value,
        other => serde_json::from_str::<Json>(value).is_ok_and(|wanted| wanted == *other),
    }
}

/// `name:value` and `name:"value with \" and blanks"`, separated by blanks.
fn words(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let wrong = |detail: &str| Problem::query("q", detail);
    if text.len() > TEXT_MAX {
        return Err(wrong("is too long"));
    }
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once(':').ok_or_else(|| wrong("wants words like state:dead"))?;
        if name.is_empty() || name.contains(char::is_whitespace) || name.contains('"') {
            return Err(wrong("wants words like state:dead"));
        }
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or_else(|| wrong("has a quotation mark that is not closed"))?,
            None => {
                let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
                (behind[..end].to_owned(), &behind[end..])
            }
        };
        if !behind.is_empty() && !behind.starts_with(char::is_whitespace) {
            return Err(wrong("wants a blank after a quoted value"));
        }
        words.push((name.to_owned(), value));
        rest = behind.trim_start();
    }
    if words.len() > WORDS_MAX { Err(wrong("has too many words")) } else { Ok(words) }
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10_000_000_000;

    #[test]
    fn words_become_a_filter() {
        let q = r#"  state:dead kind:email queue: tag:a"b tenant:acme since:2h args.to.name:"a \"b\" c" args.n:7 "#;
        let wanted = Wanted::parse(q, NOW).unwrap();
        assert_eq!((wanted.filter.state.as_str(), wanted.filter.kind.as_str(), wanted.filter.queue.as_str()), ("dead", "email", ""));
        assert_eq!(
            (wanted.filter.tag.as_str(), wanted.filter.since, wanted.tenant.as_deref()),
            ("a\"b", NOW - 7_200_000_000, Some("acme"))
        );
        assert_eq!(wanted.args[0], (vec!["to".to_owned(), "name".to_owned()], "a \"b\" c".to_owned()));
        assert_eq!(wanted.args[1].1, "7");
        assert!(Wanted::parse("", NOW).unwrap().args.is_empty());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for q in [
            "dead",
            "state:gone",
            "state:dead state:dead",
            "since:2w",
            ":x",
            "colour:red",
            "args.:x",
            "args..a:x",
            "key:\"x",
            "key:\"x\"y",
            "a b:c",
        ] {
            assert!(Wanted::parse(q, NOW).is_err(), "{q}");
        }
    }

    #[test]
    fn members_of_args_are_found_by_path() {
        let args = serde_json::json!({"to": [{"name": "x"}], "n": 7, "on": true});
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert!(is(member(&args, &path("to.0.name")).unwrap(), "x"));
        assert!(is(member(&args, &path("n")).unwrap(), "7") && is(member(&args, &path("on")).unwrap(), "true"));
        assert!(member(&args, &path("to.1.name")).is_none() && member(&args, &path("n.x")).is_none());
    }
}
