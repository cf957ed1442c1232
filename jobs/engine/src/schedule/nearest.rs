//! The known word that a misspelt one was probably meant to be.

use strsim::levenshtein;

/// The word that differs from `word` in few letters, if one does; `known` is ASCII.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (word.chars().count() / 4).clamp(1, 4);
    let known = known.filter(|name| name.len().abs_diff(word.chars().count()) <= reach);
    known.map(|name| (levenshtein(&name.to_lowercase(), word), name)).min().filter(|(far, _)| *far <= reach).map(|(_, name)| name)
}
