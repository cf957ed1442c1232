//! Settlement reports come in here, signed; settlements are looked at here.
//!
//! The order for a report: who is it, is the signature over these very bytes good, and only then what do they say. The
//! bytes go on to the domain as they came, read by nobody in between.

mod signature;

use crate::api::Api;
use crate::auth::{Can, Global, Read, Write};
use crate::body::Raw;
use crate::openapi::Doc;
use crate::page;
use crate::path::Id;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use clawr_domain::settlement::{Answer, IntakeError, Refusal, Settlement, Verdict, store};
use serde_json::{Value, json};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("settlements", summary);
    vec![
        Route::post(
            "/v1/events/settlements",
            report,
            doc("Report a settlement; say it again as often as needed")
                .needs("write")
                .global()
                .with(&["WebhookId", "WebhookTimestamp", "WebhookSignature"])
                .takes("SettlementEvent")
                .gives(202, "ReportAnswer")
                .gives(200, "ReportAnswer")
                .refuses(&[409]),
        ),
        Route::get(
            "/v1/settlements",
            list,
            doc("Settlements, newest first")
                .needs("read")
                .with(&["SettlementState", "Tenant", "Limit", "Cursor"])
                .gives(200, "SettlementList")
                .refuses(&[404]),
        ),
        Route::get(
            "/v1/settlements/{id}",
            one,
            doc("One settlement with the reports about it").needs("read").gives(200, "SettlementDetail"),
        ),
    ]
}

async fn report(
    State(api): State<Api>,
    caller: Can<Global<Write>>,
    _: NoQuery,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<(StatusCode, Json<Value>), Problem> {
    signature::check(&caller.credential, &headers, &body, api.clock().now())?;
    match api.intake().submit(body, &caller.actor()).await {
        Ok(answer) => {
            api.counters().judged(word(answer.verdict));
            Ok(told(answer))
        }
        Err(error) => Err(refused(&api, error)),
    }
}

fn told(answer: Answer) -> (StatusCode, Json<Value>) {
    let status = if answer.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    let Answer { verdict, settlement_id, job_id, state, duplicate } = answer;
    let body = json!({
        "settlement_id": settlement_id,
        "job_id": job_id,
        "state": state,
        "duplicate": duplicate,
        "verdict": word(verdict),
    });
    (status, Json(body))
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Redelivered => "redelivered",
        Verdict::SamePayment => "same_payment",
        Verdict::OutcomeUpdate => "outcome_update",
        Verdict::Conflict(reason) => reason,
    }
}

fn refused(api: &Api, error: IntakeError) -> Problem {
    match error {
        IntakeError::Rejected(Refusal { reason, pointer, detail }) => {
            api.counters().judged(reason);
            Problem::invalid_at(reason, &pointer, detail)
        }
        IntakeError::Conflict { reason, settlement_id } => {
            api.counters().judged(reason);
            let problem = Problem::conflict(reason, "the report contradicts what is stored of this payment or event");
            if settlement_id.is_empty() { problem } else { problem.about("settlement_id", settlement_id) }
        }
        IntakeError::Store(error) => {
            api.counters().judged("store_error");
            error.into()
        }
    }
}

async fn list(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let page = page::Wanted::page(&mut query)?;
    let state = query.take("state").unwrap_or_default();
    let tenant = query.take("tenant").filter(|t| !t.is_empty());
    query.finish()?;
    if !state.is_empty() && !store::STATES.contains(&state.as_str()) {
        return Err(Problem::query("state", format!("must be one of {}", store::STATES.join(", "))));
    }
    if let Some(slug) = &tenant {
        caller.tenant_id(&api, Some(slug)).await?;
    }
    let filter = store::Filter { state, tenant: tenant.unwrap_or_default() };
    Ok(page::answer(store::list(api.db(), caller.scope(), &filter, &page).await?, |s| view(&s)))
}

async fn one(State(api): State<Api>, caller: Can<Read>, Id(id): Id, _: NoQuery) -> Result<Json<Value>, Problem> {
    let settlement = store::get(api.db(), caller.scope(), &id).await?;
    let events = store::events(api.db(), caller.scope(), &settlement).await?;
    let mut body = view(&settlement);
    let event = |e: &store::Message| json!({"id": e.id, "outcome": e.outcome, "tx": some(&e.tx), "received_at": shown(e.received_at)});
    body["events"] = events.iter().map(event).collect();
    Ok(Json(body))
}

/// How a settlement is shown.
pub fn view(s: &Settlement) -> Value {
    json!({
        "id": s.id,
        "state": s.state,
        "tenant": s.tenant,
        "api": s.api,
        "amount_micros": s.amount,
        "network": s.network,
        "asset": s.asset,
        "payer": s.payer,
        "nonce": s.nonce,
        "pay_to": s.pay_to,
        "outcome": s.outcome,
        "prev_outcome": some(&s.prev_outcome),
        "tx": some(&s.tx),
        "prev_tx": some(&s.prev_tx),
        "error_reason": some(&s.error_reason),
        "resource_type": some(&s.resource_type),
        "caller_hash": some(&s.caller_hash),
        "request_id": s.request_id,
        "reservation_id": some(&s.reservation_id),
        "x402_version": s.x402_version,
        "scheme": some(&s.scheme),
        "identity_verified": s.identity_verified,
        "occurred_at": shown(s.occurred_at),
        "received_at": shown(s.received_at),
        "day": s.day,
        "event_id": s.event_id,
        "job_id": s.job_id,
        "entry_id": some(&s.entry_id),
        "rev": s.rev,
    })
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
