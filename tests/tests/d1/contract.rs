//! The table's two readers and their comparison.

#[path = "table.rs"]
mod table;

use clawr_engine::db::DbError;
use clawr_engine::db::d1::{Endpoint, Intent, read_answer};
use clawr_tests::d1_fake::D1Fake;
use clawr_tests::workerd::Workerd;
use serde_json::{Value as Json, json};
use table::{Case, Differs, Target};

/// What of an answer the contract covers.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    success: bool,
    code: Option<i64>,
    rows: Vec<Json>,
    error: Option<DbError>,
}

/// One side of the comparison.
struct Side {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Side {
    fn new(url: &str, token: &str) -> Side {
        let url = Endpoint::parse(url).expect("the test made this URL").query_url();
        Side { client: fresh(), url, token: token.to_owned() }
    }

    async fn ask(&self, case: &Case) -> Answer {
        let (url, token) = match case.target {
            Target::Query => (self.url.clone(), self.token.as_str()),
            Target::Raw => (self.url.replace("/query", "/raw"), self.token.as_str()),
            Target::Nowhere => (self.url.replace("/query", "/drop"), self.token.as_str()),
            Target::Stranger => (self.url.clone(), "wrong"),
            Target::Get => (self.url.clone(), self.token.as_str()),
        };
        let request = match case.target {
            Target::Get => self.client.get(url),
            _ => self.client.post(url).body(case.body.clone()),
        };
        let response = request.bearer_auth(token).send().await.expect("the server answers");
        let status = response.status().as_u16();
        read(status, &response.bytes().await.expect("the answer is whole"), case)
    }
}

fn read(status: u16, body: &[u8], case: &Case) -> Answer {
    let json: Json = serde_json::from_slice(body).expect("the answer is JSON");
    let rows = json["result"].as_array().into_iter().flatten();
    let error = match case.target {
        Target::Raw => None,
        _ => read_answer(status, body, Intent::Write).err().map(without_offset),
    };
    Answer {
        status,
        success: json["success"] == json!(true),
        code: json["errors"][0]["code"].as_i64(),
        rows: rows.map(|answer| as_doubles(&answer["results"])).collect(),
        error,
    }
}

/// JSON numbers are doubles: `1` and `1.0` are one number.
fn as_doubles(json: &Json) -> Json {
    match json {
        Json::Number(number) => json!(number.as_f64()),
        Json::Array(items) => items.iter().map(as_doubles).collect(),
        Json::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), as_doubles(value))).collect(),
        other => other.clone(),
    }
}

/// The binding adds where in the text an error is; the REST API does not.
fn without_offset(error: DbError) -> DbError {
    match error {
        DbError::Bug(text) => DbError::Bug(text.split(" at offset ").next().unwrap_or_default().to_owned()),
        other => other,
    }
}

/// What is wrong with a case, if anything.
fn judge(case: &Case, fake: &Answer, workerd: &Answer) -> Option<String> {
    let answers = || format!("{}\n   fake {fake:?}\nworkerd {workerd:?}", case.name);
    match &case.differs {
        None if fake != workerd => Some(format!("differs: {}", answers())),
        None if fake.status != case.status => Some(format!("not HTTP {}: {}", case.status, answers())),
        Some(Differs { .. }) if fake == workerd => Some(format!("no longer differs: {}", answers())),
        Some(known) if (fake.status, workerd.status) != (case.status, known.workerd_status) => {
            Some(format!("differs in another way ({}): {}", known.why, answers()))
        }
        _ => None,
    }
}

#[tokio::test]
async fn the_fake_and_workerd_answer_alike() {
    let workerd = Workerd::start().await.expect("workerd starts");
    let fake = D1Fake::start().await;
    let sides = (Side::new(&fake.url(), fake.token()), Side::new(&workerd.url(), workerd.token()));
    let cases = table::cases();
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(judge(case, &sides.0.ask(case).await, &sides.1.ask(case).await));
    }
    let known = cases.iter().filter(|case| case.differs.is_some()).count();
    println!("{} requests: {} alike, {known} known differences, {} wrong", cases.len(), cases.len() - known - wrong.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// No connection is used twice: workerd closes one after a refused request, and the next must not run into that.
fn fresh() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client")
}
