//! `jobs explain`: the gates of a job as a table, and what they come to as a sentence.

use crate::cli::Context;
use crate::client::{Client, segment};
use crate::exit::Exit;
use crate::out::say;
use crate::table::Table;
use serde_json::{Value as Json, json};

/// Shows why job `id` has not run, or with `twice` why it ran more than once.
pub async fn run(client: &Client, id: &str, twice: bool, context: &Context) -> anyhow::Result<Exit> {
    let told = client.get(&format!("v1/jobs/{}/explain", segment(id)?), &[]).await?;
    if twice {
        context.out.show(&told, || Table::of(&runs(&told), ["at", "attempt", "what", "worker", "lease", "evidence"]))?;
        return Ok(Exit::Done);
    }
    context.out.show(&told, || Table::of_list(&json!({"items": told["gates"]}), ["gate", "passes", "detail", "since", "until", "fix"]))?;
    say(&summary(&told));
    Ok(Exit::Done)
}

/// Whether it may start, else what is in its way and what to do.
fn summary(told: &Json) -> String {
    let gate = &told["first_closed"];
    if told["eligible"] == true {
        let number = |name: &str| told[name].as_i64().unwrap_or(0);
        return format!("it is claimed as soon as a slot is free: {} before it, {} workers claim it", number("ahead"), number("claimers"));
    }
    let start = told["earliest_start"].as_str().map(|at| format!("; earliest start {at}")).unwrap_or_default();
    let fix = gate["fix"].as_str().map(|fix| format!("\n  {fix}")).unwrap_or_default();
    format!("{}{start}{fix}", gate["detail"].as_str().unwrap_or("it is not claimed at this moment"))
}

/// Everything that is known of its runs, in order of time: failures, rescues, the run under way.
fn runs(told: &Json) -> Vec<Json> {
    let items = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let failed =
        items("attempts").into_iter().map(|a| json!({"at": a["at"], "attempt": a["attempt"], "what": a["class"], "evidence": a["error"]}));
    let taken = items("rescues").into_iter().map(|r| {
        let what = if r["crash"] == true { "taken, a crash" } else { "taken" };
        let evidence = format!("{} (says {})", r["evidence"].as_str().unwrap_or_default(), r["rescuer"].as_str().unwrap_or_default());
        json!({"at": r["at"], "attempt": r["attempt"], "what": what, "worker": r["worker"], "lease": r["lease"], "evidence": evidence})
    });
    let mut all: Vec<Json> = failed.chain(taken).collect();
    all.sort_by(|a, b| a["at"].as_str().cmp(&b["at"].as_str()));
    let job = &told["job"];
    if !told["lease"].is_null() {
        all.push(
            json!({"at": job["started_at"], "attempt": job["attempt"], "what": "runs", "worker": job["worker"], "lease": told["lease"]}),
        );
    } else if !job["finished_at"].is_null() {
        all.push(json!({"at": job["finished_at"], "attempt": job["attempt"], "what": job["state"]}));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_said_with_its_command() {
        let told = json!({"eligible": false, "earliest_start": "2026-11-25T14:00:00.000000Z",
            "first_closed": {"detail": "queue q is paused by key_1: a test", "fix": "clawr queues resume q"}});
        let said = "queue q is paused by key_1: a test; earliest start 2026-11-25T14:00:00.000000Z\n  clawr queues resume q";
        assert_eq!(summary(&told), said);
        assert!(summary(&json!({"eligible": true, "ahead": 3, "claimers": 1})).contains("3 before it"));
    }

    #[test]
    fn runs_are_told_in_order_of_time() {
        let told = json!({"lease": "l2", "job": {"started_at": "3", "attempt": 2, "worker": "w2"},
            "attempts": [{"at": "2", "attempt": 1, "class": "error", "error": "boom"}],
            "rescues": [{"at": "1", "attempt": 1, "crash": true, "worker": "w1", "lease": "l1", "evidence": "beat 7", "rescuer": "w3"}]});
        let told = runs(&told);
        let what: Vec<&str> = told.iter().map(|r| r["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["taken, a crash", "error", "runs"]);
        assert_eq!(told[0]["evidence"], "beat 7 (says w3)");
    }
}
