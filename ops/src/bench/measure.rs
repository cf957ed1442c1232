//! What a figure has to be judged against: the disk's sync rate, the store's bare commit rate, CPU time.

use clawr_engine::queue::Queue;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// `fdatasync` of 8 KiB writes per second in `folder`.
pub fn fsync_rate(folder: &Path, length: Duration) -> anyhow::Result<f64> {
    let mut file = std::fs::File::create(folder.join("fsync"))?;
    let (started, mut syncs) = (Instant::now(), 0_u32);
    while started.elapsed() < length {
        file.write_all(&[7; 8192])?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / started.elapsed().as_secs_f64())
}

/// Single-row commits per second, one after the other.
pub async fn commit_rate(queue: &Queue, length: Duration) -> anyhow::Result<f64> {
    let (started, mut commits) = (Instant::now(), 0_u32);
    while started.elapsed() < length {
        queue.close_door(&clawr_engine::ids::new_op()).await?;
        commits += 1;
    }
    Ok(f64::from(commits) / started.elapsed().as_secs_f64())
}

/// CPU time of this process and of every `postgres` process of this host.
pub struct Cpu {
    own: u64,
    store: u64,
}

impl Cpu {
    /// As of now.
    pub fn now() -> Cpu {
        let own = ticks_of("/proc/self/stat").unwrap_or(0);
        Cpu { own, store: store_ticks() }
    }

    /// Microseconds this process has used since.
    pub fn own_us_since(&self) -> f64 {
        (Cpu::now().own.saturating_sub(self.own)) as f64 * 10_000.0
    }

    /// Microseconds the Postgres processes of this host have used since (0 for SQLite: it is in our own).
    pub fn store_us_since(&self) -> f64 {
        (Cpu::now().store.saturating_sub(self.store)) as f64 * 10_000.0
    }
}

/// Forgets this process's highest memory use so far; without the kernel's leave it goes on counting from the start.
pub fn forget_peak_memory() {
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!("the peak of memory counts from the start: {error}");
    }
}

/// Highest resident memory of this process since, in MB of a million bytes; 0 where the host does not tell.
pub fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1_024.0 / 1_000_000.0
}

fn store_ticks() -> u64 {
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let is_store = |path: &Path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "postgres");
    let paths = entries.flatten().map(|e| e.path()).filter(|p| is_store(p));
    paths.filter_map(|p| ticks_of(&p.join("stat").display().to_string())).sum()
}

/// utime + stime in clock ticks of 10 ms.
fn ticks_of(stat: &str) -> Option<u64> {
    let text = std::fs::read_to_string(stat).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}
