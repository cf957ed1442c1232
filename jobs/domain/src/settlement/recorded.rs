//! The recorded reports against the pure rules, with maps in place of a store: every verdict as recorded.

use super::report::inspect;
use super::verdict::{Asked, StoredEvent, StoredPayment, Terms, Verdict, judge};
use super::{Network, Networks};
use crate::digest::sha256;
use serde_json::Value as Json;
use std::collections::HashMap;

const EVENTS: &str = include_str!("../../../../tests/fixtures/x402/events.jsonl");
const EXPECTED: &str = include_str!("../../../../tests/fixtures/x402/expected.json");
const GIVEN: &str = include_str!("../../../../tests/fixtures/x402/given.json");

struct Maps {
    networks: Networks,
    tenants: Json,
    events: HashMap<String, StoredEvent>,
    payments: HashMap<String, (StoredPayment, &'static str, String)>,
}

fn texts(list: &Json) -> Vec<String> {
    list.as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect()
}

impl Maps {
    fn new() -> Self {
        let given: Json = serde_json::from_str(GIVEN).unwrap();
        let network = |(id, net): (&String, &Json)| Network {
            id: id.clone(),
            v1_name: net["v1_name"].as_str().unwrap().to_owned(),
            assets: texts(&net["assets"]),
            treasuries: texts(&given["treasuries"]),
        };
        let networks = Networks::new(given["networks"].as_object().unwrap().iter().map(network).collect());
        Self { networks, tenants: given["tenants"].clone(), events: HashMap::new(), payments: HashMap::new() }
    }

    /// What the intake's statements do, one message at a time. Returns (verdict, reason).
    fn take(&mut self, raw: &str, op: &str) -> (&'static str, Option<&'static str>) {
        let digest = sha256(&[raw.as_bytes()]);
        let id = serde_json::from_str::<Json>(raw).unwrap()["id"].as_str().unwrap_or_default().to_owned();
        if self.events.get(&id).is_some_and(|e| e.digest == digest) {
            return ("redelivered", None);
        }
        let report = match inspect(raw.as_bytes(), &self.networks) {
            Ok(report) => report,
            Err(refusal) => return ("rejected", Some(refusal.reason)),
        };
        match self.tenants.get(&report.tenant) {
            None => return ("rejected", Some("unknown_tenant")),
            Some(apis) if apis.get(&report.api).is_none() => return ("rejected", Some("unknown_api")),
            Some(_) => {}
        }
        let terms = Terms::of(&report, &report.tenant, &report.api);
        let event = StoredEvent { digest: digest.clone(), op: op.into() };
        let stamped = !self.events.contains_key(&id);
        self.events.entry(id.clone()).or_insert(event);
        let fresh = StoredPayment {
            settlement_id: op.into(),
            job_id: op.into(),
            state: report.first_state().into(),
            terms: terms.clone(),
            op: op.into(),
            update_op: String::new(),
        };
        if stamped {
            let new = (fresh, report.outcome.as_str(), report.tx.clone());
            let (payment, outcome, tx) = self.payments.entry(report.payment()).or_insert(new);
            let differs = payment.terms != terms;
            if !differs && (*outcome, &*tx) != (report.outcome.as_str(), &report.tx) {
                (*outcome, *tx) = (report.outcome.as_str(), report.tx.clone());
                payment.update_op = op.into();
            }
            let asked = Asked { digest: &digest, op, terms: terms.clone() };
            if differs {
                self.events.remove(&id);
            }
            let payment = self.payments.get(&report.payment()).map(|p| &p.0);
            return word(judge(&asked, self.events.get(&id), payment));
        }
        let payment = self.payments.get(&report.payment()).map(|p| &p.0);
        word(judge(&Asked { digest: &digest, op, terms }, self.events.get(&id), payment))
    }
}

fn word(verdict: Option<Verdict>) -> (&'static str, Option<&'static str>) {
    match verdict.unwrap() {
        Verdict::Accepted => ("accepted", None),
        Verdict::Redelivered => ("redelivered", None),
        Verdict::SamePayment => ("same_payment", None),
        Verdict::OutcomeUpdate => ("outcome_update", None),
        Verdict::Conflict(reason) => ("conflict", Some(reason)),
    }
}

#[test]
fn the_pure_rules_give_every_recorded_verdict() {
    let expected: Json = serde_json::from_str(EXPECTED).unwrap();
    let mut maps = Maps::new();
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let mut refused = Vec::new();
    for (raw, line) in EVENTS.lines().zip(1u64..) {
        let (verdict, reason) = maps.take(raw, &format!("op{line}"));
        *counts.entry(verdict).or_default() += 1;
        if let Some(reason) = reason {
            refused.push((line, verdict, reason.to_owned()));
        }
    }
    for (verdict, count) in expected["verdicts"].as_object().unwrap() {
        assert_eq!(counts.get(verdict.as_str()), count.as_u64().as_ref(), "{verdict}");
    }
    let list = |name: &str, verdict: &'static str| {
        let items = expected[name].as_array().unwrap().clone();
        items.into_iter().map(move |i| (i["line"].as_u64().unwrap(), verdict, i["reason"].as_str().unwrap().to_owned()))
    };
    let mut wanted: Vec<_> = list("conflicts_409", "conflict").chain(list("rejects_422", "rejected")).collect();
    wanted.sort();
    assert_eq!(refused, wanted);
}

