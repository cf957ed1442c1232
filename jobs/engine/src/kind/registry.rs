//! The kinds of a binary, by every name they have or had, with their types forgotten.

use super::policy::RESOLVED_WITHIN;
use super::units::{check_units, key_of};
use super::{CALLS_MAX, Fatal, FieldFault, Finish, Kind, MASK, Outcome, Policy, Run, Units, check_pointers};
use crate::effect::{Look, Stored};
use crate::job::{Job, NewJob};
use crate::retention::Classes;
use crate::seal::Envelope;
use crate::sequence::{Sequence, Sequenced};
use crate::unique::{OnConflict, Unique};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type LookFn<P> = Arc<dyn Fn(Stored, P) -> BoxFuture<'static, Look> + Send + Sync>;
type RunFn<P> = Arc<dyn Fn(Json, Run, P) -> BoxFuture<'static, anyhow::Result<Finish>> + Send + Sync>;

/// One kind with its type forgotten.
#[derive(Clone)]
pub struct Entry<P> {
    /// Its name.
    pub kind: &'static str,
    /// Names it had before, oldest first.
    pub former: &'static [&'static str],
    /// Current payload version.
    pub version: i64,
    /// Its queue.
    pub queue: &'static str,
    /// How it is run.
    pub policy: Policy,
    /// Which of its jobs count as one.
    pub unique: Option<Unique>,
    /// Which of its jobs run one after the other.
    pub sequence: Sequenced,
    /// Business results of refused writes.
    pub on_refused: fn(&str) -> Option<Outcome>,
    masked: &'static [&'static str],
    limit_key: Option<&'static str>,
    units: Units,
    decode: fn(&Json) -> Result<(), String>,
    upcast: fn(i64, Json) -> Result<Json, String>,
    run: RunFn<P>,
    look: LookFn<P>,
}

impl<P> Entry<P> {
    /// Checks that args decode; the error names what does not.
    pub fn check(&self, args: &Json) -> Result<(), String> {
        (self.decode)(args)
    }

    /// Asks the receiver of an effect.
    pub fn look(&self, effect: Stored, ports: P) -> BoxFuture<'static, Look> {
        (self.look)(effect, ports)
    }

    /// Args of payload version `from` as the current version has them; the error says which step failed.
    pub fn upcast(&self, from: i64, args: Json) -> Result<Json, String> {
        if from > self.version {
            return Err(format!("args have version {from}, this binary knows {} and below", self.version));
        }
        (from.max(1)..self.version).try_fold(args, |args, step| {
            let upcast = std::panic::AssertUnwindSafe(|| (self.upcast)(step, args));
            let answer = std::panic::catch_unwind(upcast).unwrap_or_else(|_| Err("the upcaster panicked".into()));
            answer.map_err(|why| format!("args of version {step} are not raised to {}: {why}", step + 1))
        })
    }

    /// Whether limits can count its jobs by a key.
    pub fn has_limit_key(&self) -> bool {
        self.limit_key.is_some()
    }

    /// Whether the args of its jobs say anything of them.
    fn reads_args(&self) -> bool {
        self.limit_key.is_some() || !matches!(self.units, Units::Each(1)) || !self.sequence.by.is_empty()
    }

    /// Gives a job of this kind what its args say of it: by what key limits count it, and what it weighs.
    pub fn fill(&self, job: &mut NewJob, args: &Json) -> Result<(), FieldFault> {
        (job.limit_key, job.units) = (key_of(self.limit_key, args)?, self.units.of(args)?);
        Ok(())
    }

    /// Args as views show them; what is not JSON is masked as a whole.
    fn shown(&self, mut args: Json) -> Json {
        if self.policy.encrypt {
            return sealed(&args);
        }
        if !self.masked.is_empty() && args.is_string() {
            return MASK.into();
        }
        for pointer in self.masked {
            if let Some(field) = args.pointer_mut(pointer) {
                *field = MASK.into();
            }
        }
        args
    }

    /// What is told of args that do not decode: a decoder quotes values, so nothing of a kind that masks any, or all.
    pub fn told(&self, why: String) -> String {
        if self.policy.encrypt {
            return "args do not decode; a kind that encrypts does not tell why".into();
        }
        if self.masked.is_empty() { why } else { "args do not decode; a kind with masked fields does not tell why".into() }
    }

    /// The name its keys and unique slots are taken under: its first, so that a new name frees none.
    pub fn family(&self) -> &'static str {
        self.former.first().copied().unwrap_or(self.kind)
    }

    /// The sequence of a job with these args that names this one, or where the fault is and what.
    pub fn sequence_of(&self, named: Option<String>, args: &Json) -> Result<Option<Sequence>, (String, &'static str)> {
        self.sequence.of(self.family(), named, args)
    }

    /// Every name its jobs may have.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.kind).chain(self.former.iter().copied())
    }

    /// Starts the handler.
    pub fn start(&self, args: Json, run: Run, ports: P) -> BoxFuture<'static, anyhow::Result<Finish>> {
        (self.run)(args, run, ports)
    }
}

