//! Query parameters, strictly: each at most once, none that the route does not know, text that is UTF-8.

use crate::api::Api;
use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The parameters of one request, taken one by one.
#[derive(Debug, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the part behind the question mark.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                return Err(Problem::query("", "the query is not percent-encoded UTF-8 without NUL"));
            };
            if pairs.iter().any(|(n, _)| *n == name) {
                return Err(Problem::query(&name, "is given twice"));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The value of `name`, if it is given.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(n, _)| n == name)?;
        Some(self.pairs.swap_remove(at).1)
    }

    /// Nothing else may be given.
    pub fn finish(self) -> Result<(), Problem> {
        match self.pairs.first() {
            Some((name, _)) => Err(Problem::query(name, "is not a parameter of this route")),
            None => Ok(()),
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? * 16 + hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|t| !t.contains('\0'))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

impl FromRequestParts<Api> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// For routes that take no parameters at all.
pub struct NoQuery;

impl FromRequestParts<Api> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        Query::parse(parts.uri.query().unwrap_or_default())?.finish().map(|()| NoQuery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once_each() {
        let mut query = Query::parse("q=state%3Adead+kind:email&limit=5&&empty=").unwrap();
        assert_eq!(query.take("q").as_deref(), Some("state:dead kind:email"));
        assert_eq!(query.take("empty").as_deref(), Some(""));
        assert_eq!(query.take("cursor"), None);
        assert!(query.finish().is_err(), "limit was not taken");
    }

    #[test]
    fn doubles_and_bad_encodings_are_refused() {
        for text in ["a=1&a=1", "a=1&%61=2", "a=%", "a=%2", "a=%zz", "a=%ff", "a=%00", "%00=1"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }
}