/// The first recorded report with one field set (or removed) by pointer.
fn with(pointer: &str, value: Option<Json>) -> Vec<u8> {
    let mut event: Json = serde_json::from_str(EVENTS.lines().next().unwrap()).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(parent.insert(name.to_owned(), value)),
        None => drop(parent.remove(name)),
    }
    event.to_string().into_bytes()
}

#[test]
fn a_refusal_names_the_field() {
    let networks = Maps::new().networks;
    let cases: [(&str, Option<Json>, &str); 22] = [
        ("/surprise", Some(1.into()), "malformed"),
        ("/id", Some("evt.1".into()), "malformed"),
        ("/id", Some("".into()), "malformed"),
        ("/id", Some("x".repeat(129).into()), "malformed"),
        ("/type", Some("settlement.confirmed".into()), "malformed"),
        ("/occurred_at", Some("2026-10-31".into()), "malformed"),
        ("/occurred_at", Some("2026-10-31T00:09:49".into()), "malformed"),
        ("/occurred_at", Some("20261031T000949Z".into()), "malformed"),
        ("/occurred_at", Some("2026-13-31T00:09:49Z".into()), "malformed"),
        ("/occurred_at", Some("9999-10-31T00:09:49Z".into()), "malformed"),
        ("/occurred_at", Some(1.into()), "malformed"),
        ("/request_id", None, "malformed"),
        ("/reservation_id", Some(1.into()), "malformed"),
        ("/settleResponse", Some(Json::Null), "malformed"),
        ("/x402Version", Some(3.into()), "unsupported_version"),
        ("/x402Version", Some("2".into()), "unsupported_version"),
        ("/settleResponse/network", Some("eip155:1".into()), "network_mismatch"),
        ("/settleResponse/payer", Some(Json::Null), "payer_mismatch"),
        ("/settleResponse/transaction", Some(1.into()), "malformed"),
        ("/paymentRequirements/amount", Some("9000000000000001".into()), "invalid_amount"),
        ("/paymentRequirements/amount", Some(52_500.into()), "invalid_amount"),
        ("/paymentPayload/payload/authorization/nonce", Some("0x12".into()), "invalid_nonce"),
    ];
    for (pointer, value, reason) in cases {
        let refusal = inspect(&with(pointer, value.clone()), &networks).unwrap_err();
        assert_eq!((refusal.reason, refusal.pointer.as_str()), (reason, pointer), "{value:?}");
    }
    for (pointer, value) in [
        ("/occurred_at", Some(Json::from("2026-10-31T01:09:49.16+01:00"))),
        ("/reservation_id", Some(Json::Null)),
        ("/caller_hash", None),
        ("/paymentPayload/anything", Some(serde_json::json!({"deep": [1e300]}))),
        ("/settleResponse/payer", None),
        ("/paymentPayload/payload/authorization/validBefore", Some("99999999999999999999999".into())),
    ] {
        let report = inspect(&with(pointer, value), &networks).unwrap();
        assert_eq!(report.day, "2026-10-31", "{pointer}");
    }
}
