//! Signals: what jobs wait for, told from outside. A tenant's key reaches that tenant's jobs only.

use crate::api::Api;
use crate::auth::{Can, Write};
use crate::body::Input;
use crate::fields::Fields;
use crate::openapi::Doc;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use clawr_engine::wait::{self, NewSignal, Sent};
use serde_json::{Value, json};

/// Most bytes of a signal's payload, and of an id that a caller makes.
const PAYLOAD_MAX: usize = 65_536;
const ID_MAX: usize = 100;

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = Doc::new("jobs", "Send a signal: it wakes the job that has waited for it longest, or is kept for the next");
    vec![Route::post("/v1/signals", send, doc.needs("write").takes("NewSignal").gives(200, "SignalSent").refuses(&[404, 409]))]
}

async fn send(State(api): State<Api>, caller: Can<Write>, _: NoQuery, input: Input) -> Result<Json<Value>, Problem> {
    let mut fields = Fields::of(input.value, "");
    let tenant = fields.text_of("tenant", 63);
    let signal = signal(&mut fields);
    fields.finish()?;
    let tenant = caller.tenant_id(&api, tenant.as_deref()).await?.unwrap_or_default();
    let sender = caller.credential.key_id.clone();
    let (kept, duplicate) = match api.queue().signal(NewSignal { tenant, sender, ..signal }).await? {
        Sent::New(kept) => (kept, false),
        Sent::Again(kept) => (kept, true),
        Sent::Conflict(_) => return Err(Problem::conflict("signal_id_reused", "this id is that of a signal with other content")),
    };
    Ok(Json(json!({
        "id": kept.id,
        "name": kept.name,
        "key": kept.key,
        "tenant": caller.slug_of(&api, &kept.tenant).await?,
        "duplicate": duplicate,
        "job_id": kept.taken_by,
        "at": shown(kept.at),
    })))
}

/// What the body says; its faults are noted in `fields`.
fn signal(fields: &mut Fields) -> NewSignal {
    let (name, key) = (fields.needed_text("name"), fields.needed_text("key"));
    if let Some((field, why)) = wait::fault(&name, &key).filter(|(field, _)| !(if *field == "name" { &name } else { &key }).is_empty()) {
        fields.wrong(field, why);
    }
    let payload = fields.json("payload").unwrap_or_default();
    if payload.to_string().len() > PAYLOAD_MAX {
        fields.wrong("payload", "must be at most 65536 bytes of JSON");
    }
    NewSignal { id: fields.text_of("id", ID_MAX).unwrap_or_default(), name, key, payload, ..NewSignal::default() }
}
