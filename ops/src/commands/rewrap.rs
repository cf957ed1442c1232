//! `keys rewrap-args`: after a rotation, the data keys of sealed args under the current key, until none needs an older one.
//! Opens the store; whatever runs meanwhile is not disturbed.

use crate::cli::Context;
use crate::compose::House;
use crate::exit::{Exit, Failure};
use crate::out::say;
use crate::table::Table;
use clap::Args;
use clawr_engine::seal::{KeyRing, Needs, Rewrapped};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// What moved is met again in the next pass; so many are enough unless somebody still seals with an older key.
const PASSES_MAX: usize = 10;
/// Rows that cannot be opened and are named.
const NAMED_MAX: usize = 20;
/// How often is said how far it is.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// How it is done.
#[derive(Debug, Args)]
pub struct RewrapArgs {
    /// Only count which keys stored jobs need
    #[arg(long)]
    dry_run: bool,
    /// Jobs in a commit
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=500))]
    batch: i64,
}

/// Runs it; exit 1 if something could not be re-wrapped.
pub async fn run(args: RewrapArgs, context: &Context) -> anyhow::Result<Exit> {
    let house = House::open(&context.config()?).await?;
    let ring = house.queue.seal().ring();
    let Some(current) = ring.ids().next().map(str::to_owned) else {
        return Err(Failure::new(Exit::Usage, "secrets.args_keys_file is not set: there is no key to re-wrap with").into());
    };
    let all = if args.dry_run { Rewrapped::default() } else { passes(&house, args.batch).await? };
    let needs = house.queue.sealed_by_key().await?;
    let value = told(&current, args.dry_run, &all, &needs, ring);
    house.db.close().await;
    context.out.show(&value, || Table::of_list(&json!({ "items": value["keys"] }), ["key", "jobs", "here", "current"]))?;
    all.left.iter().take(NAMED_MAX).for_each(|(id, why)| say(&format!("{id}: {why}")));
    say(&format!("re-wrapped {} with key {current}; {} could not be", all.done, all.left.len()));
    Ok(if all.left.is_empty() { Exit::Done } else { Exit::Failed })
}

async fn passes(house: &House, batch: i64) -> anyhow::Result<Rewrapped> {
    let (mut all, mut seen, mut said) = (Rewrapped::default(), 0, Instant::now());
    for _ in 0..PASSES_MAX {
        let mut count = |rows: usize| {
            seen += rows;
            if said.elapsed() >= SAID_EVERY {
                said = Instant::now();
                say(&format!("{seen} sealed jobs looked at"));
            }
        };
        let pass = house.queue.rewrap_args(batch, &mut count).await?;
        all = Rewrapped { done: all.done + pass.done, moved: pass.moved, left: pass.left };
        if pass.done + pass.moved == 0 {
            break;
        }
    }
    Ok(all)
}

/// Every key that is here or needed, with how many jobs need it.
fn told(current: &str, dry_run: bool, all: &Rewrapped, needs: &Needs, ring: &KeyRing) -> Json {
    let mut ids: Vec<&str> = ring.ids().collect();
    ids.extend(needs.keys().map(String::as_str).filter(|id| !ring.has(id)));
    let key =
        |id: &&str| json!({ "key": id, "jobs": needs.get(*id).copied().unwrap_or(0), "here": ring.has(id), "current": *id == current });
    let left: Vec<Json> = all.left.iter().take(NAMED_MAX).map(|(id, why)| json!({ "id": id, "why": why.to_string() })).collect();
    json!({
        "current": current,
        "dry_run": dry_run,
        "rewrapped": all.done,
        "moved": all.moved,
        "unopened": all.left.len(),
        "unopened_first": left,
        "keys": ids.iter().map(key).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_here_come_first_and_those_that_are_missing_are_named() {
        let ring = KeyRing::parse(&format!("new {}\nold {}", "a".repeat(64), "b".repeat(64))).unwrap();
        let needs = Needs::from([("lost".to_owned(), 2), ("new".to_owned(), 5)]);
        let value = told("new", true, &Rewrapped::default(), &needs, &ring);
        assert_eq!(
            value["keys"],
            json!([
                {"key": "new", "jobs": 5, "here": true, "current": true},
                {"key": "old", "jobs": 0, "here": true, "current": false},
                {"key": "lost", "jobs": 2, "here": false, "current": false},
            ])
        );
    }
}
