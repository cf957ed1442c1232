//! Whose data a query may see. Every read and commit takes one; on Postgres it also becomes `app.tenant`, which the
//! row security policies check, so a forgotten `where` shows nothing instead of everything.

use super::Value;

/// Made from a credential, never from a request body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The system itself: workers, duties, global keys.
    System,
    /// One tenant, by id.
    Tenant(String),
}

impl Scope {
    /// The value that scoped SQL compares with: `*` or the tenant's id. Scoped files read
    /// `($1 = '*' or tenant_id = $1)`.
    pub fn param(&self) -> Value {
        match self {
            Scope::System => "*".into(),
            Scope::Tenant(id) => id.as_str().into(),
        }
    }

    /// The tenant's id, if the scope is one tenant.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Scope::System => None,
            Scope::Tenant(id) => Some(id),
        }
    }
}
