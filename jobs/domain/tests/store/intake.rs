use crate::support::{EVENTS, World, peaceful, recorded, wanted};
use clawr_domain::settlement::{IntakeError, Verdict, store};
use clawr_engine::db::{DbError, Scope};
use serde_json::{Value as Json, json};
use std::collections::HashMap;

clawr_engine::sql!(JOBS, "sql/jobs.sql");
clawr_engine::sql!(EVENT_ROWS, "sql/events.sql");
clawr_engine::sql!(AUDIT_ROWS, "sql/audit_actions.sql");
clawr_engine::sql!(VOID, "sql/settlements_void.sql");

/// The verdict of a line in the recording's words.
fn word(answer: &Result<clawr_domain::settlement::Answer, IntakeError>) -> (&'static str, Option<&'static str>) {
    match answer {
        Ok(a) => match a.verdict {
            Verdict::Accepted => ("accepted", None),
            Verdict::Redelivered => ("redelivered", None),
            Verdict::SamePayment => ("same_payment", None),
            Verdict::OutcomeUpdate => ("outcome_update", None),
            Verdict::Conflict(_) => panic!("a conflict is no answer"),
        },
        Err(IntakeError::Rejected(refusal)) => ("rejected", Some(refusal.reason)),
        Err(IntakeError::Conflict { reason, .. }) => ("conflict", Some(reason)),
        Err(IntakeError::Store(error)) => panic!("{error}"),
    }
}

async fn states(world: &World) -> HashMap<String, i64> {
    let counts = store::counts(&world.db, &Scope::System).await.unwrap();
    counts.into_iter().map(|c| (c.state, c.count)).collect()
}

async fn number(world: &World, sql: &'static clawr_engine::db::Sql, name: &str) -> i64 {
    let rows = world.rows(sql).await;
    rows.iter().find(|r| r.text("name").unwrap() == name).map_or(0, |r| r.int("n").unwrap())
}

#[tokio::test]
async fn every_recorded_report_gets_its_expected_verdict() {
    let world = recorded().await;
    let (intake, wanted) = (world.intake(), wanted());
    let mut settlements = HashMap::new();
    for (text, line) in EVENTS.lines().zip(1u64..) {
        let answer = intake.submit(text.as_bytes().to_vec(), &world.actor).await;
        let (verdict, reason) = word(&answer);
        assert_eq!((verdict.to_owned(), reason.map(str::to_owned)), wanted[&line], "line {line}");
        if let Ok(answer) = answer {
            assert_eq!(answer.duplicate, verdict != "accepted", "line {line}");
            let event: Json = serde_json::from_str(text).unwrap();
            let first = settlements.entry(event["id"].as_str().unwrap().to_owned()).or_insert(answer.settlement_id.clone());
            assert_eq!(*first, answer.settlement_id, "line {line}");
        }
    }
    assert_eq!(wanted.len(), 267);
    assert_eq!(states(&world).await, HashMap::from([("reported".into(), 169), ("unknown".into(), 17)]));
    assert_eq!(number(&world, &JOBS, "settlement").await, 186);
    assert_eq!(number(&world, &AUDIT_ROWS, "settlement.refused").await, 27 + 7);
    assert_eq!(number(&world, &AUDIT_ROWS, "settlement.outcome_updated").await, 9);
    // accepted + same payment + updates; refused messages leave nothing
    assert_eq!(number(&world, &EVENT_ROWS, "events").await, 186 + 13 + 9);
}

#[tokio::test]
async fn two_processes_told_everything_at_once_make_one_settlement_a_payment() {
    let world = recorded().await;
    // two intakes share nothing but the store
    let intakes = [world.intake(), world.intake()];
    let mut tasks = tokio::task::JoinSet::new();
    for text in peaceful() {
        for intake in intakes.clone() {
            let (actor, body) = (world.actor.clone(), text.as_bytes().to_vec());
            tasks.spawn(async move { intake.submit(body, &actor).await });
        }
    }
    let mut count: HashMap<&str, i64> = HashMap::new();
    while let Some(answer) = tasks.join_next().await {
        *count.entry(word(&answer.unwrap()).0).or_default() += 1;
    }
    assert_eq!(count["accepted"], 186);
    assert_eq!(count["rejected"], 2 * 27);
    assert_eq!(count.values().sum::<i64>(), 2 * 260);
    let states = states(&world).await;
    assert_eq!(states.values().sum::<i64>(), 186);
    assert_eq!(number(&world, &JOBS, "settlement").await, 186);
}

/// An accepted line of the recording, changed.
fn changed(change: impl FnOnce(&mut Json)) -> Vec<u8> {
    let mut event: Json = serde_json::from_str(EVENTS.lines().next().unwrap()).unwrap();
    change(&mut event);
    event.to_string().into_bytes()
}

