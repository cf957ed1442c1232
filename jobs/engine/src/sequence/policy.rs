//! Which sequence a job is in: the one it names, or one that its kind takes from its args.

use serde_json::Value as Json;

/// Most bytes of a sequence's key.
pub const KEY_MAX: usize = 200;

/// What a dead job means for those behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDead {
    /// They wait until somebody has decided.
    #[default]
    Blocks,
    /// They go on.
    GoesOn,
}

/// How a kind's jobs are put in sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// JSON pointers into the args: jobs of the kind and tenant in which these are equal form a sequence. None = only jobs
    /// that name a sequence are in one.
    pub by: &'static [&'static str],
    /// What a dead one means for those behind it, in whichever sequence it is.
    pub on_dead: OnDead,
}

impl Sequenced {
    /// Jobs of the kind are in the sequences they name, and a dead one blocks.
    pub const AS_NAMED: Self = Self { by: &[], on_dead: OnDead::Blocks };

    /// By fields of the args; a dead one blocks.
    pub const fn by(pointers: &'static [&'static str]) -> Self {
        Self { by: pointers, ..Self::AS_NAMED }
    }

    /// The sequence of a job of kind `family` with these args that names this one, or where the fault is and what.
    pub fn of(&self, family: &str, named: Option<String>, args: &Json) -> Result<Option<Sequence>, (String, &'static str)> {
        if self.by.is_empty() {
            return named.map(|key| self.named(key)).transpose();
        }
        if named.is_some() {
            return Err(("/sequence".into(), "comes from the args of jobs of this kind"));
        }
        let fields = self.by.iter().map(|pointer| field(pointer, args)).collect::<Result<Vec<_>, _>>()?;
        let key = format!("{family}/{}", fields.join("/"));
        match fault(&key) {
            Some(_) => Err((format!("/args{}", self.by[0]), "is too long, and jobs of this kind run in sequence by it")),
            None => Ok(Some(Sequence { key, on_dead: self.on_dead, is_named: false })),
        }
    }

    fn named(&self, key: String) -> Result<Sequence, (String, &'static str)> {
        match fault(&key) {
            Some(why) => Err(("/sequence".into(), why)),
            None => Ok(Sequence { key, on_dead: self.on_dead, is_named: true }),
        }
    }
}

/// A field as a part of a key. `/` and `%` are written otherwise, so that no two lists of fields look alike.
fn field(pointer: &str, args: &Json) -> Result<String, (String, &'static str)> {
    let wrong = |why| (format!("/args{pointer}"), why);
    match args.pointer(pointer) {
        None => Err(wrong("is missing, and jobs of this kind run in sequence by it")),
        Some(Json::String(text)) if text.chars().any(char::is_control) => {
            Err(wrong("has control characters, and jobs of this kind run in sequence by it"))
        }
        Some(Json::String(text)) if !text.is_empty() => Ok(text.replace('%', "%25").replace('/', "%2F")),
        Some(value @ (Json::Number(_) | Json::Bool(_))) => Ok(value.to_string()),
        Some(_) => Err(wrong("must be a text, a number, true or false: jobs of this kind run in sequence by it")),
    }
}

fn fault(key: &str) -> Option<&'static str> {
    let is_odd = !(1..=KEY_MAX).contains(&key.len()) || key.chars().any(char::is_control);
    is_odd.then_some("must be a text of 1 to 200 bytes without control characters")
}

/// Refuses impossible policies, in a constant and so when compiled.
///
/// A view shows the key of a sequence, so a masked field cannot be part of one.
///
/// ```compile_fail
/// use clawr_engine::kind::{Kind, Registry};
/// struct Secret;
/// impl Kind<()> for Secret {
///     const KIND: &'static str = "secret";
///     const QUEUE: &'static str = "q";
///     const MASKED: &'static [&'static str] = &["/to"];
///     const SEQUENCE: clawr_engine::sequence::Sequenced = clawr_engine::sequence::Sequenced::by(&["/to"]);
///     type Args = serde_json::Value;
///     fn policy() -> clawr_engine::kind::Policy { Default::default() }
///     async fn run(_: Self::Args, _: clawr_engine::kind::Run, _: ()) -> anyhow::Result<clawr_engine::kind::Finish> { unreachable!() }
/// }
/// fn main() { Registry::builder().with::<Secret>(); }
/// ```
pub(crate) const fn check(sequenced: Sequenced, masked: &[&str]) {
    crate::kind::check_pointers(sequenced.by);
    let mut at = 0;
    while at < sequenced.by.len() {
        let mut other = 0;
        while other < masked.len() {
            assert!(!starts_with(sequenced.by[at].as_bytes(), masked[other].as_bytes()), "a sequence shows a masked field");
            other += 1;
        }
        at += 1;
    }
}

