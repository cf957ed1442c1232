//! A tenth of `clawr bench flat`: a store with a million ended jobs claims as an empty one does, and goes on doing so while an
//! old snapshot is held. The whole of it is run on demand.

use anyhow::ensure;
use clawr_tests::binary::House;
use clawr_tests::stores::{Kind, TestStore};

/// A process measures by itself, so that the figures of one are compared, and says which of them misses.
async fn tenth(store: &TestStore) -> anyhow::Result<()> {
    let house = House::on(store)?;
    let url = store.config.url.to_string();
    let amounts = ["--ready", "100000", "--scheduled", "100000", "--archived", "1000000", "--hold-snapshot", "40s"];
    let arguments = [&["bench", "flat", "--check", "--json", "--store", url.as_str()], amounts.as_slice()].concat();
    let mut command = tokio::process::Command::from(house.command(&arguments));
    let output = command.kill_on_drop(true).output().await?;
    let (figures, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("  {figures}");
    ensure!(output.status.success(), "{}\n{said}", output.status);
    ensure!(figures.contains("snapshot_kept_ratio"), "nothing was measured");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn millions_of_jobs_and_an_old_snapshot_cost_a_claim_nothing() {
    if Kind::fast().contains(&Kind::Postgres) {
        let store = TestStore::start(Kind::Postgres).await.expect("a store");
        tenth(&store).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}
