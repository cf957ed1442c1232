//! Jobs flow as fast as they can while somebody holds an old snapshot: nothing that died since can be cleared away, and every
//! scan that begins too early meets all of it.

use super::{Filler, Side, stop};
use crate::bench::noop;
use crate::bench::report::Report;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Before it, and for how long what came before is measured.
const WARM: Duration = Duration::from_secs(5);
const BEFORE: Duration = Duration::from_secs(15);
/// After it: the rate must be back within this, seen in pieces of this length.
const BACK_WITHIN: Duration = Duration::from_secs(90);
const PIECE: Duration = Duration::from_secs(5);
/// How often as many jobs are made as have run.
const REFILL_EVERY: Duration = Duration::from_millis(200);

/// Measures before, while and after a snapshot is held for `hold`.
pub async fn run(side: &Side, hold: Duration, report: &mut Report) -> anyhow::Result<()> {
    let process = side.work().await?;
    let (enough, stopped) = watch::channel(false);
    let refill = tokio::spawn(refill(side.filler.clone(), stopped));
    rate(WARM).await;
    let before = rate(BEFORE).await;
    report.figure("snapshot_before_per_s", before);
    let filler = side.filler.clone();
    let holding = tokio::spawn(async move { filler.hold(hold).await });
    let first = rate(hold * 3 / 4).await;
    let last = rate(hold / 4).await;
    holding.await??;
    report.figure("snapshot_held_per_s", (first * 3.0 + last) / 4.0);
    report.figure("snapshot_held_last_per_s", last);
    report.figure("snapshot_kept_ratio", ((first * 3.0 + last) / 4.0).min(last) / before);
    let released = Instant::now();
    let mut after = rate(PIECE).await;
    while after < before * 0.95 && released.elapsed() < BACK_WITHIN {
        after = after.max(rate(PIECE).await);
    }
    report.figure("snapshot_after_per_s", after);
    report.figure("snapshot_after_ratio", after / before);
    report.figure("snapshot_back_within_s", released.elapsed().as_secs_f64());
    enough.send_replace(true);
    refill.await??;
    stop(process).await;
    Ok(())
}

/// Jobs run per second, over this time.
async fn rate(length: Duration) -> f64 {
    let (started, done) = (Instant::now(), noop::done());
    tokio::time::sleep(length).await;
    (noop::done() - done) as f64 / started.elapsed().as_secs_f64()
}

async fn refill(filler: Filler, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut made = noop::done();
    while !*stop.borrow() {
        let done = noop::done();
        filler.more(usize::try_from(done - made)?).await?;
        made = done;
        let _ = tokio::time::timeout(REFILL_EVERY, stop.wait_for(|s| *s)).await;
    }
    Ok(())
}
