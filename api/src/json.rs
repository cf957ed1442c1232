//! Reading JSON that a stranger wrote: what two parsers could read differently, or what a store cannot hold, is refused.
//!
//! Refused are a name that occurs twice in one object, NUL in any text, lone surrogates, nesting beyond 32 levels,
//! numbers of 2⁶³ and more, and anything after the value.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use std::fmt;

/// Objects and arrays inside one another.
const DEPTH_MAX: usize = 32;
/// The smallest number that is too large.
const NUMBER_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// The value of `raw`, or a fragment that says what is wrong with it.
pub fn read(raw: &[u8]) -> Result<Json, String> {
    let text = std::str::from_utf8(raw).map_err(|_| "is not UTF-8".to_owned())?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(|e| format!("is not acceptable JSON: {e}"))?;
    reader.end().map_err(|_| "has something after the JSON value".to_owned())?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: Error>(self) -> Result<Strict, E> {
        if self.depth == DEPTH_MAX { Err(E::custom("nested too deep")) } else { Ok(Strict { depth: self.depth + 1 }) }
    }
}

fn clean<E: Error>(text: &str) -> Result<&str, E> {
    if text.contains('\0') { Err(E::custom("a text contains NUL")) } else { Ok(text) }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Json, E> {
        Ok(v.into())
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Json, E> {
        Ok(v.into())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Json, E> {
        i64::try_from(v).map(Into::into).map_err(|_| E::custom("a number is too large"))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Json, E> {
        if v.abs() < NUMBER_LIMIT { Ok(v.into()) } else { Err(E::custom("a number is too large")) }
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Json, E> {
        clean(v).map(Into::into)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            clean::<A::Error>(&name)?;
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} occurs twice in one object")));
            }
            fields.insert(name, map.next_value_seed(inner)?);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_json_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,2.5,1e3,null,true,"é😀\ud83d\ude00"],"b":{"c":9223372036854775807}}"#;
        assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Json>(text).unwrap());
    }

    #[test]
    fn what_parsers_disagree_about_is_refused() {
        let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
        let fine = format!("{}1{}", "[".repeat(32), "]".repeat(32));
        assert!(read(fine.as_bytes()).is_ok());
        let bad: [&[u8]; 13] = [
            br#"{"a":1,"a":1}"#,
            br#"{"x":{"a":1,"\u0061":2}}"#,
            br#"{"a":"\u0000"}"#,
            br#"{"\u0000":1}"#,
            br#"{"a":"\ud800"}"#,
            b"{\"a\":\"\xff\"}",
            br#"{"a":1} x"#,
            br#"{"a":1e999}"#,
            br#"{"a":9223372036854775808}"#,
            br#"{"a":-1e19}"#,
            b"",
            b"NaN",
            deep.as_bytes(),
        ];
        for raw in bad {
            assert!(read(raw).is_err(), "{}", String::from_utf8_lossy(raw));
        }
    }
}
