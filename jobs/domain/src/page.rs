//! Keyset pages: every list is ordered, limited and continued from the last item seen.

use crate::refusal::Problem;
use clawr_engine::db::{Row, Rows, Value};

/// The most a list answers at once.
pub const LIMIT_MAX: i64 = 200;

/// Where a list goes on and how much it answers.
#[derive(Clone, Debug)]
pub struct Page {
    limit: i64,
    after: String,
}

impl Page {
    /// `limit` between 1 and 200 (50 if not given), after the item `cursor` names.
    pub fn new(limit: Option<i64>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(50);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::invalid("invalid_limit", "/limit", format!("must be between 1 and {LIMIT_MAX}")));
        }
        let after = cursor.unwrap_or_default();
        if after.len() > 256 || after.chars().any(char::is_control) {
            return Err(Problem::invalid("invalid_cursor", "/cursor", "is not a cursor of this list"));
        }
        Ok(Self { limit, after: after.to_owned() })
    }

    /// The cursor as a parameter: empty for the first page.
    pub(crate) fn after(&self) -> Value {
        self.after.as_str().into()
    }

    /// One more than asked for, to know whether there is more.
    pub(crate) fn fetch(&self) -> Value {
        (self.limit + 1).into()
    }

    /// Rows as a page of items; `cursor` names an item.
    pub(crate) fn listed<T>(
        &self,
        rows: Rows,
        item: impl Fn(&Row) -> Result<T, clawr_engine::db::DbError>,
        cursor: impl Fn(&T) -> String,
    ) -> Result<Listed<T>, Problem> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let items = rows.iter().take(limit).map(item).collect::<Result<Vec<T>, _>>()?;
        let next = if more { items.last().map(cursor) } else { None };
        Ok(Listed { items, next })
    }
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 50, after: String::new() }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// What a create did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created<T> {
    /// It is new.
    New(T),
    /// It was there already, with the same content.
    Existing(T),
}

impl<T> Created<T> {
    /// The object, new or not.
    pub fn into_inner(self) -> T {
        match self {
            Created::New(t) | Created::Existing(t) => t,
        }
    }

    /// True if this call made it.
    pub fn is_new(&self) -> bool {
        matches!(self, Created::New(_))
    }
}
