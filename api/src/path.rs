//! Names in paths. One that nothing can have is simply not there.

use crate::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The one name of a path: an id or a slug.
pub struct Id(pub String);

/// Two names of a path: tenant and API.
pub struct Pair(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id: String = names(parts, state).await?;
        sane(&id)?;
        Ok(Id(id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Pair {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (first, second): (String, String) = names(parts, state).await?;
        sane(&first)?;
        sane(&second)?;
        Ok(Pair(first, second))
    }
}

async fn names<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<T, Problem> {
    Path::<T>::from_request_parts(parts, state).await.map(|Path(names)| names).map_err(|_| Problem::not_found("object"))
}

fn sane(name: &str) -> Result<(), Problem> {
    if name.len() <= 128 && !name.chars().any(char::is_control) { Ok(()) } else { Err(Problem::not_found("object")) }
}
