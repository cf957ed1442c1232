//! What is wrong with a schedule, and where.

use std::ops::Range;

/// A schedule that cannot be read: a sentence, the field it speaks of, and the place in the text that was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// `minute`, `day of week`, `expression`, `zone`, `every`, …
    pub field: &'static str,
    /// Bytes of [`Fault::text`] that are wrong; empty where something is missing.
    pub at: Range<usize>,
    /// What was given.
    pub text: String,
    /// A lowercase sentence for people, without a full stop.
    pub message: String,
}

impl Fault {
    /// About the bytes `at` of `text`.
    pub fn new(field: &'static str, text: &str, at: Range<usize>, message: impl Into<String>) -> Self {
        Self { field, at, text: text.to_owned(), message: message.into() }
    }

    /// About all of `text`.
    pub fn whole(field: &'static str, text: &str, message: impl Into<String>) -> Self {
        Self::new(field, text, 0..text.len(), message)
    }

    /// Two lines: what was given, and carets under what is wrong followed by the message. Control characters are shown
    /// as blanks, so that the carets stand where they should.
    pub fn shown(&self) -> String {
        let line: String = self.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (before, bad) = (self.letters(0..self.at.start), self.letters(self.at.clone()).max(1));
        format!("{line}\n{}{} {}", " ".repeat(before), "^".repeat(bad), self.message)
    }

    fn letters(&self, bytes: Range<usize>) -> usize {
        self.text.char_indices().filter(|(at, _)| bytes.contains(at)).count()
    }
}
