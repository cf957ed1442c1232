//! The known word that a misspelt one was probably meant to be.

/// The word that differs from `word` in few letters, if one does; `known` is ASCII.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let reach = (word.chars().count() / 4).clamp(1, 4);
    let known = known.filter(|name| name.len().abs_diff(word.chars().count()) <= reach);
    known.map(|name| (distance(&name.to_lowercase(), word), name)).min().filter(|(far, _)| *far <= reach).map(|(_, name)| name)
}

/// How many letters must be added, dropped or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
