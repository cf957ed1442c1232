//! Why a job has not run, or ran twice.

use super::{is_open, look, view};
use crate::api::Api;
use crate::auth::{Caller, Can, Read};
use crate::path::Id;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::times::{shown, shown_if};
use axum::Json;
use axum::extract::State;
use clawr_engine::explain::{Explained, Gate, Rescued};
use serde_json::{Value, json};

pub(super) async fn explain(State(api): State<Api>, caller: Can<Read>, Id(id): Id, _: NoQuery) -> Result<Json<Value>, Problem> {
    let told = api.queue().explain(caller.scope(), &id).await?.ok_or_else(|| Problem::not_found("job"))?;
    let rescues = api.queue().rescues(&told.job).await?;
    let fixes = Fixes::of(&api, &caller, &told).await?;
    let gates: Vec<Value> = told.gates.iter().map(|g| gate(g, &fixes)).collect();
    let first_closed = told.gates.iter().position(|g| !g.passes).map(|at| gates[at].clone());
    Ok(Json(json!({
        "job": look::shown(&api, &caller, &api.registry().shown(told.job.clone())).await?,
        "eligible": told.eligible,
        "earliest_start": shown_if(told.earliest_start),
        "first_closed": first_closed,
        "gates": gates,
        "ahead": told.ahead,
        "claimers": told.claimers,
        "lease": some(&told.lease),
        "attempts": view::attempts(&told.job),
        "rescues": rescues.iter().map(rescue).collect::<Vec<_>>(),
    })))
}

/// How commands are shown to this caller: with the slug of a tenant, and only those that it may give.
struct Fixes {
    /// (id, slug)
    tenant: Option<(String, String)>,
    may_move: bool,
    is_global: bool,
}

impl Fixes {
    async fn of(api: &Api, caller: &Caller, told: &Explained) -> Result<Self, Problem> {
        let slug = caller.slug_of(api, &told.job.tenant).await?;
        let is_global = caller.is_global();
        let may_move = api.registry().get(&told.job.kind).is_some_and(|entry| is_open(&entry.policy, is_global));
        Ok(Self { tenant: slug.map(|slug| (told.job.tenant.clone(), slug)), may_move, is_global })
    }

    fn shown(&self, fix: &str) -> Option<String> {
        let is_for_caller = match fix {
            jobs if jobs.starts_with("clawr jobs ") => self.may_move,
            sequences if sequences.starts_with("clawr sequences ") => self.may_move,
            signals => self.is_global || signals.starts_with("clawr signals "),
        };
        if fix.is_empty() || !is_for_caller {
            return None;
        }
        Some(match &self.tenant {
            Some((id, slug)) => fix.replace(&format!("--tenant {id}"), &format!("--tenant {slug}")),
            None => fix.to_owned(),
        })
    }
}

fn gate(gate: &Gate, fixes: &Fixes) -> Value {
    json!({
        "gate": gate.gate,
        "passes": gate.passes,
        "detail": gate.detail,
        "since": shown_if(gate.since),
        "until": shown_if(gate.until),
        "fix": fixes.shown(&gate.fix),
    })
}

fn rescue(rescue: &Rescued) -> Value {
    json!({
        "at": shown(rescue.at),
        "attempt": rescue.attempt,
        "started_at": shown_if(rescue.started_at),
        "lease": rescue.lease,
        "worker": rescue.worker,
        "crash": rescue.crash,
        "rescuer": rescue.rescuer,
        "evidence": rescue.evidence,
    })
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
