//! Pages of lists at the edge: `?limit=` and a cursor that says nothing to whoever holds it.

use crate::problem::Problem;
use crate::query::Query;
use axum::Json;
use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clawr_domain::page::{LIMIT_MAX, Listed, Page};
use serde_json::{Value, json};

/// How many items, after which.
pub struct Wanted {
    /// 1 to 200.
    pub limit: i64,
    /// The last item of the page before; empty for the first page.
    pub after: String,
}

impl Wanted {
    /// Takes `limit` and `cursor`.
    pub fn take(query: &mut Query) -> Result<Self, Problem> {
        let limit = match query.take("limit") {
            Some(text) => text.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n)).ok_or_else(wrong_limit)?,
            None => 50,
        };
        let after = match query.take("cursor") {
            Some(text) => decoded(&text).ok_or_else(|| Problem::query("cursor", "is not a cursor of this list"))?,
            None => String::new(),
        };
        Ok(Self { limit, after })
    }

    /// The same, as the domain takes it.
    pub fn page(query: &mut Query) -> Result<Page, Problem> {
        let wanted = Self::take(query)?;
        let after = (!wanted.after.is_empty()).then_some(wanted.after.as_str());
        let refused = |error| Problem::from(error).with_status(StatusCode::BAD_REQUEST);
        Page::new(Some(wanted.limit), after).map_err(refused)
    }
}

fn wrong_limit() -> Problem {
    Problem::query("limit", format!("must be an integer from 1 to {LIMIT_MAX}"))
}

fn decoded(cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok().filter(|t| !t.is_empty() && t.len() <= 256 && !t.chars().any(char::is_control))
}

fn encoded(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(after)
}

/// A page as it is answered.
pub fn answer<T>(listed: Listed<T>, shown: impl Fn(T) -> Value) -> Json<Value> {
    page_of(listed.items.into_iter().map(shown).collect(), listed.next.as_deref())
}

/// Items and where the next page begins.
pub fn page_of(items: Vec<Value>, next: Option<&str>) -> Json<Value> {
    Json(json!({"items": items, "next": next.map(encoded)}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, Problem> {
        Wanted::take(&mut Query::parse(query).unwrap())
    }

    #[test]
    fn a_cursor_comes_back_as_the_item_it_names() {
        let id = "job_0193f0a0-0000-7000-8000-000000000000";
        let again = wanted(&format!("limit=7&cursor={}", encoded(id))).unwrap();
        assert_eq!((again.limit, again.after.as_str()), (7, id));
        assert!(!encoded(id).contains("job"));
        assert_eq!(wanted("").map(|w| (w.limit, w.after)).unwrap(), (50, String::new()));
    }

    #[test]
    fn other_limits_and_cursors_are_refused() {
        for query in ["limit=0", "limit=201", "limit=x", "limit=", "cursor=", "cursor=!", "cursor=AA", "cursor=_w"] {
            assert_eq!(wanted(query).err().map(|p| p.status), Some(StatusCode::BAD_REQUEST), "{query}");
        }
    }
}