#[tokio::test]
async fn a_later_failure_undoes_nothing_and_a_later_success_lifts_unknown() {
    let world = recorded().await;
    let intake = world.intake();
    let pending = changed(|e| {
        e["id"] = json!("evt_1");
        e["settleResponse"]["success"] = json!(false);
        e["settleResponse"]["errorReason"] = json!("settlement_pending");
    });
    let failure = |id: &str| {
        let id = id.to_owned();
        changed(move |e| {
            e["id"] = json!(id);
            e["settleResponse"]["success"] = json!(false);
            e["settleResponse"]["transaction"] = json!("");
        })
    };
    let first = intake.submit(pending, &world.actor).await.unwrap();
    assert_eq!((first.verdict, first.state.as_str()), (Verdict::Accepted, "unknown"));
    let second = intake.submit(changed(|e| e["id"] = json!("evt_2")), &world.actor).await.unwrap();
    assert_eq!((second.verdict, second.state.as_str()), (Verdict::OutcomeUpdate, "reported"));
    let third = intake.submit(failure("evt_3"), &world.actor).await.unwrap();
    assert_eq!((third.verdict, third.state.as_str()), (Verdict::OutcomeUpdate, "reported"));
    let fourth = intake.submit(failure("evt_4"), &world.actor).await.unwrap();
    assert_eq!((fourth.verdict, fourth.settlement_id), (Verdict::SamePayment, first.settlement_id.clone()));
    let stored = store::get(&world.db, &Scope::System, &first.settlement_id).await.unwrap();
    assert_eq!((stored.outcome.as_str(), stored.prev_outcome.as_str(), stored.rev), ("failure", "success", 3));
    assert!(stored.tx.is_empty() && !stored.prev_tx.is_empty());
    let messages = store::events(&world.db, &Scope::System, &stored).await.unwrap();
    assert_eq!(messages.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["evt_1", "evt_2", "evt_3", "evt_4"]);
}

#[tokio::test]
async fn a_refused_messages_id_is_not_used_up() {
    let world = recorded().await;
    let intake = world.intake();
    intake.submit(changed(|_| ()), &world.actor).await.unwrap();
    let other_value = changed(|e| {
        e["id"] = json!("evt_again");
        e["paymentRequirements"]["amount"] = json!("52501");
        e["paymentPayload"]["payload"]["authorization"]["value"] = json!("52501");
    });
    let refused = intake.submit(other_value, &world.actor).await.unwrap_err();
    assert!(matches!(refused, IntakeError::Conflict { reason: "value_differs", ref settlement_id } if settlement_id.starts_with("stl_")));
    let good = intake.submit(changed(|e| e["id"] = json!("evt_again")), &world.actor).await.unwrap();
    assert_eq!(good.verdict, Verdict::SamePayment);
}

#[tokio::test]
async fn another_tenants_settlement_is_not_there() {
    let world = recorded().await;
    let answer = world.intake().submit(changed(|_| ()), &world.actor).await.unwrap();
    let stored = store::get(&world.db, &Scope::System, &answer.settlement_id).await.unwrap();
    assert!(store::get(&world.db, &Scope::Tenant(stored.tenant_id.clone()), &stored.id).await.is_ok());
    assert!(store::get(&world.db, &Scope::Tenant("ten_other".into()), &stored.id).await.is_err());
    let filter = store::Filter { tenant: "acme".into(), state: "reported".into() };
    let own = store::list(&world.db, &Scope::Tenant(stored.tenant_id), &filter, &Default::default()).await.unwrap();
    let foreign = store::list(&world.db, &Scope::Tenant("ten_other".into()), &filter, &Default::default()).await.unwrap();
    assert_eq!((own.items.len(), foreign.items.len()), (1, 0));
}

#[tokio::test]
async fn no_report_moves_what_the_chain_has_settled() {
    let world = recorded().await;
    let intake = world.intake();
    intake.submit(changed(|_| ()), &world.actor).await.unwrap();
    world.db.commit(&Scope::System, vec![VOID.with([])]).await.unwrap();
    let late = changed(|e| {
        e["id"] = json!("evt_late");
        e["settleResponse"]["transaction"] = json!("0xother");
    });
    let answer = intake.submit(late, &world.actor).await.unwrap();
    assert_eq!((answer.verdict, answer.state.as_str()), (Verdict::OutcomeUpdate, "void"));
}

#[tokio::test]
async fn a_posting_that_read_an_older_outcome_is_stale() {
    let world = recorded().await;
    let intake = world.intake();
    intake.submit(changed(|_| ()), &world.actor).await.unwrap();
    let read = world.settlements().await;
    let later = changed(|e| {
        e["id"] = json!("evt_later");
        e["settleResponse"]["transaction"] = json!("0xother");
    });
    intake.submit(later, &world.actor).await.unwrap();
    assert_eq!(world.commit(&world.postings(&read)).await, Err(DbError::Guard("stale".into())));
    world.commit(&world.postings(&world.settlements().await)).await.unwrap();
}
