//! A process whose wall clock the test steps while it runs; its monotonic clock stays right, as it does on a real host.

use crate::postgres::scratch;
use anyhow::Context as _;
use std::path::PathBuf;

/// The wall clock of one or more processes, started with [`WallClock::env`].
pub struct WallClock {
    library: PathBuf,
    folder: PathBuf,
}

impl WallClock {
    /// Shows the right time until it is stepped.
    pub fn new() -> anyhow::Result<WallClock> {
        let folder = scratch("clock")?;
        let clock = WallClock { library: library()?, folder };
        clock.set_s(0)?;
        Ok(clock)
    }

    /// Shows the right time plus `offset_s` seconds from now on.
    pub fn set_s(&self, offset_s: i64) -> anyhow::Result<()> {
        let fresh = self.folder.join("next");
        std::fs::write(&fresh, format!("{offset_s:+}\n"))?;
        std::fs::rename(fresh, self.file()).context("failed to step the clock")
    }

    /// The environment of a process that lives by this clock.
    pub fn env(&self) -> [(String, String); 4] {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        [
            pair("LD_PRELOAD", self.library.display().to_string()),
            pair("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            pair("FAKETIME_NO_CACHE", "1".into()),
            pair("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.join("offset")
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("failed to remove {}: {error}", self.folder.display());
        }
    }
}

/// Debian keeps the library in a folder of the machine's kind.
fn library() -> anyhow::Result<PathBuf> {
    let tail = "faketime/libfaketime.so.1";
    let folders = std::fs::read_dir("/usr/lib")?.filter_map(Result::ok).map(|f| f.path().join(tail));
    let plain = [PathBuf::from("/usr/lib").join(tail), PathBuf::from("/usr/local/lib").join(tail)];
    folders.chain(plain).find(|path| path.exists()).context("libfaketime is missing: ops/test --setup")
}
