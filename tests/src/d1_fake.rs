//! D1's REST API in this process, over SQLite: what production accepts, refuses and rounds, without Node and without
//! the network. Plain SQLite would hide exactly what bites on D1 (numbers bound as REAL, five compound terms, a hundred
//! parameters, integers rounded at 2⁵³), so every limit that D1 documents is enforced here, also those that a local
//! workerd lets pass.
//!
//! Where the documents leave production's behaviour open the fake is strict: `a; b` in one entry is refused, because
//! there is no agreed answer to what D1 does with it.
//!
//! Faults are knobs: an answer lost after the commit, a refusal before it, a 429.

mod database;
mod sql;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use database::Database;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::{Mutex, oneshot};

const TOKEN: &str = "fake-d1-token";
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
const ENTRIES_MAX: usize = 1_000;

/// A running fake; it stops when dropped and forgets everything.
pub struct D1Fake {
    port: u16,
    faults: Arc<Faults>,
    _stop: oneshot::Sender<()>,
}

/// How many of the next requests go wrong, and how many requests there were.
#[derive(Default)]
struct Faults {
    lose: AtomicUsize,
    refuse: AtomicUsize,
    limit: AtomicUsize,
    requests: AtomicUsize,
}

#[derive(Clone)]
struct Shared {
    /// One statement at a time, as in a Durable Object.
    database: Arc<Mutex<Database>>,
    faults: Arc<Faults>,
}

impl D1Fake {
    /// Starts on a free loopback port with an empty database.
    pub async fn start() -> D1Fake {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let faults = Arc::new(Faults::default());
        let database = Arc::new(Mutex::new(Database::open().await.expect("an in-memory database opens")));
        let shared = Shared { database, faults: faults.clone() };
        let app = Router::new().fallback(serve).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(shared);
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async move { drop(stopped.await) };
        tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(until).await });
        D1Fake { port, faults, _stop: stop }
    }

    /// The store URL.
    pub fn url(&self) -> String {
        format!("d1+http://127.0.0.1:{}/acc/db", self.port)
    }

    /// The only token it takes.
    pub fn token(&self) -> &str {
        TOKEN
    }

    /// The next `n` requests are carried out, and their connections closed without an answer.
    pub fn lose_next_reply(&self, n: usize) {
        self.faults.lose.store(n, SeqCst);
    }

    /// The next `n` requests are answered 503 before anything is done.
    pub fn refuse_next(&self, n: usize) {
        self.faults.refuse.store(n, SeqCst);
    }

    /// The next `n` requests are answered 429 with `retry-after: 1`.
    pub fn answer_429(&self, n: usize) {
        self.faults.limit.store(n, SeqCst);
    }

    /// Requests seen so far, good and bad.
    pub fn requests(&self) -> usize {
        self.faults.requests.load(SeqCst)
    }
}

/// Takes one of the faults that are left of `knob`.
fn due(knob: &AtomicUsize) -> bool {
    knob.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok()
}

/// A request that ends in an error envelope.
struct Refusal(u16, i64, String);

/// In a task of its own: a caller that goes away (killed, say) does not stop the database in the middle of a batch.
async fn serve(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    match tokio::spawn(handle(shared, method, uri, headers, body)).await {
        Ok(response) => response,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

async fn handle(shared: Shared, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    shared.faults.requests.fetch_add(1, SeqCst);
    let mut response = match answer(&shared, &method, &uri, &headers, &body).await {
        Ok(result) => envelope(200, json!({"success": true, "errors": [], "messages": [], "result": result})),
        Err(Refusal(status, code, message)) => {
            let errors = json!([{"code": code, "message": message}]);
            envelope(status, json!({"success": false, "errors": errors, "messages": [], "result": null}))
        }
    };
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    if due(&shared.faults.lose) {
        hang_up();
    }
    response
}

/// Ends this connection's task, and with it the connection: a panic, but one that prints nothing.
fn hang_up() {
    std::panic::resume_unwind(Box::new("connection lost on purpose"));
}

fn envelope(status: u16, body: Json) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("status and header are constants")
}

async fn answer(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Json, Refusal> {
    if due(&shared.faults.limit) {
        return Err(Refusal(429, 10_429, "please slow down".into()));
    }
    if due(&shared.faults.refuse) {
        return Err(Refusal(503, 7500, "D1 DB is overloaded. Too many requests queued.".into()));
    }
    require_token(headers)?;
    let form = require_route(method, uri)?;
    let entries = entries_of(body)?;
    let tables = shared.database.lock().await.batch(&entries).await.map_err(|text| Refusal(400, 7500, text))?;
    Ok(tables.iter().map(|table| form.write(table)).collect())
}

fn require_token(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::AUTHORIZATION) {
        Some(given) if given.as_bytes() == format!("Bearer {TOKEN}").as_bytes() => Ok(()),
        _ => Err(Refusal(401, 10_000, "Authentication error".into())),
    }
}

/// `/query` answers rows as objects, `/raw` as arrays.
enum Form {
    Query,
    Raw,
}

impl Form {
    fn write(&self, table: &database::Table) -> Json {
        let results = match self {
            Form::Query => table.objects(),
            Form::Raw => json!({"columns": table.columns, "rows": table.rows}),
        };
        json!({"results": results, "success": true, "meta": {"served_by": "fake", "duration": 0, "changes": table.changes}})
    }
}

fn require_route(method: &Method, uri: &Uri) -> Result<Form, Refusal> {
    let path = uri.path().strip_prefix("/client/v4").unwrap_or(uri.path());
    let form = match path.split('/').collect::<Vec<_>>()[..] {
        ["", "accounts", account, "d1", "database", database, "query"] if !account.is_empty() && !database.is_empty() => Form::Query,
        ["", "accounts", account, "d1", "database", database, "raw"] if !account.is_empty() && !database.is_empty() => Form::Raw,
        _ => return Err(Refusal(404, 7003, "No route for that URI".into())),
    };
    if method != Method::POST {
        return Err(Refusal(405, 7001, "Method not allowed".into()));
    }
    Ok(form)
}

/// One statement as it arrives.
struct Entry {
    sql: String,
    params: Vec<Json>,
}

fn entries_of(body: &[u8]) -> Result<Vec<Entry>, Refusal> {
    let body: Json = serde_json::from_slice(body).map_err(|_| malformed("invalid JSON"))?;
    let list = match body.get("batch") {
        Some(Json::Array(batch)) => batch.clone(),
        _ => vec![body],
    };
    match list.len() {
        0 => return Err(malformed("empty batch")),
        n if n > ENTRIES_MAX => return Err(malformed("more than 1000 statements")),
        _ => {}
    }
    list.into_iter().map(entry_of).collect()
}

fn entry_of(json: Json) -> Result<Entry, Refusal> {
    let sql = json.get("sql").and_then(Json::as_str).ok_or_else(|| malformed("sql missing"))?.to_owned();
    let params = match json.get("params") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(params)) if params.iter().all(is_scalar) => params.clone(),
        Some(_) => return Err(malformed("params must be an array of scalars")),
    };
    match sql::statements(&sql) {
        1 => Ok(Entry { sql, params }),
        _ => Err(malformed("one statement per entry")),
    }
}

fn is_scalar(param: &Json) -> bool {
    !param.is_array() && !param.is_object()
}

fn malformed(why: &str) -> Refusal {
    Refusal(400, 7400, format!("The request is malformed: {why}"))
}
