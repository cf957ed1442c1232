//! The four permissions. None implies another: a key that may deploy cannot read unless it says so.

use crate::refusal::Problem;

/// One thing a credential may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Look.
    Read,
    /// Make and change what belongs to its tenant.
    Write,
    /// Keys, limits, approvals.
    Admin,
    /// Deploys and rollbacks.
    Deploy,
}

impl Permission {
    /// All four.
    pub const ALL: [Permission; 4] = [Permission::Read, Permission::Write, Permission::Admin, Permission::Deploy];

    /// The stored and shown word.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Admin => "admin",
            Permission::Deploy => "deploy",
        }
    }
}

/// A set of permissions, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Scopes(Vec<Permission>);

impl Scopes {
    /// From words; at least one, no unknown ones.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Scopes, Problem> {
        let mut found = Vec::new();
        for (i, word) in words.into_iter().enumerate() {
            let known = Permission::ALL.into_iter().find(|p| p.as_str() == word);
            let bad = || Problem::invalid("invalid_scope", &format!("/scopes/{i}"), "must be read, write, admin or deploy");
            found.push(known.ok_or_else(bad)?);
        }
        found.sort();
        found.dedup();
        if found.is_empty() {
            return Err(Problem::invalid("invalid_scope", "/scopes", "must name at least one of read, write, admin, deploy"));
        }
        Ok(Scopes(found))
    }

    /// Whether `permission` is one of them.
    pub fn allows(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }

    /// The permissions in order.
    pub fn iter(&self) -> impl Iterator<Item = Permission> + '_ {
        self.0.iter().copied()
    }

    /// As stored: `read,write`. A word nobody knows (only a hand can have written it) permits nothing.
    pub(super) fn stored(text: &str) -> Scopes {
        Scopes(Permission::ALL.into_iter().filter(|p| text.split(',').any(|word| word == p.as_str())).collect())
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_do_not_imply_one_another() {
        let scopes = Scopes::parse(["admin", "read", "admin"]).unwrap();
        assert_eq!(scopes.to_string(), "read,admin");
        assert_eq!(Scopes::stored("read,admin,root"), scopes);
        let allowed = Permission::ALL.map(|p| scopes.allows(p));
        assert_eq!(allowed, [true, false, true, false]);
        assert!(Scopes::parse([]).is_err() && Scopes::parse(["Read"]).is_err());
    }
}
