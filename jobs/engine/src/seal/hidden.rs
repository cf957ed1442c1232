//! What must not be said of a job whose args are sealed: their values, wherever an error or a line repeats one.

use serde_json::Value as Json;

/// Shorter ones are words and counts that would be found everywhere.
const LETTERS_MIN: usize = 4;
/// What stands in their place.
const MASK: &str = "***";

/// Texts and numbers of some args. Shows nothing of them.
#[derive(Clone, Default)]
pub struct Hidden {
    values: Vec<String>,
}

impl Hidden {
    /// Everything in `args`, the longest first, so that no part of one is left behind.
    pub fn of(args: &Json) -> Self {
        let mut values = Vec::new();
        gather(args, &mut values);
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { values }
    }

    /// Whether it hides nothing.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `text` without them.
    pub fn without(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, value| text.replace(value, MASK))
    }
}

fn gather(args: &Json, values: &mut Vec<String>) {
    match args {
        Json::String(text) => {
            keep(text.clone(), values);
            // as a decoder or a debugger quotes it
            let quoted = Json::String(text.clone()).to_string();
            keep(quoted[1..quoted.len() - 1].to_owned(), values);
        }
        Json::Number(number) => keep(number.to_string(), values),
        Json::Array(items) => items.iter().for_each(|item| gather(item, values)),
        Json::Object(fields) => fields.values().for_each(|value| gather(value, values)),
        Json::Null | Json::Bool(_) => {}
    }
}

fn keep(value: String, values: &mut Vec<String>) {
    if value.chars().count() >= LETTERS_MIN {
        values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_taken_out_of_a_text() {
        let hidden = Hidden::of(&json!({"card": "4111 \"x\"", "owner": {"pin": 98765, "tags": ["a", "alpha", "alphabet"]}}));
        let text = r#"card 4111 "x" (or 4111 \"x\") of pin 98765, a, alphabet, alpha"#;
        assert_eq!(hidden.without(text), "card *** (or ***) of pin ***, a, ***, ***");
        assert!(Hidden::of(&json!({"n": 1, "on": true})).is_empty());
    }
}
