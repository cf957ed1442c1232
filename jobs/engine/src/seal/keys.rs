//! The keys that wrap the data keys of sealed args. A text of lines `id key`: the first is used for new jobs, all open old
//! ones. A key is 64 hexadecimal digits; blank lines and those that begin with `#` do not count.

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use std::fmt;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Letters of a key's id.
const ID_MAX: usize = 32;

/// One key with its id.
pub(super) struct Key {
    pub id: String,
    /// Never wraps twice under one nonce by chance alone, and if it did only equal data keys would show.
    pub aead: LessSafeKey,
}

/// The keys of a process, the current one first. Shows ids only.
#[derive(Default)]
pub struct KeyRing {
    keys: Vec<Key>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl KeyRing {
    /// Reads the text of a keys file; every fault names its line and shows nothing of a key.
    pub fn parse(text: &str) -> Result<KeyRing, Vec<String>> {
        let (mut keys, mut seen, mut faults) = (Vec::new(), Vec::<(usize, String, Vec<u8>)>::new(), Vec::new());
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            match read(line) {
                Err(why) => faults.push(format!("line {at} {why}")),
                Ok((id, bytes)) => {
                    if let Some((first, ..)) = seen.iter().find(|(_, other, _)| *other == id) {
                        faults.push(format!("line {at} has the id {id}, which line {first} has already"));
                    } else if let Some((first, ..)) = seen.iter().find(|(.., other)| *other == bytes) {
                        faults.push(format!("line {at} has the same key as line {first}"));
                    } else if let Ok(unbound) = UnboundKey::new(&AES_256_GCM_SIV, &bytes) {
                        keys.push(Key { id: id.clone(), aead: LessSafeKey::new(unbound) });
                    }
                    seen.push((at, id, bytes));
                }
            }
        }
        if seen.is_empty() && faults.is_empty() {
            faults.push("holds no key".to_owned());
        }
        if faults.is_empty() { Ok(KeyRing { keys }) } else { Err(faults) }
    }

    /// The ids, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether it has the key of this id.
    pub fn has(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    pub(super) fn current(&self) -> Option<&Key> {
        self.keys.first()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

fn read(line: &str) -> Result<(String, Vec<u8>), String> {
    let mut words = line.split_whitespace();
    let (Some(id), Some(key), None) = (words.next(), words.next(), words.next()) else {
        return Err("must be an id and a key, separated by a blank".to_owned());
    };
    let is_id = id.len() <= ID_MAX && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !is_id {
        return Err(format!("has an id that is not 1 to {ID_MAX} letters, digits, '.', '_' or '-'"));
    }
    let digits = key.len();
    let bytes = unhex(key).filter(|bytes| bytes.len() == KEY_BYTES);
    let bytes = bytes.ok_or_else(|| format!("has a key of {digits} characters; a key is {} hexadecimal digits", 2 * KEY_BYTES))?;
    Ok((id.to_owned(), bytes))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, digit: char) -> String {
        format!("{id} {}\n", digit.to_string().repeat(64))
    }

    #[test]
    fn the_first_key_is_the_current_one_and_all_are_known() {
        let text = format!("# keys\n\n{}{}", line("new", 'a'), line("old-1", 'b'));
        let ring = KeyRing::parse(&text).unwrap();
        assert_eq!(ring.ids().collect::<Vec<_>>(), ["new", "old-1"]);
        assert!(ring.has("old-1") && !ring.has("older") && ring.current().is_some_and(|key| key.id == "new"));
        assert_eq!(format!("{ring:?}"), r#"["new", "old-1"]"#);
    }

    #[test]
    fn every_fault_names_its_line_and_no_key() {
        let faults = |text: &str| KeyRing::parse(text).unwrap_err();
        let short = format!("# c\na {}\nb zz\n", "1".repeat(62));
        let size = |line, n| format!("line {line} has a key of {n} characters; a key is 64 hexadecimal digits");
        assert_eq!(faults(&short), [size(2, 62), size(3, 2)]);
        assert_eq!(faults(&(line("a", '1') + &line("a", '2'))), ["line 2 has the id a, which line 1 has already"]);
        assert_eq!(faults(&(line("a", '1') + &line("b", '1'))), ["line 2 has the same key as line 1"]);
        assert_eq!(faults("a b c"), ["line 1 must be an id and a key, separated by a blank"]);
        assert!(faults(&line("ä", '1'))[0].starts_with("line 1 has an id that is not"));
        assert_eq!(faults("# nothing\n"), ["holds no key"]);
        assert_eq!(faults(&format!("a {}", "é".repeat(32))), [size(1, 64)]);
    }
}
