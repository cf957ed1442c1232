//! Looking at the books.

use crate::api::Api;
use crate::auth::{Can, Global, Read};
use crate::openapi::Doc;
use crate::page;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use clawr_domain::ledger::{self, Account, Entry};
use serde_json::{Value, json};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("ledger", summary);
    vec![
        Route::get(
            "/v1/ledger/accounts",
            accounts,
            doc("Accounts, in order of ids").needs("read").with(&["Limit", "Cursor"]).gives(200, "AccountList"),
        ),
        Route::get(
            "/v1/ledger/entries",
            entries,
            doc("Entries with their legs, newest first").needs("read").with(&["Limit", "Cursor"]).gives(200, "EntryList"),
        ),
        Route::get("/v1/ledger/verify", verify, doc("Replay everything and compare").needs("read").global().gives(200, "LedgerReport")),
    ]
}

async fn accounts(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let page = page::Wanted::page(&mut query)?;
    query.finish()?;
    Ok(page::answer(ledger::accounts(api.db(), caller.scope(), &page).await?, account))
}

async fn entries(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let page = page::Wanted::page(&mut query)?;
    query.finish()?;
    Ok(page::answer(ledger::entries(api.db(), caller.scope(), &page).await?, entry))
}

async fn verify(State(api): State<Api>, _: Can<Global<Read>>, _: NoQuery) -> Result<Json<Value>, Problem> {
    let report = ledger::verify(api.db()).await?;
    Ok(Json(json!({
        "balanced": report.is_balanced(),
        "accounts": report.accounts,
        "entries": report.entries,
        "legs": report.legs,
        "settlements": report.settlements,
        "debits_micros": report.debits_micros.to_string(),
        "credits_micros": report.credits_micros.to_string(),
        "broken": report.broken,
        "findings": report.findings,
    })))
}

fn account(account: Account) -> Value {
    json!({
        "id": account.id,
        "tenant": account.tenant,
        "normal": account.normal,
        "debits_micros": account.debits_micros,
        "credits_micros": account.credits_micros,
        "balance_micros": account.balance_micros,
        "rev": account.rev,
    })
}

fn entry(entry: Entry) -> Value {
    json!({
        "id": entry.id,
        "key": entry.key,
        "tenant": entry.tenant,
        "type": entry.kind,
        "amount_micros": entry.amount_micros,
        "metadata": serde_json::from_str::<Value>(&entry.metadata).unwrap_or_default(),
        "created_at": shown(entry.created_at),
        "legs": entry.legs,
    })
}
