//! `check-config`: the configuration in force, value by value, with sources; secrets masked.

use crate::cli::Context;
use crate::exit::Exit;
use crate::table::Table;
use serde_json::json;

/// Prints it; a wrong one is an error that names everything wrong.
pub fn run(context: &Context) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let value = json!({ "items": config.effective });
    context.out.show(&value, || Table::of_list(&value, ["key", "value", "source"]))?;
    Ok(Exit::Done)
}
