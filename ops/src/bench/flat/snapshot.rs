//! Jobs flow as fast as they can while somebody holds an old snapshot: nothing that died since can be cleared away, and every
//! scan that begins too early meets all of it. A short hold that misses is tried again: what else the machine does passes.

use super::{Filler, HELD_FLOORS, Side, stop};
use crate::bench::noop;
use crate::bench::report::{Report, misses};
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
/// Holds up to this length are tried so often.
const SHORT: Duration = Duration::from_secs(60);
const TRIES: usize = 3;

/// Jobs per second, and how long it took until they were back.
struct Held {
    before: f64,
    held: f64,
    last: f64,
    after: f64,
    back_s: f64,
}

impl Held {
    fn figures(&self) -> [(&'static str, f64); 7] {
        [
            ("snapshot_before_per_s", self.before),
            ("snapshot_held_per_s", self.held),
            ("snapshot_held_last_per_s", self.last),
            ("snapshot_kept_ratio", self.held.min(self.last) / self.before),
            ("snapshot_after_per_s", self.after),
            ("snapshot_after_ratio", self.after / self.before),
            ("snapshot_back_within_s", self.back_s),
        ]
    }

    fn is_fine(&self) -> bool {
        let figures = self.figures();
        misses(|name| figures.iter().find(|(n, _)| *n == name).map(|(_, v)| *v), &HELD_FLOORS).is_empty()
    }
}

/// Measures before, while and after a snapshot is held for `hold`.
pub async fn run(side: &Side, hold: Duration, report: &mut Report) -> anyhow::Result<()> {
    let process = side.work().await?;
    let (enough, stopped) = watch::channel(false);
    let refill = tokio::spawn(refill(side.filler.clone(), stopped));
    let tries = if hold <= SHORT { TRIES } else { 1 };
    let (mut held, mut tried) = (measure(side, hold).await?, 1);
    while !held.is_fine() && tried < tries {
        held = measure(side, hold).await?;
        tried += 1;
    }
    report.figure("snapshot_tries", tried as f64);
    held.figures().iter().for_each(|(name, value)| report.figure(name, *value));
    enough.send_replace(true);
    refill.await??;
    stop(process).await;
    Ok(())
}

async fn measure(side: &Side, hold: Duration) -> anyhow::Result<Held> {
    rate(WARM).await;
    let before = rate(BEFORE).await;
    let filler = side.filler.clone();
    let holding = tokio::spawn(async move { filler.hold(hold).await });
    let first = rate(hold * 3 / 4).await;
    let last = rate(hold / 4).await;
    holding.await??;
    let released = Instant::now();
    let mut after = rate(PIECE).await;
    while after < before * 0.95 && released.elapsed() < BACK_WITHIN {
        after = after.max(rate(PIECE).await);
    }
    Ok(Held { before, held: (first * 3.0 + last) / 4.0, last, after, back_s: released.elapsed().as_secs_f64() })
}

/// Jobs run per second, over this time.
async fn rate(length: Duration) -> f64 {
    let (started, done) = (Instant::now(), noop::done());
    tokio::time::sleep(length).await;
    (noop::done() - done) as f64 / started.elapsed().as_secs_f64()
}

/// As many jobs come as have run.
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
