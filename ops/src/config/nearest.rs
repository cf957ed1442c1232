//! The known word that a misspelt one was probably meant to be.

use super::keys::KEYS;
use strsim::levenshtein;

/// The setting nearest to `path`, if any is near: few letters differ, or it is right but for its section.
pub fn nearest(path: &str) -> Option<&'static str> {
    let last = |p: &str| p.rsplit('.').next().unwrap_or_default().to_owned();
    let same_name = KEYS.iter().find(|key| last(key.path) == last(path));
    let closest = KEYS.iter().map(|key| (levenshtein(key.path, path), key.path)).min()?;
    let reach = (path.chars().count() / 4).clamp(1, 4);
    if closest.0 <= reach { Some(closest.1) } else { same_name.map(|key| key.path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        assert_eq!(nearest("http.lisen"), Some("http.listen"));
        assert_eq!(nearest("store.uri"), Some("store.url"));
        assert_eq!(nearest("workers.queue"), Some("workers.queues"));
        assert_eq!(nearest("treasury"), Some("chain.treasury"));
        assert_eq!(nearest("cookies.flavour"), None);
    }
}
