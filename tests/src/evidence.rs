//! Which test has passed on which store: a file each, so that a table of features can be filled with what was seen.
//!
//! `ops/test` names the folder in `CLAWR_TEST_EVIDENCE`; without it nothing is kept.

use crate::stores::Kind;
use std::path::{Path, PathBuf};

/// Where evidence is kept, if it is.
#[expect(clippy::disallowed_methods, reason = "the tests are told by ops/test where to keep evidence")]
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("CLAWR_TEST_EVIDENCE").map(PathBuf::from)
}

/// Says that the running test has passed on `kind`.
pub fn keep(kind: Kind) {
    let Some(folder) = folder() else { return };
    let test = std::thread::current().name().expect("a test has a thread of its name").to_owned();
    std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(file(&folder, &test, kind), "")).expect("evidence is kept");
}

/// Whether `test` has passed on `kind`.
pub fn is_there(folder: &Path, test: &str, kind: Kind) -> bool {
    file(folder, test, kind).exists()
}

fn file(folder: &Path, test: &str, kind: Kind) -> PathBuf {
    folder.join(format!("{}@{}", test.replace("::", "."), kind.name()))
}