/// Of sealed args that they are, and under which key; of plain ones, which stood there before their kind encrypted, nothing.
fn sealed(args: &Json) -> Json {
    if args.as_object().is_some_and(|args| args.is_empty()) {
        return args.clone();
    }
    Envelope::read(args).map_or_else(|_| MASK.into(), |envelope| json!({ "encrypted": true, "key_id": envelope.kid }))
}

/// All kinds of a binary, by name.
#[derive(Clone)]
pub struct Registry<P> {
    kinds: Arc<BTreeMap<&'static str, Entry<P>>>,
    former: Arc<BTreeMap<&'static str, &'static str>>,
}

/// Collects kinds.
pub struct RegistryBuilder<P> {
    kinds: BTreeMap<&'static str, Entry<P>>,
}

impl<P: Send + 'static> RegistryBuilder<P> {
    /// Adds a kind.
    ///
    /// # Panics
    /// If two kinds have one name, now or before: a mistake of this binary, seen at its first start.
    pub fn with<K: Kind<P>>(mut self) -> Self {
        const { crate::unique::check(K::UNIQUE) };
        const { check_pointers(K::MASKED) };
        const { check_units(K::UNITS) };
        if let Some(pointer) = K::LIMIT_KEY {
            check_pointers(&[pointer]);
            assert!(!K::MASKED.iter().any(|masked| is_within(pointer, masked)), "{} shows by what limits count it, and masks it", K::KIND);
        }
        const { crate::sequence::check(K::SEQUENCE, K::MASKED) };
        let run: RunFn<P> = Arc::new(|args, run, ports| {
            Box::pin(async move {
                let args = serde_json::from_value(args).map_err(|e| Fatal(format!("undecodable: {e}")))?;
                K::run(args, run, ports).await
            })
        });
        let entry = Entry {
            kind: K::KIND,
            former: K::FORMER,
            version: K::VERSION,
            queue: K::QUEUE,
            policy: K::policy(),
            unique: K::UNIQUE,
            sequence: K::SEQUENCE,
            masked: K::MASKED,
            limit_key: K::LIMIT_KEY,
            units: K::UNITS,
            on_refused: K::on_refused,
            decode: |args| K::Args::deserialize_from(args),
            upcast: K::upcast,
            run,
            look: Arc::new(|effect, ports| Box::pin(K::look(effect, ports))),
        };
        assert!(!entry.policy.encrypt || K::SEQUENCE.by.is_empty(), "{} encrypts its args, and shows the sequence they name", K::KIND);
        assert!(keeps_its_sequence(K::UNIQUE, K::SEQUENCE.by), "a job of {} that is replaced would be in the sequence of another", K::KIND);
        let effects = K::policy().effects;
        assert!(
            effects.call_within <= CALLS_MAX && effects.start_within + effects.call_within <= RESOLVED_WITHIN,
            "the effects of {} may start and call for too long",
            K::KIND
        );
        for name in entry.names() {
            assert!(!self.kinds.values().flat_map(Entry::names).any(|other| other == name), "two kinds are named {name}");
        }
        self.kinds.insert(K::KIND, entry);
        self
    }

    /// The finished registry.
    pub fn build(self) -> Registry<P> {
        let former = self.kinds.values().flat_map(|e| e.former.iter().map(|name| (*name, e.kind))).collect();
        Registry { kinds: Arc::new(self.kinds), former: Arc::new(former) }
    }
}

