//! Every command of the binary on a running system: it acts once and is seen to act, its `--json` is what a committed
//! schema says, and one call that must fail ends with its exit code and a word about what was wrong.
//!
//! `rows` is the table. A command that `--help` shows and the table does not have fails the test, as does a schema that
//! no command needs. What is no command's alone stands in `manners`: signals, logs, where a value came from.

mod acts;
mod effects;
mod encryption;
mod limits;
mod manners;
mod pauses;
mod rows;
mod schemas;
mod sequences;
mod signals;
mod system;

use anyhow::{Context as _, ensure};
use clawr_tests::binary::House;
use rows::{ROWS, Row};
use std::collections::BTreeSet;
use system::System;

#[tokio::test(flavor = "multi_thread")]
async fn every_command() {
    let system = System::start().await.expect("a running system");
    every_leaf_is_in_the_table(&system.house).expect("the table");
    for row in ROWS {
        (row.acts)(&system).unwrap_or_else(|error| panic!("clawr {}: {error:#}", row.command));
    }
    system.falsify_the_books().await.expect("falsified books");
    for row in ROWS {
        fails(&system, row).unwrap_or_else(|error| panic!("clawr {}: {error:#}", row.command));
    }
    let schemas = system.schemas.all_used().expect("schemas");
    println!("cli: {} commands, {} calls, {schemas} schemas", ROWS.len(), system.calls());
}

/// The failing call of a row: its exit code, and what is wrong on stderr.
fn fails(system: &System, row: &Row) -> anyhow::Result<()> {
    let arguments: Vec<String> = row.fails.split(' ').map(|word| system.filled(word)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ensure!(row.fails.starts_with(row.command), "the failing call is of another command: {}", row.fails);
    let out = system.run(&arguments)?;
    let said = String::from_utf8(out.stderr)?;
    ensure!(out.status.code() == Some(row.exit), "{}: {}, not exit code {}: {said}", row.fails, out.status, row.exit);
    let wrong = system.filled(row.says);
    ensure!(said.contains(&wrong), "{}: stderr does not say {wrong:?}: {said}", row.fails);
    Ok(())
}

fn every_leaf_is_in_the_table(house: &House) -> anyhow::Result<()> {
    let mut shown = BTreeSet::new();
    leaves(house, &[], &mut shown)?;
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.command.to_owned()).collect();
    ensure!(rows.len() == ROWS.len(), "a command is in the table twice");
    let missing: Vec<_> = shown.difference(&rows).collect();
    ensure!(missing.is_empty(), "not in the table: {missing:?}");
    let gone: Vec<_> = rows.difference(&shown).collect();
    ensure!(gone.is_empty(), "not a command: {gone:?}");
    Ok(())
}

/// The commands without commands of their own below `path`, as `--help` shows them.
fn leaves(house: &House, path: &[&str], found: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let out = house.run(&[path, &["--help"]].concat())?;
    ensure!(out.status.success(), "{path:?} --help: {}", out.status);
    let help = String::from_utf8(out.stdout)?;
    let Some((_, listed)) = help.split_once("\nCommands:\n") else {
        found.insert(path.join(" "));
        return Ok(());
    };
    for line in listed.lines().take_while(|line| !line.is_empty()) {
        // a longer indent continues the line above
        let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')) else { continue };
        let name = name.split(' ').next().context("a name")?;
        if name != "help" {
            leaves(house, &[path, &[name]].concat(), found)?;
        }
    }
    Ok(())
}
