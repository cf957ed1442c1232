//! What a job's start weighs against rates, and by what key limits count it.

use crate::limits::CAP_MAX;
use serde_json::Value as Json;

/// Longest key, bytes.
const KEY_MAX: usize = 200;

/// What the start of a job weighs against rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// Each as much; from 1 to 1,000,000.
    Each(i64),
    /// What the field of the args at this JSON pointer says; from 1 to 1,000,000.
    Field(&'static str),
}

/// Refuses impossible weights, in a constant and so when compiled.
///
/// ```compile_fail
/// use clawr_engine::kind::{Units, check_units};
/// const _: () = check_units(Units::Each(0));
/// ```
pub const fn check_units(units: Units) {
    match units {
        Units::Each(n) => assert!(n >= 1 && n <= CAP_MAX, "units: a start weighs from 1 to 1000000"),
        Units::Field(pointer) => super::check_pointers(&[pointer]),
    }
}

/// What is wrong with a field of the args.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("args{pointer} {why}")]
pub struct FieldFault {
    /// JSON pointer into the args.
    pub pointer: &'static str,
    /// What is wrong with it, to be read after its name.
    pub why: &'static str,
}

impl Units {
    /// What a job with these args weighs.
    pub(super) fn of(self, args: &Json) -> Result<i64, FieldFault> {
        match self {
            Units::Each(n) => Ok(n),
            Units::Field(pointer) => {
                let units = args.pointer(pointer).and_then(Json::as_i64).filter(|n| (1..=CAP_MAX).contains(n));
                units.ok_or(FieldFault { pointer, why: "must be an integer from 1 to 1000000: jobs of this kind weigh that much" })
            }
        }
    }
}

/// The key of a job with these args: text as it is, numbers and truth values as JSON.
pub(super) fn key_of(pointer: Option<&'static str>, args: &Json) -> Result<String, FieldFault> {
    let Some(pointer) = pointer else { return Ok(String::new()) };
    let key = match args.pointer(pointer) {
        Some(Json::String(text)) => text.clone(),
        Some(value @ (Json::Number(_) | Json::Bool(_))) => value.to_string(),
        _ => String::new(),
    };
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(FieldFault { pointer, why: "must be 1 to 200 bytes of text, or a number: limits count jobs of this kind by it" });
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn weight_and_key_come_from_the_args_or_are_refused_by_name() {
        let args = json!({"n": 7, "to": "0xabc", "zero": 0, "empty": "", "long": "x".repeat(201), "list": []});
        assert_eq!((Units::Each(3).of(&args), Units::Field("/n").of(&args)), (Ok(3), Ok(7)));
        assert_eq!(
            (key_of(None, &args), key_of(Some("/to"), &args), key_of(Some("/n"), &args)),
            (Ok(String::new()), Ok("0xabc".into()), Ok("7".into()))
        );
        for wrong in ["/zero", "/to", "/none"] {
            assert_eq!(Units::Field(wrong).of(&args).unwrap_err().pointer, wrong);
        }
        for wrong in ["/empty", "/long", "/list", "/none"] {
            assert_eq!(key_of(Some(wrong), &args).unwrap_err().pointer, wrong);
        }
    }
}
