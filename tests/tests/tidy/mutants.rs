//! The patches of `ops/test mutants` run rarely; that each still applies is looked at always.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_mutant_still_applies_and_says_what_it_is() {
    let folder = root().join("tests/mutants");
    let mut patches: Vec<_> = std::fs::read_dir(&folder).expect("the folder").flatten().map(|e| e.path()).collect();
    patches.retain(|p| p.extension().is_some_and(|e| e == "patch"));
    assert!(patches.len() >= 30, "only {} mutants", patches.len());
    let mut wrong = Vec::new();
    for patch in patches {
        let text = std::fs::read_to_string(&patch).expect("text");
        let says = |word: &str| text.lines().any(|l| l.starts_with(word));
        if !says("test: ") || !says("story: ") {
            wrong.push(format!("{}: no `test:` or no `story:`", patch.display()));
        }
        let out = Command::new("git").current_dir(root()).args(["apply", "--check"]).arg(&patch).output().expect("git");
        if !out.status.success() {
            wrong.push(format!("{}: {}", patch.display(), String::from_utf8_lossy(&out.stderr).trim()));
        }
    }
    assert_eq!(wrong, [""; 0], "\n{}", wrong.join("\n"));
}