/// Whether a pointer is another one, or points into what that points to.
const fn starts_with(pointer: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < other.len() {
        if at >= pointer.len() || pointer[at] != other[at] {
            return false;
        }
        at += 1;
    }
    pointer.len() == other.len() || pointer[at] == b'/'
}

/// The sequence a job is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Its name within the tenant.
    pub key: String,
    /// What its death means for those behind it.
    pub on_dead: OnDead,
    /// Whether whoever made the job chose it; otherwise it follows from the args.
    pub(crate) is_named: bool,
}

impl Sequence {
    /// The sequence of this name, which a dead job blocks.
    pub fn named(key: &str) -> Self {
        Self { key: key.into(), on_dead: OnDead::Blocks, is_named: true }
    }

    /// The same, but those behind the job go on when it is dead.
    pub fn going_on(self) -> Self {
        Self { on_dead: OnDead::GoesOn, ..self }
    }

    /// What is wrong with its key.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        fault(&self.key)
    }

    pub(crate) fn passes(&self) -> i64 {
        i64::from(self.on_dead == OnDead::GoesOn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BY_TWO: Sequenced = Sequenced::by(&["/account", "/n"]);

    fn key(args: &Json) -> Result<String, String> {
        BY_TWO.of("k", None, args).map(|sequence| sequence.expect("by fields").key).map_err(|(field, _)| field)
    }

    #[test]
    fn a_field_makes_the_key_and_what_is_wrong_with_it_is_named() {
        assert_eq!(key(&json!({"account": "ada", "n": 7, "more": 1})).as_deref(), Ok("k/ada/7"));
        assert_ne!(key(&json!({"account": "a/7", "n": 7})), key(&json!({"account": "a", "n": "7/7"})));
        assert_eq!(key(&json!({"account": "a%2F", "n": true})).as_deref(), Ok("k/a%252F/true"));
        for wrong in [json!({"n": 1}), json!({"account": null, "n": 1}), json!({"account": "", "n": 1}), json!({"account": ["a"], "n": 1})]
        {
            assert_eq!(key(&wrong), Err("/args/account".into()), "{wrong}");
        }
        for wrong in ["a\n".to_owned(), "a".repeat(KEY_MAX)] {
            assert_eq!(key(&json!({"account": wrong, "n": 1})), Err("/args/account".into()));
        }
        assert_eq!(key(&json!({"account": "a"})), Err("/args/n".into()));
        assert_eq!(BY_TWO.of("k", Some("x".into()), &json!({})).map_err(|(field, _)| field), Err("/sequence".into()));
    }

    #[test]
    fn a_name_is_a_short_text() {
        let of = |named: &str| Sequenced::AS_NAMED.of("k", Some(named.into()), &Json::Null).map_err(|(field, _)| field);
        assert_eq!(of("order 7"), Ok(Some(Sequence::named("order 7"))));
        for wrong in [String::new(), "a\n".into(), "é".repeat(101)] {
            assert_eq!(of(&wrong), Err("/sequence".into()));
        }
        assert_eq!(Sequenced::AS_NAMED.of("k", None, &Json::Null), Ok(None));
    }

    #[test]
    fn a_masked_field_is_no_part_of_a_sequence() {
        check(Sequenced::by(&["/token"]), &["/to"]);
        for masked in ["/to", "/to/name"] {
            let refused = std::panic::catch_unwind(|| check(Sequenced::by(&["/to/name"]), &[masked]));
            assert!(refused.is_err(), "{masked}");
        }
    }
}
