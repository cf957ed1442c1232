//! The committed schemas of `--json`: one per command, `tests/fixtures/cli/<command>.schema.json`.

use anyhow::{Context as _, ensure};
use boon::{Compiler, Schemas as Compiled};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What several schemas refer to.
const COMMON: &str = "common";

/// The folder, and which of its files were needed.
#[derive(Default)]
pub struct Schemas {
    used: RefCell<BTreeSet<String>>,
}

impl Schemas {
    /// `value` is what the schema of `command` says; another name for any of its fields would not be.
    pub fn check(&self, command: &str, value: &Json) -> anyhow::Result<()> {
        let name = command.replace(' ', "-");
        let (mut compiled, mut compiler) = (Compiled::new(), Compiler::new());
        compiler.enable_format_assertions();
        let file = folder().join(format!("{name}.schema.json"));
        let schema = compiler.compile(&file.to_string_lossy(), &mut compiled).map_err(|e| anyhow::anyhow!("{e:#}"))?;
        compiled.validate(value, schema).map_err(|e| anyhow::anyhow!("{e:#}\n{value}"))?;
        for other in renamed(value) {
            ensure!(compiled.validate(&other, schema).is_err(), "{name}: the schema takes {other}, too");
        }
        self.used.borrow_mut().insert(name);
        Ok(())
    }

    /// How many schemas there are, if every one was needed.
    pub fn all_used(&self) -> anyhow::Result<usize> {
        let mut there = BTreeSet::new();
        for file in std::fs::read_dir(folder())? {
            let name = file?.file_name().to_string_lossy().into_owned();
            there.insert(name.strip_suffix(".schema.json").with_context(|| format!("{name} is no schema"))?.to_owned());
        }
        ensure!(there.remove(COMMON), "{COMMON}.schema.json is missing");
        let used = self.used.borrow();
        let unused: Vec<_> = there.difference(&used).collect();
        ensure!(unused.is_empty(), "no command needs the schemas {unused:?}");
        Ok(there.len())
    }
}

/// `value` with one of its fields under another name, for each field.
fn renamed(value: &Json) -> Vec<Json> {
    let Some(object) = value.as_object() else { return Vec::new() };
    let without = |name: &String| {
        let mut other = object.clone();
        let field = other.remove(name).unwrap_or_default();
        other.insert(format!("{name}_renamed"), field);
        Json::Object(other)
    };
    object.keys().map(without).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cli")
}
