//! A store with the recorded tenants in it, and the recorded reports.

use clawr_domain::apis;
use clawr_domain::audit::Actor;
use clawr_domain::settlement::{Intake, JobPolicy, Network, Networks, Posting, Settlement, post, store};
use clawr_domain::tenants;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbConfig, DbError, Rows, Scope, Sql, StoreUrl, migrate};
use clawr_engine::ids::new_op;
use clawr_engine::write::{Write, statements};
use serde_json::Value as Json;
use std::collections::HashMap;

pub const EVENTS: &str = include_str!("../../../../tests/fixtures/x402/events.jsonl");
const EXPECTED: &str = include_str!("../../../../tests/fixtures/x402/expected.json");
const GIVEN: &str = include_str!("../../../../tests/fixtures/x402/given.json");

/// One test's store and what it needs.
pub struct World {
    pub db: Db,
    pub clock: Clock,
    pub actor: Actor,
    _file: File,
}

/// Gone when the test is over.
struct File(std::path::PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(ending);
            drop(std::fs::remove_file(path));
        }
    }
}

/// line → (verdict, reason)
pub fn wanted() -> HashMap<u64, (String, Option<String>)> {
    let expected: Json = serde_json::from_str(EXPECTED).unwrap();
    let mut all = HashMap::new();
    for (list, verdict) in [
        ("redelivered", "redelivered"),
        ("same_payment", "same_payment"),
        ("outcome_updates", "outcome_update"),
        ("conflicts_409", "conflict"),
        ("rejects_422", "rejected"),
    ] {
        for item in expected[list].as_array().unwrap() {
            let reason = item["reason"].as_str().map(str::to_owned);
            all.insert(item["line"].as_u64().unwrap(), (verdict.to_owned(), reason));
        }
    }
    for line in expected["accepted_lines"].as_array().unwrap() {
        all.insert(line.as_u64().unwrap(), ("accepted".into(), None));
    }
    all
}

/// The recorded reports that contradict no other: in whatever order they come, the same payments are stored.
pub fn peaceful() -> impl Iterator<Item = &'static str> {
    let wanted = wanted();
    EVENTS.lines().zip(1u64..).filter(move |(_, line)| wanted[line].0 != "conflict").map(|(text, _)| text)
}

pub fn networks() -> Networks {
    let given: Json = serde_json::from_str(GIVEN).unwrap();
    let texts = |list: &Json| list.as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let network = |(id, net): (&String, &Json)| Network {
        id: id.clone(),
        v1_name: net["v1_name"].as_str().unwrap().to_owned(),
        assets: texts(&net["assets"]),
        treasuries: texts(&given["treasuries"]),
    };
    Networks::new(given["networks"].as_object().unwrap().iter().map(network).collect())
}

pub async fn empty() -> World {
    at(Clock::host()).await
}

/// With a clock of the test's own.
pub async fn at(clock: Clock) -> World {
    let path = std::env::temp_dir().join(format!("clawr-domain-{}.db", new_op()));
    let url: StoreUrl = format!("sqlite://{}", path.display()).parse().unwrap();
    let db = Db::open_for_migration(&DbConfig::new(url)).await.unwrap();
    migrate::up(&db).await.unwrap();
    World { db, clock, actor: Actor::new("key_test", "req_test"), _file: File(path) }
}

/// With the tenants and APIs the recorded reports speak of.
pub async fn recorded() -> World {
    let world = empty().await;
    let given: Json = serde_json::from_str(GIVEN).unwrap();
    for (slug, list) in given["tenants"].as_object().unwrap() {
        let new = tenants::New { slug: slug.clone(), ..Default::default() };
        let tenant = tenants::create(&world.db, &world.clock, &world.actor, new).await.unwrap().into_inner();
        for (api, resource_type) in list.as_object().unwrap() {
            let resource_type = resource_type.as_str().unwrap().to_owned();
            let new = apis::New { slug: api.clone(), resource_type, price_micros: "1000".into(), quota: None };
            apis::create(&world.db, &world.clock, &Scope::System, &world.actor, &tenant, new).await.unwrap();
        }
    }
    world
}

impl World {
    pub fn intake(&self) -> Intake {
        Intake::new(self.db.clone(), self.clock.clone(), networks(), JobPolicy { version: 1, max_attempts: 20 })
    }

    pub async fn rows(&self, sql: &'static Sql) -> Rows {
        self.db.query(&Scope::System, sql.with([])).await.unwrap()
    }

    pub async fn commit(&self, writes: &[Write]) -> Result<(), DbError> {
        self.db.commit(&Scope::System, statements(writes)).await.map(|_| ())
    }

    /// Every settlement, page by page.
    pub async fn settlements(&self) -> Vec<Settlement> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = clawr_domain::Page::new(Some(200), cursor.as_deref()).unwrap();
            let mut listed = store::list(&self.db, &Scope::System, &store::Filter::default(), &page).await.unwrap();
            all.append(&mut listed.items);
            cursor = listed.next;
            if cursor.is_none() {
                return all;
            }
        }
    }

    pub fn postings(&self, settlements: &[Settlement]) -> Vec<Write> {
        settlements.iter().flat_map(|s| post(s, &Posting::new(&self.clock))).collect()
    }
}
