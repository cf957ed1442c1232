//! What a command shows: data on stdout, talk on stderr. `--json` prints the data as it is; without it a terminal gets an
//! aligned table with colours, and a pipe gets the same cells separated by tabs.

use crate::table::Table;
use serde_json::Value as Json;
use std::io::{IsTerminal, Write};

/// How this process shows its data.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    json: bool,
    terminal: bool,
    colour: bool,
}

impl Out {
    /// `json` as asked for; colours only on a terminal that wants them.
    pub fn new(json: bool, no_colour: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { json, terminal, colour: terminal && !no_colour }
    }

    /// Whether `--json` was asked for.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Data: `value` under `--json`, otherwise the table made of it.
    pub fn show(self, value: &Json, table: impl FnOnce() -> Table) -> anyhow::Result<()> {
        if self.json {
            return self.json(value);
        }
        self.raw(&if self.terminal { table().aligned(self.colour) } else { table().tabbed() })
    }

    /// One JSON value: indented for a person, one line for a pipe.
    pub fn json(self, value: &Json) -> anyhow::Result<()> {
        let text = if self.terminal { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
        self.line(&text)
    }

    /// One line of data.
    pub fn line(self, text: &str) -> anyhow::Result<()> {
        self.raw(&format!("{text}\n"))
    }

    /// A text that is its own form: as it is, or within `value` under `--json`.
    pub fn text(self, text: &str, value: &Json) -> anyhow::Result<()> {
        if self.json { self.json(value) } else { self.raw(text) }
    }

    /// Text as it is.
    pub fn raw(self, text: &str) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }
}

/// Talk, on stderr. A reader that went away is no reason to stop.
pub fn say(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// A line that is overwritten by the next one; only on a terminal.
pub fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        drop(write!(stderr, "\r\x1b[2K{text}"));
        drop(stderr.flush());
    }
}

/// Asks a person before something that cannot be undone; a script must say `--yes`.
pub fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    use crate::exit::{Exit, Failure};
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, format!("{question} Say --yes to do it, --dry-run to see what would happen.")).into());
    }
    drop(write!(std::io::stderr().lock(), "{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "nothing was done").into()),
    }
}