/// Whether one of two JSON pointers leads to the other's value or a part of it.
fn is_within(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether jobs that replace one another are always of the same sequence.
fn keeps_its_sequence(unique: Option<Unique>, sequence: &[&str]) -> bool {
    match unique {
        Some(unique) if matches!(unique.on_conflict, OnConflict::Replace | OnConflict::Debounce { .. }) => {
            unique.by.is_empty() || sequence.iter().all(|pointer| unique.by.contains(pointer))
        }
        _ => true,
    }
}

trait DeserializeFrom {
    fn deserialize_from(args: &Json) -> Result<(), String>;
}

impl<T: DeserializeOwned> DeserializeFrom for T {
    fn deserialize_from(args: &Json) -> Result<(), String> {
        T::deserialize(args).map(|_| ()).map_err(|e| e.to_string())
    }
}

impl<P: Send + 'static> Registry<P> {
    /// No kinds yet.
    pub fn builder() -> RegistryBuilder<P> {
        RegistryBuilder { kinds: BTreeMap::new() }
    }

    /// The kind that has this name, or had it.
    pub fn get(&self, kind: &str) -> Option<&Entry<P>> {
        self.kinds.get(kind).or_else(|| self.kinds.get(self.former.get(kind)?))
    }

    /// Gives the jobs that a handler makes what their args say of them; those of kinds that this binary does not know stay as
    /// they are.
    pub fn fill(&self, finish: &mut Finish) -> Result<(), Fatal> {
        for job in finish.jobs_mut() {
            let Some(entry) = self.get(&job.kind) else { continue };
            if !entry.reads_args() && job.sequence.is_none() {
                continue;
            }
            let args = serde_json::from_str(&job.args).map_err(|e| Fatal(format!("the args of a {} it makes: {e}", job.kind)))?;
            entry.fill(job, &args).map_err(|fault| Fatal(format!("of a {} it makes, {fault}", job.kind)))?;
            let named = job.sequence.take().map(|sequence| sequence.key);
            job.sequence = entry.sequence_of(named, &args).map_err(|(at, why)| Fatal(format!("of a {} it makes, {at} {why}", job.kind)))?;
        }
        Ok(())
    }

    /// The job as views show it. A kind that this binary does not know may mask anything, so all its args are.
    pub fn shown(&self, mut job: Job) -> Job {
        job.args = self.get(&job.kind).map_or_else(|| MASK.into(), |entry| entry.shown(job.args.take()));
        job
    }

    /// All kinds in order of names.
    pub fn all(&self) -> impl Iterator<Item = &Entry<P>> {
        self.kinds.values()
    }

    /// Every name of the kinds that encrypt.
    pub fn encrypting(&self) -> Vec<&'static str> {
        self.all().filter(|entry| entry.policy.encrypt).flat_map(Entry::names).collect()
    }

    /// Every `kind:version` this binary can run, for claims: under each name it has or had.
    pub fn runnable(&self) -> Vec<String> {
        self.runnable_with(true)
    }

    /// The same; without keys, none of those that encrypt.
    pub fn runnable_with(&self, keys: bool) -> Vec<String> {
        let of = |e: &Entry<P>| e.names().flat_map(|name| (1..=e.version).map(move |v| format!("{name}:{v}"))).collect::<Vec<_>>();
        self.all().filter(|entry| keys || !entry.policy.encrypt).flat_map(of).collect()
    }

    /// How long jobs of its kinds are kept, under each name they have or had.
    pub fn classes(&self) -> Classes {
        Classes::new(self.all().flat_map(|e| e.names().map(|name| (name, e.policy.class()))))
    }

    /// The queues its kinds live in.
    pub fn queues(&self) -> Vec<&'static str> {
        let mut queues: Vec<&'static str> = self.all().map(|e| e.queue).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Renamed;

    impl Kind<()> for Renamed {
        const KIND: &'static str = "new";
        const FORMER: &'static [&'static str] = &["first", "second"];
        const VERSION: i64 = 3;
        const QUEUE: &'static str = "q";
        type Args = Vec<i64>;

        fn policy() -> Policy {
            Policy::default()
        }

        async fn run(_args: Vec<i64>, _run: Run, (): ()) -> anyhow::Result<Finish> {
            Ok(Finish::done(Json::Null))
        }

        fn upcast(from: i64, args: Json) -> Result<Json, String> {
            match from {
                1 => args.get("n").cloned().ok_or_else(|| "no n".into()),
                _ => Ok(json!([args, args.as_i64().unwrap() + 1])),
            }
        }
    }

    #[test]
    fn a_renamed_kind_answers_to_every_name_and_keeps_its_family() {
        let registry = Registry::builder().with::<Renamed>().build();
        for name in ["new", "first", "second"] {
            assert_eq!(registry.get(name).map(|e| (e.kind, e.family())), Some(("new", "first")));
        }
        assert!(registry.get("third").is_none());
        let runnable = registry.runnable();
        assert_eq!((runnable.len(), runnable.contains(&"second:1".to_owned()), runnable.contains(&"new:3".to_owned())), (9, true, true));
    }

    #[test]
    fn args_are_raised_step_by_step_and_the_step_that_fails_is_named() {
        let registry = Registry::builder().with::<Renamed>().build();
        let entry = registry.get("new").unwrap();
        assert_eq!(entry.upcast(1, json!({"n": 4})), Ok(json!([4, 5])));
        assert_eq!(entry.upcast(3, json!([1])), Ok(json!([1])));
        assert_eq!(entry.upcast(1, json!({})), Err("args of version 1 are not raised to 2: no n".into()));
        assert_eq!(entry.upcast(2, json!("x")), Err("args of version 2 are not raised to 3: the upcaster panicked".into()));
        assert!(entry.upcast(4, json!([1])).unwrap_err().contains("version 4"));
    }

    #[test]
    #[should_panic(expected = "two kinds are named new")]
    fn one_name_is_of_one_kind() {
        Registry::builder().with::<Renamed>().with::<Renamed>();
    }
}
