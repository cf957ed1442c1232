//! `config init`: a commented configuration file to begin with.

use crate::cli::Context;
use crate::config::{EXAMPLE, KEYS};
use crate::exit::{Exit, Failure};
use crate::out::say;
use crate::table::Table;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a commented clawr.toml; an existing file is left alone
    Init {
        /// Where to
        #[arg(default_value = "clawr.toml")]
        file: PathBuf,
        /// Print it instead
        #[arg(long)]
        dry_run: bool,
    },
    /// Every setting there is, in a line each
    Keys,
}

/// Runs it.
pub fn run(args: ConfigArgs, context: &Context) -> anyhow::Result<Exit> {
    match args.command {
        ConfigCommand::Init { dry_run: true, file } => context.out.text(EXAMPLE, &written(&file, false))?,
        ConfigCommand::Init { file, .. } => {
            init(&file)?;
            context.out.text("", &written(&file, true))?;
        }
        ConfigCommand::Keys => {
            let items: Vec<Json> = KEYS.iter().map(|k| json!({ "key": k.path, "default": k.default, "about": k.about })).collect();
            let value = json!({ "items": items });
            context.out.show(&value, || Table::of_list(&value, ["key", "default", "about"]))?;
        }
    }
    Ok(Exit::Done)
}

fn written(file: &Path, written: bool) -> Json {
    json!({ "file": file, "written": written, "text": EXAMPLE })
}

fn init(file: &Path) -> anyhow::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut opened) => opened.write_all(EXAMPLE.as_bytes())?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(Exit::Conflict, format!("{} is there already and was left alone", file.display())).into());
        }
        Err(error) => return Err(Failure::new(Exit::Failed, format!("cannot write {}: {error}", file.display())).into()),
    }
    say(&format!("wrote {}; `clawr check-config` shows what is in force", file.display()));
    Ok(())
}
