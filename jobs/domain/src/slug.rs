//! Names in addresses: what tenants and APIs are called in URLs, reports and account lists.

use crate::refusal::FieldError;

/// `[a-z0-9-]{1,63}`.
pub(crate) fn check(slug: &str, pointer: &str, errors: &mut Vec<FieldError>) {
    let plain = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !(1..=63).contains(&slug.len()) || !plain {
        errors.push(FieldError::new(pointer, "must be 1 to 63 lower-case letters, digits or hyphens"));
    }
}

/// A free text for people: bounded, on one line.
pub(crate) fn check_text(text: &str, max: usize, pointer: &str, errors: &mut Vec<FieldError>) {
    if text.chars().count() > max || text.chars().any(char::is_control) {
        errors.push(FieldError::new(pointer, format!("must be one line of at most {max} characters")));
    }
}
